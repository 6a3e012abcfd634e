"""What is wrong with a stack, in sentences that explain a loss: no retries, no health check, a standby that cannot work, objects that are refused.

`find_causes` is pure, over objects as the API server gives them; `causes` fetches these. It changes nothing and proves nothing: it looks at what is
configured, and says what the control plane has found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.workspace import CommandFailed
from drill.connection import Connection, connection_causes
from drill.containers import is_of
from drill.lateness import late_health, late_routes
from drill.readiness import lost_readiness
from gloo_api.names import FAILOVER_RETRIES_ANNOTATION, UPSTREAM_SECRET
from service_failover.names import DOWNSTREAM_SECRET, GLOO_NAMESPACE

if TYPE_CHECKING:
    from drill.target import Target

Manifest = Mapping[str, Any]
"""An object, with the field names of its API."""
_EDGE_KINDS = "upstreams.gloo.solo.io,gateways.gateway.solo.io,virtualservices.gateway.solo.io,routetables.gateway.solo.io"
_ROUTING_KINDS = ("VirtualService", "RouteTable")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is looked at. Absent: None, or not in the list."""

    scheme: Manifest | None
    upstream: str
    """Name of the Upstream that fails over."""
    primary: Sequence[Manifest]
    """Upstreams, Gateways, VirtualServices and RouteTables in the primary's cluster."""
    standby: Sequence[Manifest]
    """The same in the standby's."""
    client_secret: Manifest | None
    """The Secret of the primary's proxy for the connection to the standby."""
    server_secret: Manifest | None
    """That of the standby's failover gateway."""
    gateways: Sequence[Manifest] = ()
    """The pods of the proxy that clients call."""
    since: datetime
    """When the run began."""
    clusters: tuple[str, str] = ("local", "remote")
    """Names of the primary's and the standby's cluster."""
    unknown: Sequence[str] = field(default_factory=tuple)
    """What could not be asked, and why."""


def causes(target: Target, since: datetime) -> tuple[str, ...]:
    """What is wrong with the stack now, or went wrong `since`; () when nothing is. Raises nothing: what cannot be asked is said."""
    unknown: list[str] = []

    def ask(cluster: str, *arguments: str) -> list[Any]:
        try:
            return list(target.get(cluster, *arguments)["items"])
        except CommandFailed as error:
            unknown.append(f"not known, as it cannot be asked: {error}")
            return []

    def secret(cluster: str, name: str) -> Any:
        return next(iter(ask(cluster, "secrets", "-n", GLOO_NAMESPACE, f"--field-selector=metadata.name={name}")), None)

    roles = target.roles
    schemes = ask(roles.management, "failoverschemes", "-n", roles.scheme_namespace)
    facts = Facts(
        scheme=next((each for each in schemes if each["metadata"]["name"] == roles.scheme), None),
        upstream=roles.upstream,
        primary=ask(roles.primary.cluster, _EDGE_KINDS, "-n", GLOO_NAMESPACE),
        standby=ask(roles.standby.cluster, _EDGE_KINDS, "-n", GLOO_NAMESPACE),
        client_secret=secret(roles.primary.cluster, UPSTREAM_SECRET),
        server_secret=secret(roles.standby.cluster, DOWNSTREAM_SECRET),
        gateways=[each for each in ask(roles.primary.cluster, "pods", "-n", GLOO_NAMESPACE) if is_of(target.gateway, each)],
        since=since,
        clusters=(roles.primary.cluster, roles.standby.cluster),
        unknown=unknown,
    )
    return find_causes(facts, now=datetime.now(UTC))


def find_causes(facts: Facts, *, now: datetime) -> tuple[str, ...]:
    """Each cause once, those that explain most first."""
    if facts.unknown:
        return tuple(dict.fromkeys(facts.unknown))
    upstream = next((each for each in facts.primary if each["kind"] == "Upstream" and each["metadata"]["name"] == facts.upstream), None)
    found = [
        *_scheme(facts.scheme),
        *_upstream(upstream, name=facts.upstream),
        *_routing([each for each in facts.primary if each["kind"] in _ROUTING_KINDS], cluster=facts.clusters[0]),
        *connection_causes(
            Connection(
                upstream=upstream,
                gateways=[each for each in facts.standby if each["kind"] == "Gateway"],
                client_secret=facts.client_secret,
                server_secret=facts.server_secret,
                clusters=facts.clusters,
            ),
            now=now,
        ),
        *lost_readiness(facts.gateways, since=facts.since, cluster=facts.clusters[0]),
        *(cause for cluster, objects in zip(facts.clusters, (facts.primary, facts.standby), strict=True) for cause in _refused(objects, cluster)),
    ]
    return tuple(dict.fromkeys(found))


def _scheme(scheme: Manifest | None) -> Iterator[str]:
    if scheme is None:
        yield "there is no FailoverScheme: nobody takes over from the primary"
        return
    name, status = scheme["metadata"]["name"], scheme.get("status") or {}
    if status.get("state") != "ACCEPTED":
        yield f"FailoverScheme {name!r} is {status.get('state', 'PENDING')}, not in force: {status.get('message') or 'it says no more'}"
    for tier in status.get("tiers", []):
        if tier.get("proven") is False:
            yield f"the standby with priority {tier['priority']} is not proven: {tier.get('unprovenReason') or 'no reason is given'}"
    serving = status.get("serving") or {}
    if "in panic" in serving.get("message", ""):
        yield f"the gateway is in panic and sends requests to every endpoint, healthy or not: {serving['message']}"


def _upstream(upstream: Manifest | None, *, name: str) -> Iterator[str]:
    if upstream is None:
        yield f"there is no Upstream {name!r}: the route leads nowhere"
        return
    spec = upstream["spec"]
    if not spec.get("healthChecks"):
        yield f"Upstream {name!r} has no health check (spec.healthChecks): a failure is noticed only by the requests that meet it"
    if not (spec.get("failover") or {}).get("prioritizedLocalities"):
        yield f"Upstream {name!r} has no failover (spec.failover): nobody takes over"
    yield from late_health(upstream, title=_title(upstream))
    yield from _disabled(upstream)


def _routing(resources: Sequence[Manifest], *, cluster: str) -> Iterator[str]:
    if not any(each["kind"] == "VirtualService" for each in resources):
        yield f"there is no VirtualService in {cluster}: the gateway sends nothing anywhere"
    for each in resources:
        yield from _retries(each)
        yield from late_routes(each, title=_title(each))


def _retries(resource: Manifest) -> Iterator[str]:
    """What keeps the routes of a VirtualService or RouteTable from trying again elsewhere as failover does."""
    yield from _disabled(resource)
    spec, title = resource["spec"], _title(resource)
    host = spec.get("virtualHost") or spec
    places = [("virtualHost.options", host.get("options"))] if "virtualHost" in spec else []
    places += [(f"routes[{index}].options", route.get("options")) for index, route in enumerate(host.get("routes", []))]
    for place, options in places:
        if (retries := (options or {}).get("retries")) is not None:
            said = ", ".join(f"{key} {value}" for key, value in retries.items()) or "none"
            yield f"{title} sets retries of its own ({place}.retries: {said}), which replace those of failover"


def _disabled(resource: Manifest) -> Iterator[str]:
    if resource["metadata"].get("annotations", {}).get(FAILOVER_RETRIES_ANNOTATION) == "disabled":
        yield f"{_title(resource)} has no retries ({FAILOVER_RETRIES_ANNOTATION}: disabled): a request that meets the failure is lost"


def _refused(objects: Sequence[Manifest], cluster: str) -> Iterator[str]:
    for each in objects:
        for status in ((each.get("status") or {}).get("statuses") or {}).values():
            if status.get("state") in ("Rejected", "Warning"):
                yield f"{_title(each)} in {cluster} has state {status['state']}: {status.get('reason') or 'it says no more'}"


def _title(resource: Manifest) -> str:
    return f"{resource['kind']} {resource['metadata']['name']!r}"
