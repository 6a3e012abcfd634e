"""The translation of a whole cluster for one proxy. It only puts the nouns together: what each becomes is decided in its own file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from controlplane.translation import listener, tcp
from controlplane.translation.cluster import translate_upstream
from controlplane.translation.reporter import Reporter
from controlplane.translation.route import Destination, route_configuration
from controlplane.translation.secrets import SecretBook
from controlplane.translation.types import GlooInputs, Key, ObjectRef, ProxyRef, Realise, Translation
from gloo_api import names
from gloo_api.gateway import Gateway


@dataclass(frozen=True)
class _Clusters:
    messages: Mapping[str, Message]
    assignments: Mapping[str, Message]
    destinations: Mapping[Key, Destination]
    reports: Mapping[Key, Reporter]


def translate(inputs: GlooInputs, *, proxy: ProxyRef, realise: Realise) -> Translation:
    """Everything `proxy` gets. Gateways count when they are in the proxy's namespace and name it; a bad object costs nobody but itself."""
    secrets = SecretBook(inputs.secrets)
    gateways = _gateways(inputs, proxy=proxy)
    clusters = _clusters(inputs, gateways=gateways, secrets=secrets, realise=realise)
    service_reports = {Key(*key): Reporter() for key in inputs.virtual_services}
    for key, service in inputs.virtual_services.items():
        service_reports[Key(*key)].unknown_fields(service)
    listeners: dict[str, Message] = {}
    routes: dict[str, Message] = {}
    gateway_reports = {Key(*gateway.key): Reporter() for gateway in gateways}
    owners: dict[int, Key] = {}
    for gateway in gateways:
        key = Key(*gateway.key)
        report = gateway_reports[key]
        if not _claim_port(gateway, key, owners=owners, report=report):
            continue
        result = listener.translate_gateway(gateway, proxy=proxy, secrets=secrets, destinations=clusters.destinations, report=report)
        if result is None:
            continue
        listeners[result.listener.name] = result.listener
        if result.route_name is not None and gateway.spec.http_gateway is not None:
            services = listener.selected(gateway.spec.http_gateway, inputs.virtual_services)
            routes[result.route_name] = route_configuration(result.route_name, services, destinations=clusters.destinations, reports=service_reports)
    by_kind = {"Upstream": clusters.reports, "Gateway": gateway_reports, "VirtualService": service_reports}
    return Translation(
        clusters=clusters.messages,
        endpoints=clusters.assignments,
        listeners=listeners,
        routes=routes,
        secrets=secrets.messages,
        reports={ObjectRef(kind, *key): report.report() for kind, reports in by_kind.items() for key, report in reports.items()},
    )


def _gateways(inputs: GlooInputs, *, proxy: ProxyRef) -> list[Gateway]:
    """The Gateways of a proxy, the oldest first."""
    found = (item for item in inputs.gateways.values() if item.metadata.namespace == proxy.namespace and proxy.name in item.spec.proxy_names)
    return sorted(found, key=lambda item: item.age_key)


def _clusters(inputs: GlooInputs, *, gateways: list[Gateway], secrets: SecretBook, realise: Realise) -> _Clusters:
    messages: dict[str, Message] = {}
    assignments: dict[str, Message] = {}
    destinations: dict[Key, Destination] = {}
    reports: dict[Key, Reporter] = {}
    for plain_key, upstream in sorted(inputs.upstreams.items()):
        key = Key(*plain_key)
        report = reports[key] = Reporter()
        name = names.cluster_name(key.name, key.namespace)
        by_tcp = any(tcp.exposes(gateway, cluster=name, upstream=key) for gateway in gateways)
        result = translate_upstream(upstream, inputs=inputs, secrets=secrets, realise=realise, by_tcp=by_tcp, report=report)
        if result is None:
            continue
        messages[name] = result.cluster
        destinations[key] = Destination(cluster=name, tiers=result.tiers)
        if result.assignment is not None:
            assignments[name] = result.assignment
    return _Clusters(messages=messages, assignments=assignments, destinations=destinations, reports=reports)


def _claim_port(gateway: Gateway, key: Key, *, owners: dict[int, Key], report: Reporter) -> bool:
    port = gateway.spec.bind_port
    if port in owners:
        report.error("spec.bindPort", f"{port} is taken by Gateway {owners[port].namespace}/{owners[port].name} of the same proxy; use another port")
        return False
    owners[port] = key
    return True
