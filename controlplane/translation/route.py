"""VirtualServices as an Envoy route configuration.

A route whose Upstream is missing or rejected answers 503 by itself and is warned about: it fails as a route to a dead Upstream does, and every other
route goes on. A VirtualService that wants a domain another one has is rejected; the older one keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2

from controlplane.translation import retry, wire
from controlplane.translation.reporter import Reporter
from controlplane.translation.types import Key
from gloo_api.meta import ResourceRef
from gloo_api.virtual_service import Route, VirtualHost, VirtualService

NO_DESTINATION = "no valid destination\n"
IMMEDIATE_FAIL_HEADER = "x-envoy-immediate-health-check-fail"


@dataclass(frozen=True)
class Destination:
    """An Upstream that has a cluster. `tiers` counts its priorities: more than one means failover."""

    cluster: str
    tiers: int


Destinations = Mapping[Key, Destination]


def route_configuration(
    name: str, virtual_services: Iterable[VirtualService], *, destinations: Destinations, reports: Mapping[Key, Reporter]
) -> route_pb2.RouteConfiguration:
    """The routes of one HTTP Gateway. `reports` has a reporter for each of the VirtualServices."""
    configuration = route_pb2.RouteConfiguration(
        name=name,
        # A proxy in front of this one that health-checks it would take the header for its own and eject the whole Gateway.
        response_headers_to_remove=[IMMEDIATE_FAIL_HEADER],
    )
    owners: dict[str, Key] = {}
    for service in sorted(virtual_services, key=lambda item: item.age_key):
        key = Key(*service.key)
        report = reports[key]
        if _claim_domains(service.spec.virtual_host, key, owners=owners, report=report):
            configuration.virtual_hosts.append(_virtual_host(service, destinations=destinations, report=report))
    return configuration


def _claim_domains(host: VirtualHost, key: Key, *, owners: dict[str, Key], report: Reporter) -> bool:
    domains = [domain.lower() for domain in host.domains]
    bad = False
    for index, domain in enumerate(domains):
        path = f"spec.virtualHost.domains[{index}]"
        if domain in domains[:index]:
            report.error(path, f'"{domain}" is there twice')
            bad = True
        elif domain in owners:
            report.error(path, f'"{domain}" is served already by VirtualService {owners[domain].namespace}/{owners[domain].name}; use another domain')
            bad = True
    if not bad:
        owners.update(dict.fromkeys(domains, key))
    return not bad


def _virtual_host(service: VirtualService, *, destinations: Destinations, report: Reporter) -> route_components_pb2.VirtualHost:
    key = Key(*service.key)
    host = service.spec.virtual_host
    message = route_components_pb2.VirtualHost(name=f"{key.namespace}.{key.name}", domains=host.domains)
    for index, route in enumerate(host.routes):
        message.routes.extend(
            _routes(
                route,
                host,
                name=f"{message.name}.{index}",
                key=key,
                path=f"spec.virtualHost.routes[{index}]",
                destinations=destinations,
                report=report,
            )
        )
    return message


def _routes(
    route: Route, host: VirtualHost, *, name: str, key: Key, path: str, destinations: Destinations, report: Reporter
) -> list[route_components_pb2.Route]:
    """A route for each matcher; two where idempotent requests are retried differently from others."""
    prefixes = [matcher.prefix for matcher in route.matchers] or ["/"]
    destination = _destination(
        route.route_action.single.upstream, key=key, path=f"{path}.routeAction.single", destinations=destinations, report=report
    )
    if destination is None:
        return [_answer_503(name, prefix) for prefix in prefixes]
    actions = _actions(route, host, destination=destination, path=path, report=report)
    return [route_components_pb2.Route(name=name, match=_match(prefix, methods), route=action) for prefix in prefixes for methods, action in actions]


def _destination(ref: ResourceRef | None, *, key: Key, path: str, destinations: Destinations, report: Reporter) -> Destination | None:
    if ref is None:
        report.warn(path, "names no upstream; the route answers 503")
        return None
    target = Key(ref.namespace or key.namespace, ref.name)
    if target not in destinations:
        report.warn(f"{path}.upstream", f"Upstream {target.namespace}/{target.name} does not exist or is not usable; the route answers 503")
        return None
    return destinations[target]


def _actions(
    route: Route, host: VirtualHost, *, destination: Destination, path: str, report: Reporter
) -> list[tuple[str | None, route_components_pb2.RouteAction]]:
    """Actions with the methods that they are for (None: all that are left)."""
    own = route.options.retries if route.options else None
    policy = own or (host.options.retries if host.options else None)
    timeout = route.options.timeout if route.options and route.options.timeout is not None else retry.DEFAULT_TIMEOUT
    if policy is not None:
        if policy.per_try_timeout is not None and timedelta(0) < timeout <= policy.per_try_timeout:
            where = f"{path}.options.retries" if own else "spec.virtualHost.options.retries"
            report.warn(
                f"{where}.perTryTimeout", f"{policy.per_try_timeout} leaves no time for another try; allowed is less than the timeout, {timeout}"
            )
        return [(None, _forward(destination, timeout, retry.users_policy(policy)))]
    if destination.tiers < 2:
        return [(None, _forward(destination, timeout, None))]
    idempotent, other = (retry.failover_policy(timeout=timeout, tiers=destination.tiers, idempotent=value) for value in (True, False))
    return [(retry.IDEMPOTENT_METHODS, _forward(destination, timeout, idempotent)), (None, _forward(destination, timeout, other))]


def _forward(destination: Destination, timeout: timedelta, policy: route_components_pb2.RetryPolicy | None) -> route_components_pb2.RouteAction:
    return route_components_pb2.RouteAction(cluster=destination.cluster, timeout=wire.duration(timeout), retry_policy=policy)


def _answer_503(name: str, prefix: str) -> route_components_pb2.Route:
    answer = route_components_pb2.DirectResponseAction(status=503, body=base_pb2.DataSource(inline_string=NO_DESTINATION))
    return route_components_pb2.Route(name=name, match=_match(prefix, None), direct_response=answer)


def _match(prefix: str, methods: str | None) -> route_components_pb2.RouteMatch:
    match = route_components_pb2.RouteMatch(prefix=prefix)
    if methods is not None:
        matcher = string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=methods))
        match.headers.append(route_components_pb2.HeaderMatcher(name=":method", string_match=matcher))
    return match
