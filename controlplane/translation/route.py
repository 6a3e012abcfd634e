"""VirtualServices as an Envoy route configuration.

A route whose Upstream is missing or rejected answers 503 by itself and is warned about: it fails as a route to a dead Upstream does, and every other
route goes on. A VirtualService that wants a domain another one has is rejected; the older one keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from pydantic.alias_generators import to_camel

from controlplane.translation import not_executed, options, retry, wire
from controlplane.translation.delegation import Leaf, TooManyRoutes, leaves
from controlplane.translation.matching import route_match
from controlplane.translation.reporter import Reporter, Reporters
from controlplane.translation.retry import Methods, Retries
from controlplane.translation.types import GlooInputs, Key, ObjectRef
from gloo_api import names
from gloo_api.destinations import Destination as ApiDestination
from gloo_api.destinations import RouteAction
from gloo_api.matchers import Matcher
from gloo_api.retries import CONDITIONS, RetryPolicy
from gloo_api.routes import DirectResponseAction, RedirectAction
from gloo_api.virtual_service import VirtualHost, VirtualService

NO_DESTINATION = "no valid destination\n"
IMMEDIATE_FAIL_HEADER = "x-envoy-immediate-health-check-fail"


@dataclass(frozen=True)
class Destination:
    """An Upstream that has a cluster. `tiers` counts its priorities: more than one means failover; `retries`: whether failover's own are wanted."""

    cluster: str
    tiers: int
    retries: bool = True


Destinations = Mapping[Key, Destination]


def route_configuration(
    name: str,
    virtual_services: Iterable[VirtualService],
    *,
    hosts: Callable[[VirtualService], route_components_pb2.VirtualHost | None],
    reports: Reporters,
) -> route_pb2.RouteConfiguration:
    """The routes of one HTTP Gateway. `hosts` has the virtual host of each VirtualService (see `virtual_host`); None leaves it out."""
    configuration = route_pb2.RouteConfiguration(
        name=name,
        # A proxy in front of this one that health-checks it would take the first for its own and eject the whole Gateway; the second is internal.
        response_headers_to_remove=[IMMEDIATE_FAIL_HEADER, not_executed.HEADER],
    )
    owners: dict[str, Key] = {}
    for service in sorted(virtual_services, key=lambda item: item.age_key):
        key = Key(*service.key)
        report = reports[ObjectRef("VirtualService", *key)]
        if _claim_domains(service.spec.virtual_host, key, owners=owners, report=report) and (host := hosts(service)) is not None:
            configuration.virtual_hosts.append(host)
    return configuration


def _claim_domains(host: VirtualHost, key: Key, *, owners: dict[str, Key], report: Reporter) -> bool:
    domains = [domain.lower() for domain in host.served_domains]
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


def virtual_host(
    service: VirtualService, *, inputs: GlooInputs, destinations: Destinations, reports: Reporters
) -> route_components_pb2.VirtualHost | None:
    """One VirtualService with all that it delegates to. The same for every Gateway that serves it. None when it is rejected."""
    key = Key(*service.key)
    host = service.spec.virtual_host
    message = route_components_pb2.VirtualHost(name=f"{key.namespace}.{key.name}", domains=host.served_domains)
    options.apply_to_host(message, host.options)
    try:
        found = leaves(service, route_tables=inputs.route_tables, reports=reports)
    except TooManyRoutes as error:
        reports[ObjectRef("VirtualService", *key)].error("spec.virtualHost.routes", str(error))
        return None
    for leaf in found:
        message.routes.extend(_routes(leaf, destinations=destinations))
    return message


def _routes(leaf: Leaf, *, destinations: Destinations) -> Iterator[route_components_pb2.Route]:
    """A route for each matcher; several where requests are retried differently by their method."""
    route = leaf.route
    if route is None:
        yield from _for_each_matcher(leaf, direct_response=_direct_response(503, NO_DESTINATION))
    elif route.redirect_action is not None:
        yield from _for_each_matcher(leaf, redirect=_redirect(route.redirect_action))
    elif route.direct_response_action is not None:
        answer: DirectResponseAction = route.direct_response_action
        yield from _for_each_matcher(leaf, direct_response=_direct_response(answer.status, answer.body))
    elif route.route_action is not None:
        yield from _forwarding(leaf, route.route_action, destinations=destinations)


def _for_each_matcher(
    leaf: Leaf,
    *,
    direct_response: route_components_pb2.DirectResponseAction | None = None,
    redirect: route_components_pb2.RedirectAction | None = None,
) -> Iterator[route_components_pb2.Route]:
    if leaf.route is not None and leaf.route.options is not None and leaf.route.route_action is None:
        for field in sorted(leaf.route.options.model_fields_set - {"header_manipulation"}):
            leaf.place.warn(f".options.{to_camel(field)}", "has no effect on requests that are not passed on")
    for matcher in leaf.matchers or (Matcher(),):
        match = route_match(matcher, under=leaf.under, methods=matcher.methods)
        route = route_components_pb2.Route(name=leaf.name, match=match, direct_response=direct_response, redirect=redirect)
        options.apply_to_route(route, leaf.layers)
        yield route


def _forwarding(leaf: Leaf, action: RouteAction, *, destinations: Destinations) -> Iterator[route_components_pb2.Route]:
    template = route_components_pb2.RouteAction()
    if action.multi is not None:
        found = _weighted(template, leaf, action, destinations=destinations)
    else:
        found = [_find(action.single, leaf, ".routeAction.single", "the route answers 503", destinations=destinations)]
        if found[0] is not None:
            template.cluster = found[0].cluster
    targets = [each for each in found if each is not None]
    if not targets:
        yield from _for_each_matcher(leaf, direct_response=_direct_response(503, NO_DESTINATION))
        return
    options.apply_to_action(template, leaf.layers)
    variants = list(_variants(leaf, targets=targets, timeout=options.timeout(leaf.layers)))
    for matcher in leaf.matchers or (Matcher(),):
        for kind, retries in variants:
            if (methods := _methods(matcher, kind)) is None:
                continue
            route = route_components_pb2.Route(name=leaf.name, match=route_match(matcher, under=leaf.under, methods=methods), route=template)
            if retries is not None:
                retries.apply(route.route)
            options.apply_to_route(route, leaf.layers)
            yield route


def _methods(matcher: Matcher, kind: Methods | None) -> tuple[str, ...] | None:
    """What the method of a request must be: one of these; empty: anything. None: the matcher has no method of that kind."""
    if kind is None:
        return matcher.methods
    if not matcher.methods:
        return kind.names
    return tuple(method for method in matcher.methods if Methods.of(method) is kind) or None


def _find(given: ApiDestination | None, leaf: Leaf, field: str, consequence: str, *, destinations: Destinations) -> Destination | None:
    ref = given.upstream if given else None
    if ref is None:
        leaf.place.warn(field, f"names no upstream; {consequence}")
        return None
    target = Key(ref.namespace or leaf.namespace, ref.name)
    found = destinations.get(target)
    if found is None:
        leaf.place.warn(f"{field}.upstream", f"Upstream {target.namespace}/{target.name} does not exist or is not usable; {consequence}")
    return found


def _weighted(message: route_components_pb2.RouteAction, leaf: Leaf, action: RouteAction, *, destinations: Destinations) -> list[Destination | None]:
    """Fill in the shares. That of a missing Upstream stays its own, and Envoy answers it 503: the others were not meant to have more."""
    targets = []
    for index, item in enumerate(action.multi.destinations if action.multi else ()):
        if item.weight == 0:
            continue
        field = f".routeAction.multi.destinations[{index}].destination"
        target = _find(item.destination, leaf, field, "its share is answered 503", destinations=destinations)
        ref = item.destination.upstream
        name = target.cluster if target else names.cluster_name(ref.name, ref.namespace or leaf.namespace) if ref else "-"
        share = message.weighted_clusters.clusters.add(name=name, weight=wire.uint32(item.weight))
        options.change_headers(share, item.options.header_manipulation if item.options else None)
        targets.append(target)
    return targets


def _variants(leaf: Leaf, *, targets: list[Destination], timeout: timedelta) -> Iterator[tuple[Methods | None, Retries | None]]:
    """What is done about failures, with the methods that it is for (None: all)."""
    found = options.find(leaf.layers, "retries")
    if found is not None:
        layer, policy = found
        _check_retries(policy, timeout=timeout, warn=lambda field, message: layer.place.warn(f".options.retries.{field}", message))
        yield None, retry.users(policy)
        return
    tiers = max((target.tiers for target in targets if target.retries), default=1)
    if tiers < 2 or not leaf.retries:
        yield None, None
        return
    for kind in Methods:
        yield kind, retry.failover(kind, timeout=timeout, tiers=tiers)


def _check_retries(policy: RetryPolicy, *, timeout: timedelta, warn: Callable[[str, str], None]) -> None:
    if policy.per_try_timeout is not None and timedelta(0) < timeout <= policy.per_try_timeout:
        warn("perTryTimeout", f"{policy.per_try_timeout} leaves no time for another try; allowed is less than the timeout, {timeout}")
    if unknown := [condition for condition in policy.conditions if condition not in CONDITIONS]:
        warn("retryOn", f"{', '.join(unknown)} is no condition of Envoy and has no effect; allowed are {', '.join(sorted(CONDITIONS))}")


def _direct_response(status: int, body: str) -> route_components_pb2.DirectResponseAction:
    return route_components_pb2.DirectResponseAction(status=status, body=base_pb2.DataSource(inline_string=body) if body else None)


def _redirect(action: RedirectAction) -> route_components_pb2.RedirectAction:
    return route_components_pb2.RedirectAction(
        host_redirect=action.host_redirect,
        # Of these at most one is set; Envoy takes the last of a group that is there at all, so the others must be absent.
        path_redirect=action.path_redirect or None,
        prefix_rewrite=action.prefix_rewrite or None,
        regex_rewrite=options.substitution(action.regex_rewrite) if action.regex_rewrite else None,
        response_code=route_components_pb2.RedirectAction.RedirectResponseCode.Value(action.response_code.value),
        https_redirect=action.https_redirect or None,
        port_redirect=action.port_redirect or 0,
        strip_query=action.strip_query,
    )
