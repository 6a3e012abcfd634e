"""The stack's configuration, parsed once into frozen dataclasses before any resource is created.

`parse` is pure and finds every problem at once; `load` feeds it what Pulumi knows and, when there is a problem, ends the program without a traceback.
The defaults are in Pulumi.yaml and nowhere else. Components never read configuration.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime.config as runtime_config
import yaml

from service_failover.apps import AppSettings, Tier, TierMember, app_problems, plan_tiers, read_app, read_tier_entry, tier_problems
from service_failover.certificate_settings import CertificateSettings, read_certificates
from service_failover.cluster_settings import (
    ClusterKind,
    ClusterSettings,
    KindSettings,
    cluster_problems,
    host_port_problems,
    read_cluster,
    read_kind,
    with_host_ports,
)
from service_failover.edition_settings import LICENSE_KEY, Edition, EnterpriseSettings, edition_problems, read_enterprise
from service_failover.monitoring_settings import MonitoringSettings, monitoring_problems, read_monitoring
from service_failover.names import CONTROL_PLANE_IMAGE
from service_failover.reading import IMAGE, Section

PROJECT_FILE = Path(__file__).resolve().parents[1] / "Pulumi.yaml"
PATH = re.compile(r"/[^\s#]*")
EPOCH_OUTPUT = "rotationEpoch"
"""Name of the stack output that says which rotation epoch an update has reached: the next update may take one step from there."""
READ_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts to read the stack's outputs."""
EDITION_OUTPUT = "edition"
"""Name of the stack output that says whose control plane runs."""


@dataclass(frozen=True, kw_only=True)
class HealthCheckSettings:
    """How the primary is checked. Durations are in the JSON form of protobuf, such as `0.25s`; thresholds are results in a row."""

    path: str
    """What the check asks for."""
    interval: str
    timeout: str
    unhealthy_threshold: int
    healthy_threshold: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The whole configuration of a stack."""

    edition: Edition
    clusters: tuple[ClusterSettings, ...]
    apps: tuple[AppSettings, ...]
    tiers: tuple[Tier, ...]
    """Who takes over from the primary: the first tier that is healthy."""
    health_check: HealthCheckSettings
    certificates: CertificateSettings
    proxy_port: int
    replicas: int
    """Pods of each control plane and proxy."""
    control_plane_image: str
    kind: KindSettings
    enterprise: EnterpriseSettings
    monitoring: MonitoringSettings

    @property
    def management(self) -> ClusterSettings:
        """The cluster in which Gloo Federation runs."""
        return next(cluster for cluster in self.clusters if cluster.management)

    @property
    def primary(self) -> AppSettings:
        """The app that serves as long as it is healthy."""
        return self.apps[0]

    @property
    def members(self) -> tuple[TierMember, ...]:
        """What takes over, in all tiers."""
        return tuple(member for tier in self.tiers for member in tier)

    @property
    def weighted(self) -> bool:
        """Whether the clusters of some tier share its traffic by weight."""
        return any(member.weight is not None for member in self.members)


class ConfigError(ValueError):
    """The configuration is refused. `problems` has a line for each reason: the key, its value, and what is allowed."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _project() -> dict[str, Any]:
    """Pulumi.yaml, read by libyaml where there is one."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(PROJECT_FILE.read_text(), Loader=loader))  # noqa: S506 - both are safe


def load() -> Settings:
    """The settings of the current stack. Ends the program (pulumi.RunError), with every problem listed, when there is one."""
    prefix = f"{pulumi.get_project()}:"
    known = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    secrets = {key for key in known if runtime_config.is_config_secret(key)}.union(runtime_config.get_config_secret_keys_env())
    try:
        written = {key.removeprefix(prefix): decoded(value) for key, value in known.items() if key.startswith(prefix)}
        return parse(
            with_defaults(written, declared=_project()["config"]),
            secret_keys=frozenset(key.removeprefix(prefix) for key in secrets),
            reached_epoch=reached_epoch(),
            running=running_edition(),
        )
    except ConfigError as error:
        stack = pulumi.get_stack()
        listed = "\n".join(f"  - {problem}" for problem in error.problems)
        raise pulumi.RunError(
            f"The configuration of stack {stack} is refused; nothing was changed.\n{listed}\n"
            f"Correct Pulumi.{stack}.yaml, or: pulumi config set --stack {stack} --path '{pulumi.get_project()}:<key>' <value>"
        ) from None


def reached_epoch() -> int | None:
    """The rotation epoch that the last complete update reached, by the stack's outputs as they were before this one; None when there are none.

    A stack whose outputs do not say was made before there were epochs, which is the first.
    """
    outputs = _last_outputs()
    return int(outputs.get(EPOCH_OUTPUT, 1)) if outputs else None


def running_edition() -> Edition | None:
    """The edition that the stack is up with, by the same outputs; None when it is not up. One that does not say was made before there were two."""
    outputs = _last_outputs()
    return Edition(outputs.get(EDITION_OUTPUT, Edition.OPEN)) if outputs else None


def _last_outputs() -> Mapping[str, Any]:
    """The outputs before this update. Asked for again where it fails: the engine may be writing the very file that it reads for the answer."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    for pause in READ_PAUSES:
        try:
            return pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": stack}).value.get("outputs") or {}
        except Exception as error:
            if "failed to load checkpoint" not in str(error):
                raise
            time.sleep(pause)
    return pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": stack}).value.get("outputs") or {}


def with_defaults(document: Mapping[str, Any], *, declared: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with the keys that a mapping lacks from its default in Pulumi.yaml (`declared`).

    Pulumi fills in a default as a whole: `pulumi config set --path healthCheck.interval 2s` would else take the other three settings away.
    """
    defaults = {key: each["default"] for key, each in declared.items() if isinstance(each.get("default"), Mapping)}
    return {key: {**defaults.get(key, {}), **value} if isinstance(value, Mapping) else value for key, value in document.items()}


def decoded(value: str) -> Any:
    """A configuration value as it was written. Pulumi passes all of them as strings: lists, mappings, numbers and booleans as JSON, text as it is."""
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def parse(
    document: Mapping[str, Any], *, secret_keys: frozenset[str] = frozenset(), reached_epoch: int | None = None, running: Edition | None = None
) -> Settings:
    """The settings in a decoded configuration. Raises ConfigError with every problem; the values of `secret_keys` do not appear in it.

    `reached_epoch` is the rotation epoch of the last complete update, `running` the edition that it made; None when there was none.
    """
    problems: list[str] = []
    root = Section(document, problems=problems, secret_keys=secret_keys | {LICENSE_KEY})
    kind = root.choice("clusterKind", ClusterKind)
    clusters_from = len(problems)
    clusters = root.sections("clusters", partial(read_cluster, default=kind))
    problems += cluster_problems(clusters, sound=len(problems) == clusters_from)
    names = [cluster.name for cluster in clusters] if len(problems) == clusters_from else []
    apps_from = len(problems)
    apps = root.sections("apps", read_app)
    problems += app_problems(apps, names=names, sound=len(problems) == apps_from)
    apps_sound = bool(names) and len(problems) == apps_from
    tiers_from = len(problems)
    tiers = root.lists("tiers", read_tier_entry)
    if apps_sound and len(problems) == tiers_from:
        problems += tier_problems(tiers, apps)
    edition = root.choice("edition", Edition)
    enterprise = read_enterprise(root, license_is_secret=LICENSE_KEY in secret_keys)
    problems += edition_problems(edition, license_given=bool(document.get(LICENSE_KEY)), clusters=clusters, running=running)
    health_check = root.section("healthCheck", _health_check)
    certificates = root.section("certificates", partial(read_certificates, reached_epoch=reached_epoch))
    proxy_port = root.integer("proxyPort", lowest=1, highest=65535)
    replicas = root.integer("replicas", lowest=1, highest=9)
    control_plane_image = root.text("controlPlaneImage", pattern=IMAGE, longest=255, allowed=f"an image, such as {CONTROL_PLANE_IMAGE}")
    kind_settings = root.section("kind", read_kind)
    monitoring = root.section("monitoring", read_monitoring)
    if monitoring is not None:
        problems += monitoring_problems(monitoring, edition=edition, clusters=clusters)
    root.finish()
    if not problems:
        clusters = with_host_ports(clusters, first=proxy_port)
        problems += host_port_problems(clusters)
    if problems or health_check is None or kind_settings is None or certificates is None or monitoring is None:
        raise ConfigError(problems)
    return Settings(
        edition=edition,
        clusters=clusters,
        apps=apps,
        tiers=plan_tiers(apps, tiers),
        health_check=health_check,
        certificates=certificates,
        proxy_port=proxy_port,
        replicas=replicas,
        control_plane_image=control_plane_image,
        kind=kind_settings,
        enterprise=enterprise,
        monitoring=monitoring,
    )


def _health_check(section: Section) -> HealthCheckSettings:
    return HealthCheckSettings(
        path=section.text("path", pattern=PATH, longest=1024, allowed="a path, such as /health"),
        interval=section.duration("interval"),
        timeout=section.duration("timeout"),
        unhealthy_threshold=section.integer("unhealthyThreshold", lowest=1, highest=100),
        healthy_threshold=section.integer("healthyThreshold", lowest=1, highest=100),
    )
