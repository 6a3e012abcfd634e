"""Who is primary and who stands by, out of the FailoverScheme that is in force: the config file may say something else by now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cli import serving
from cli.workspace import CommandFailed
from drill.containers import Container
from drill.notes import Notes
from gloo_api.names import cluster_name
from service_failover.names import APP_NAMESPACE, upstream_of

NOTE = "roles"
"""Name of the note that keeps them."""


@dataclass(frozen=True, kw_only=True)
class App:
    """One of the two apps."""

    cluster: str
    color: str

    @property
    def answer(self) -> str:
        """What it answers, without the quotation marks."""
        return f"{self.color}-pod"

    @property
    def deployment(self) -> str:
        return f"echo-{self.color}"

    @property
    def envoy(self) -> Container:
        """The Envoy in front of it, which can be told to fail."""
        return Container(cluster=self.cluster, namespace=APP_NAMESPACE, app=self.deployment, name="envoy")

    @property
    def echo(self) -> Container:
        """The app itself."""
        return Container(cluster=self.cluster, namespace=APP_NAMESPACE, app=self.deployment, name="echo")


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What a FailoverScheme of one primary and one standby says."""

    management: str
    """The cluster that has it."""
    scheme_namespace: str
    scheme: str
    upstream_namespace: str
    upstream: str
    """The Upstream that fails over, in the primary's cluster."""
    primary: App
    standby: App

    @property
    def envoy_cluster(self) -> str:
        """Envoy's name for the primary, and for the standby behind it."""
        return cluster_name(self.upstream, self.upstream_namespace)


def read_roles(kubectl: Mapping[str, Sequence[str]], *, notes: Notes, retry: str) -> Roles:
    """The roles in a stack whose clusters these command lines reach; those of the last time when no cluster has a scheme to show, or none answers.

    So a stack can be healed whose API server was taken away. Errors: CommandFailed, which ends with `retry` where nothing was found.
    """
    found = [(cluster, scheme) for cluster, command in kubectl.items() for scheme in serving.schemes(command)]
    if not found and (known := notes.get(NOTE)):
        return Roles(**{**known, "primary": App(**known["primary"]), "standby": App(**known["standby"])})
    if len(found) != 1:
        names = ", ".join(scheme["metadata"]["name"] for _, scheme in found) or "none, or no cluster answers"
        raise CommandFailed(f"the drill needs one FailoverScheme in the stack; found: {names}. See why: {retry}")
    roles = roles_of(found[0][1], management=found[0][0])
    notes.put(NOTE, asdict(roles))
    return roles


def roles_of(scheme: Mapping[str, Any], *, management: str) -> Roles:
    """The roles that a scheme gives. Errors: CommandFailed when it has more than one standby, or Upstreams that are not of this project's apps."""
    name, spec = scheme["metadata"]["name"], scheme["spec"]
    primary = spec["primary"]
    standbys = [
        (member["cluster"], upstream["name"])
        for group in spec["failoverGroups"]
        for member in group["priorityGroup"]
        for upstream in member["upstreams"]
    ]
    if len(standbys) != 1:
        listed = ", ".join(f"{cluster}/{upstream}" for cluster, upstream in standbys)
        raise CommandFailed(
            f"FailoverScheme {name!r} has {len(standbys)} standbys ({listed}); the drill says who has to answer, so it takes one. "
            "Try it on a stack with two apps: make up, make drill"
        )
    return Roles(
        management=management,
        scheme_namespace=scheme["metadata"]["namespace"],
        scheme=name,
        upstream_namespace=primary["namespace"],
        upstream=primary["name"],
        primary=App(cluster=primary["clusterName"], color=_color_of(primary["name"])),
        standby=App(cluster=standbys[0][0], color=_color_of(standbys[0][1])),
    )


def _color_of(upstream: str) -> str:
    before, after = upstream_of("|").split("|")
    color = upstream.removeprefix(before).removesuffix(after)
    if upstream != upstream_of(color):
        raise CommandFailed(
            f"Upstream {upstream!r} is not of one of this project's apps ({upstream_of('<color>')}), so the drill cannot know who answers. "
            "Watch it by hand: make watch"
        )
    return color
