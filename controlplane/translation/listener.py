"""A Gateway as an Envoy listener: where it binds, and the HTTP side. The TCP side is in tcp.py."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from controlplane.translation import tcp, wire
from controlplane.translation.reporter import Reporter
from controlplane.translation.route import Destinations
from controlplane.translation.secrets import SecretBook
from controlplane.translation.types import Key, ProxyRef
from gloo_api.gateway import Gateway, GatewaySpec, HttpGateway
from gloo_api.virtual_service import VirtualService

_Hcm = http_connection_manager_pb2.HttpConnectionManager


@dataclass(frozen=True)
class ListenerResult:
    """A listener, and the name of the route configuration that it asks for (None for TCP)."""

    listener: listener_pb2.Listener
    route_name: str | None


def translate_gateway(
    gateway: Gateway, *, proxy: ProxyRef, secrets: SecretBook, destinations: Destinations, report: Reporter
) -> ListenerResult | None:
    """The listener of a Gateway; None when the report rejects it."""
    report.unknown_fields(gateway)
    spec = gateway.spec
    listener = _bound(spec, proxy=proxy, report=report)
    if spec.ssl:
        report.error("spec.ssl", "true is not allowed: HTTPS is not supported")
    if (spec.http_gateway is None) == (spec.tcp_gateway is None):
        report.error("spec", "needs exactly one of httpGateway and tcpGateway")
    if report.rejected:
        return None
    if spec.tcp_gateway is not None:
        tcp.add_filter_chains(listener, gateway, secrets=secrets, destinations=destinations, report=report)
        return None if report.rejected else ListenerResult(listener=listener, route_name=None)
    name = route_name(spec)
    listener.filter_chains.append(_http_chain(gateway.metadata.name, route_name=name))
    return ListenerResult(listener=listener, route_name=name)


def listener_name(spec: GatewaySpec) -> str:
    """The name of a Gateway's listener. It has address and port, so that a Gateway which moves gets a new one and the old one drains."""
    return f"listener-{spec.bind_address}-{spec.bind_port}"


def route_name(spec: GatewaySpec) -> str:
    """The name of the route configuration that an HTTP Gateway's listener asks for."""
    return f"{listener_name(spec)}-routes"


def serves(gateway: HttpGateway, service: VirtualService) -> bool:
    """Whether a VirtualService is one of those that an HTTP Gateway chooses: by name if it names any, else by namespace and label."""
    namespace, name = service.key
    if gateway.virtual_services:
        return any((ref.namespace or namespace, ref.name) == (namespace, name) for ref in gateway.virtual_services)
    namespaces = gateway.virtual_service_namespaces
    return (not namespaces or "*" in namespaces or namespace in namespaces) and (
        gateway.virtual_service_selector.items() <= service.metadata.labels.items()
    )


def selected(gateway: HttpGateway, services: Mapping[Key, VirtualService]) -> list[VirtualService]:
    return [service for service in services.values() if serves(gateway, service)]


def _bound(spec: GatewaySpec, *, proxy: ProxyRef, report: Reporter) -> listener_pb2.Listener:
    """A listener with name and address."""
    host = spec.bind_address
    if not wire.is_ip(host):
        report.error("spec.bindAddress", f'"{host}" is not allowed: an IP address, "::" or "0.0.0.0"')
    elif ipaddress.ip_address(host).is_unspecified and proxy.bind_address:
        host = proxy.bind_address
    address = wire.socket_address(host, spec.bind_port, ipv4_compat=host == "::")
    return listener_pb2.Listener(name=listener_name(spec), address=address)


def _http_chain(stat_prefix: str, *, route_name: str) -> listener_components_pb2.FilterChain:
    manager = _Hcm(
        stat_prefix=stat_prefix,
        rds=http_connection_manager_pb2.Rds(config_source=wire.ads(), route_config_name=route_name),
        # The edge of the mesh: the peer's address is the client's, and what a client claims about it is not believed.
        use_remote_address=wire.boolean(True),
    )
    router = manager.http_filters.add(name="envoy.filters.http.router")
    router.typed_config.CopyFrom(wire.pack(router_pb2.Router()))
    network_filter = listener_components_pb2.Filter(name="envoy.filters.network.http_connection_manager", typed_config=wire.pack(manager))
    return listener_components_pb2.FilterChain(filters=[network_filter])
