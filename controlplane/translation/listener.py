"""A Gateway as an Envoy listener: where it binds, and the HTTP and HTTPS side. The TCP side is in tcp.py."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from controlplane.translation import tcp, tls, wire
from controlplane.translation.reporter import Reporter, Reporters
from controlplane.translation.route import Destinations
from controlplane.translation.secrets import SecretBook
from controlplane.translation.types import Key, ObjectRef, ProxyRef
from gloo_api.gateway import DEFAULT_BUFFER_LIMIT, Gateway, GatewaySpec, HttpGateway
from gloo_api.label_selector import all_hold
from gloo_api.ssl import SslConfig
from gloo_api.virtual_service import VirtualService

_Hcm = http_connection_manager_pb2.HttpConnectionManager


@dataclass(frozen=True)
class ListenerResult:
    """A listener, and the names of the route configurations that it asks for, each with the VirtualServices in it (none for TCP)."""

    listener: listener_pb2.Listener
    routes: Mapping[str, Sequence[VirtualService]] = field(default_factory=dict)


def translate_gateway(
    gateway: Gateway, services: Iterable[VirtualService], *, proxy: ProxyRef, secrets: SecretBook, destinations: Destinations, reports: Reporters
) -> ListenerResult | None:
    """The listener of a Gateway; None when its report rejects it. `services` are those that it serves (see `selected`)."""
    report = reports[ObjectRef("Gateway", *gateway.key)]
    report.unknown_fields(gateway)
    spec = gateway.spec
    _warn_of_no_effect(spec, report=report)
    listener = _bound(spec, proxy=proxy, report=report)
    if report.rejected:
        return None
    if spec.use_proxy_proto:
        config = proxy_protocol_pb2.ProxyProtocol()
        listener.listener_filters.add(name="envoy.filters.listener.proxy_protocol").typed_config.CopyFrom(wire.pack(config))
    if spec.tcp_gateway is not None:
        tcp.add_filter_chains(listener, gateway, secrets=secrets, destinations=destinations, report=report)
        return None if report.rejected else ListenerResult(listener)
    prefix, name = gateway.metadata.name, route_name(spec)
    if not spec.ssl:
        listener.filter_chains.append(_http_chain(prefix, route_name=name))
        return ListenerResult(listener, {name: list(services)})
    routes: dict[str, Sequence[VirtualService]] = {}
    for config, group in _by_tls(services, reports=reports):
        try:
            chain = _https_chain(config, group, prefix=prefix, name=name, secrets=secrets)
        except tls.UnusableTls as error:
            for service in group:
                reports[ObjectRef("VirtualService", *service.key)].error(f"spec.sslConfig.{error.path}", str(error))
            continue
        listener.filter_chains.append(chain)
        routes[chain.name] = group
    if not routes:
        report.warn("spec.ssl", "no VirtualService with a usable sslConfig is chosen, so that nothing listens on the port")
        return None
    tls.inspect(listener)
    return ListenerResult(listener, routes)


def listener_name(spec: GatewaySpec) -> str:
    """The name of a Gateway's listener. It has address and port, so that a Gateway which moves gets a new one and the old one drains."""
    return f"listener-{spec.bind_address}-{spec.bind_port}"


def route_name(spec: GatewaySpec) -> str:
    """The name of the route configuration of an HTTP Gateway; those of an HTTPS Gateway begin with it."""
    return f"{listener_name(spec)}-routes"


def owns_routes(spec: GatewaySpec, name: str) -> bool:
    """Whether a route configuration belongs to a Gateway."""
    own = route_name(spec)
    return spec.http_gateway is not None and (name == own or name.startswith(f"{own}-"))


def selected(gateway: Gateway, services: Mapping[Key, VirtualService]) -> list[VirtualService]:
    """The VirtualServices that a Gateway serves, the oldest first; none for TCP."""
    if gateway.spec.http_gateway is None:
        return []
    return sorted((service for service in services.values() if serves(gateway, service)), key=lambda service: service.age_key)


def serves(gateway: Gateway, service: VirtualService) -> bool:
    """Whether a Gateway serves a VirtualService: HTTPS those with an sslConfig alone, HTTP those without; then by its choice."""
    http = gateway.spec.http_gateway
    return http is not None and gateway.spec.ssl == (service.spec.ssl_config is not None) and _chooses(http, service)


def _chooses(gateway: HttpGateway, service: VirtualService) -> bool:
    """By conditions, else by labels, else by names, else all of them; in some namespaces alone unless by name (Gloo's order)."""
    namespace, name = service.key
    labels = service.metadata.labels
    by_label = gateway.virtual_service_expressions is not None or bool(gateway.virtual_service_selector)
    if gateway.virtual_services and not by_label:
        return any((ref.namespace or namespace, ref.name) == (namespace, name) for ref in gateway.virtual_services)
    namespaces = gateway.virtual_service_namespaces
    if namespaces and "*" not in namespaces and namespace not in namespaces:
        return False
    if gateway.virtual_service_expressions is not None:
        return all_hold(gateway.virtual_service_expressions.expressions, labels)
    return gateway.virtual_service_selector.items() <= labels.items()


def _warn_of_no_effect(spec: GatewaySpec, *, report: Reporter) -> None:
    """Nothing is ignored in silence."""
    if spec.tcp_gateway is not None and spec.ssl:
        report.warn("spec.ssl", "has no effect on TCP: each host has its own sslConfig")
    http = spec.http_gateway
    if http is None:
        return
    choices = {
        "virtualServiceExpressions": http.virtual_service_expressions is not None,
        "virtualServiceSelector": bool(http.virtual_service_selector),
        "virtualServices": bool(http.virtual_services),
    }
    first, *others = [name for name, given in choices.items() if given] or [""]
    for other in others:
        report.warn(f"spec.httpGateway.{other}", f"has no effect beside {first}, which goes before it")
    if first == "virtualServices" and http.virtual_service_namespaces:
        report.warn("spec.httpGateway.virtualServiceNamespaces", "has no effect beside virtualServices, whose namespaces are in their references")


def _bound(spec: GatewaySpec, *, proxy: ProxyRef, report: Reporter) -> listener_pb2.Listener:
    """A listener with name, address and buffer."""
    host = spec.bind_address
    if not wire.is_ip(host):
        report.error("spec.bindAddress", f'"{host}" is not allowed: an IP address, "::" or "0.0.0.0"')
    elif ipaddress.ip_address(host).is_unspecified and proxy.bind_address:
        host = proxy.bind_address
    limit = spec.options.per_connection_buffer_limit_bytes if spec.options else None
    return listener_pb2.Listener(
        name=listener_name(spec),
        address=wire.socket_address(host, spec.bind_port, ipv4_compat=host == "::"),
        # As by default, but said: it bounds the bodies of the requests that can be tried again (see docs/api.md).
        per_connection_buffer_limit_bytes=wire.uint32(limit or DEFAULT_BUFFER_LIMIT),
    )


def _by_tls(services: Iterable[VirtualService], *, reports: Reporters) -> list[tuple[SslConfig, list[VirtualService]]]:
    """VirtualServices by their TLS settings: on one connection any of a group may be asked for. A server name belongs to one group."""
    groups: dict[SslConfig, list[VirtualService]] = {}
    owners: dict[str, tuple[SslConfig, Key]] = {}
    for service in services:
        if service.spec.ssl_config is None:
            continue
        key = Key(*service.key)
        config = _absolute(service.spec.ssl_config, namespace=key.namespace)
        names = [name.lower() for name in config.sni_domains] or [""]
        taken = [name for name in names if name in owners and owners[name][0] != config]
        if taken:
            owner = owners[taken[0]][1]
            what = f'"{taken[0]}"' if taken[0] else "any server name"
            report = reports[ObjectRef("VirtualService", *key)]
            report.error(
                "spec.sslConfig.sniDomains", f"{what} is served already with other TLS settings by VirtualService {owner.namespace}/{owner.name}"
            )
            continue
        owners |= dict.fromkeys(names, (config, key))
        groups.setdefault(config, []).append(service)
    return list(groups.items())


def _absolute(config: SslConfig, *, namespace: str) -> SslConfig:
    """The same settings with the namespace of the Secret written out: two that look alike in two namespaces are not the same."""
    ref = config.secret_ref
    if ref is None or ref.namespace:
        return config
    return config.model_copy(update={"secret_ref": ref.model_copy(update={"namespace": namespace})})


def _https_chain(
    config: SslConfig, services: list[VirtualService], *, prefix: str, name: str, secrets: SecretBook
) -> listener_components_pb2.FilterChain:
    """A chain for some server names. Its name, and that of its routes, says for which, and stays when certificates change. Raises UnusableTls."""
    names = sorted(name.lower() for name in config.sni_domains)
    digest = hashlib.sha256(" ".join(names).encode()).hexdigest()[:12]
    chain = _http_chain(prefix, route_name=f"{name}-{digest}")
    chain.name = f"{name}-{digest}"
    namespace = services[0].metadata.namespace
    tls.terminate(chain, config, alpn=("h2", "http/1.1"), secrets=secrets, namespace=namespace)
    return chain


def _http_chain(stat_prefix: str, *, route_name: str) -> listener_components_pb2.FilterChain:
    manager = _Hcm(
        stat_prefix=stat_prefix,
        rds=http_connection_manager_pb2.Rds(config_source=wire.ads(), route_config_name=route_name),
        # The edge of the mesh: the peer's address is the client's, and what a client claims about it is not believed.
        use_remote_address=wire.boolean(True),
        upgrade_configs=[_Hcm.UpgradeConfig(upgrade_type="websocket")],
    )
    router = manager.http_filters.add(name="envoy.filters.http.router")
    router.typed_config.CopyFrom(wire.pack(router_pb2.Router()))
    network_filter = listener_components_pb2.Filter(name="envoy.filters.network.http_connection_manager", typed_config=wire.pack(manager))
    return listener_components_pb2.FilterChain(filters=[network_filter])
