"""Whose control plane runs in the clusters, with which charts and licence key, and what that asks of the rest of the configuration. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from service_failover.cluster_settings import ClusterKind, ClusterSettings
from service_failover.names import PROJECT
from service_failover.reading import Section

LICENSE_KEY = "licenseKey"
SET_LICENSE_KEY = f"pulumi config set --secret {PROJECT}:{LICENSE_KEY}"
"""Asks for the key, so that it is in no shell's history, and stores it encrypted."""
ONE_WORD = re.compile(r"\S+")
CHART_VERSION = re.compile(r"\d+\.\d+\.\d+(-[\w.-]+)?", re.ASCII)
A_VERSION = "a version, such as 1.22.0"
CHART_REPOSITORY = re.compile(r"https://[^\s/]\S*|http://(localhost|127(\.\d{1,3}){3})(:\d+)?(/\S*)?", re.ASCII)
"""Plain HTTP on this machine only: whoever changes a chart on its way controls the clusters."""
A_REPOSITORY = "the https:// URL of a Helm repository"


class Edition(StrEnum):
    """Whose control plane runs."""

    OPEN = "open"
    """The Gloo-compatible one of this project."""
    ENTERPRISE = "enterprise"
    """Gloo Enterprise and Gloo Federation, of Solo.io, with a licence key."""


@dataclass(frozen=True, kw_only=True)
class EnterpriseSettings:
    """What the enterprise edition is installed with."""

    license_key: str = field(repr=False)
    """A secret. "" in a stack of the open edition."""
    version: str
    """Version of both charts."""
    repository: str
    """Helm repository that has both charts; "" is Solo's two."""


def read_enterprise(root: Section, *, license_is_secret: bool) -> EnterpriseSettings:
    """The keys of the whole configuration that are about the enterprise edition."""
    license_key = root.blank_or_text(LICENSE_KEY, pattern=ONE_WORD, allowed="the licence key, without spaces", longest=16384)
    if license_key and not license_is_secret:
        root.problems.append(f"{LICENSE_KEY}: is stored as plain text; store it as a secret: {SET_LICENSE_KEY}")
    return EnterpriseSettings(
        license_key=license_key,
        version=root.text("glooVersion", pattern=CHART_VERSION, longest=64, allowed=A_VERSION),
        repository=root.blank_or_text("glooRepository", pattern=CHART_REPOSITORY, allowed=f'{A_REPOSITORY} with both charts, or "" for Solo\'s two'),
    )


def edition_problems(edition: Edition, *, license_given: bool, clusters: Sequence[ClusterSettings], running: Edition | None) -> list[str]:
    """What is wrong with the edition in these clusters.

    `license_given`: there is something at licenseKey. `running`: the edition that the stack is up with, None when it is not up.
    """
    problems = []
    if running not in (None, edition):
        problems.append(
            f'edition: "{edition}", but the stack is up with "{running}", and neither takes over from the other; make down, then make up; '
            f"or keep {running}"
        )
    if edition is not Edition.ENTERPRISE:
        return problems
    if not license_given:
        problems.append(f'{LICENSE_KEY}: missing; edition "enterprise" needs the licence key of Gloo Enterprise: {SET_LICENSE_KEY}')
    if embedded := [f"clusters[{index}] ({each.name})" for index, each in enumerate(clusters) if each.kind is ClusterKind.EMBEDDED]:
        others = ", ".join(kind for kind in ClusterKind if kind is not ClusterKind.EMBEDDED)
        problems.append(
            'edition: "enterprise" needs clusters that run containers, and these are embedded: '
            f"{', '.join(embedded)}; set clusterKind to another kind (allowed: {others}), or edition to open"
        )
    return problems
