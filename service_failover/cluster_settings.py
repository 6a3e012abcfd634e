"""The clusters of a stack: what each is and where, read from the configuration and checked together. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from service_failover.apps import LONGEST_CLUSTER_NAME
from service_failover.reading import DNS_LABEL, LABEL_VALUE, Section, shown

ANYTHING = re.compile(r"\S(.*\S)?")
SERVER_URL = re.compile(r"https://[^\s/]+/?")


class ClusterKind(StrEnum):
    """Where a cluster runs."""

    EMBEDDED = "embedded"
    EXISTING = "existing"


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """One Kubernetes cluster."""

    name: str
    kind: ClusterKind
    management: bool
    """Whether Gloo Federation runs in it."""
    region: str = ""
    """Topology label of the nodes, as is `zone`. Of clusters that are made here; those that exist have labels of their own."""
    zone: str = ""
    context: str = ""
    """Of a cluster that exists: its context in the kubeconfig."""
    kubeconfig: str = ""
    """Of a cluster that exists: the kubeconfig file; "" is what kubectl would use."""
    server: str = ""
    """Of a cluster that exists: URL of its API server as other clusters reach it; "" is the one in the kubeconfig."""


def read_cluster(section: Section, *, default: ClusterKind) -> ClusterSettings:
    """An entry of `clusters`; `default` is its kind when it does not say."""
    name = section.text(
        "name", pattern=DNS_LABEL, longest=LONGEST_CLUSTER_NAME, allowed=f"1 to {LONGEST_CLUSTER_NAME} characters: a-z, 0-9 and inner '-'"
    )
    kind = section.choice("kind", ClusterKind, absent=default)
    management = section.flag("management")
    if kind is ClusterKind.EXISTING:
        return ClusterSettings(
            name=name,
            kind=kind,
            management=management,
            context=section.optional_text("context", pattern=ANYTHING, allowed="the name of a context in the kubeconfig") or name,
            kubeconfig=section.optional_text("kubeconfig", pattern=ANYTHING, allowed="the path of a kubeconfig file"),
            server=section.optional_text("server", pattern=SERVER_URL, allowed="the URL of the API server, such as https://10.0.0.1:6443"),
        )
    label = "1 to 63 characters: letters, digits and inner '-', '_' or '.'"
    return ClusterSettings(
        name=name,
        kind=kind,
        management=management,
        region=section.text("region", pattern=LABEL_VALUE, longest=63, allowed=label),
        zone=section.text("zone", pattern=LABEL_VALUE, longest=63, allowed=label),
    )


def cluster_problems(clusters: tuple[ClusterSettings, ...], *, sound: bool) -> list[str]:
    """What is wrong with the clusters together. Unless each is `sound` by itself, what would only follow from that is left out."""
    problems = []
    first: dict[str, int] = {}
    for index, cluster in enumerate(clusters):
        if cluster.name and first.setdefault(cluster.name, index) != index:
            problems.append(
                f"clusters[{index}].name: {shown(cluster.name)} is used twice, by clusters[{first[cluster.name]}] too; each needs its own"
            )
    managers = [cluster.name for cluster in clusters if cluster.management]
    if sound and len(managers) != 1:
        problems.append(f"clusters: management is true for {shown(managers)}; it must be for exactly one cluster, where Gloo Federation is to run")
    return problems
