"""TCP hosts of a Gateway as filter chains: TLS that is terminated, the server name that chooses the cluster, who may come in.

One bad host never takes the others down: it is left out and warned about. A Gateway with no host left is rejected.
"""

from __future__ import annotations

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.sni_cluster.v3 import sni_cluster_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from controlplane.translation import tls, wire
from controlplane.translation.reporter import Reporter
from controlplane.translation.route import Destinations
from controlplane.translation.secrets import SecretBook
from controlplane.translation.types import Key
from gloo_api import names
from gloo_api.gateway import Gateway, TcpHost

_ALPN = ("http/1.1",)
"""The bytes are passed on unread; an application that speaks HTTP/1.1 must not be offered as one that speaks HTTP/2."""

CONNECT_ATTEMPTS = 3
"""An endpoint that has just gone refuses connections until discovery says so. By default (one attempt) its share of the clients would be hung up on,
though nothing was sent yet and the next endpoint is there: requests that fail over to an Upstream during its rollout were lost so."""
_EARLY_DATA_BYTES = 64 * 1024


def add_filter_chains(
    listener: listener_pb2.Listener, gateway: Gateway, *, secrets: SecretBook, destinations: Destinations, report: Reporter
) -> None:
    """Fill `listener` with a chain for each TCP host of `gateway`."""
    hosts = gateway.spec.tcp_gateway.tcp_hosts if gateway.spec.tcp_gateway else ()
    taken: dict[str, str] = {}
    for index, host in enumerate(hosts):
        path = f"spec.tcpGateway.tcpHosts[{index}]"
        if not _claim_names(host, path=path, taken=taken, report=report):
            continue
        chain = _chain(host, gateway=gateway, path=path, secrets=secrets, destinations=destinations, report=report)
        if chain is not None:
            listener.filter_chains.append(chain)
    if not listener.filter_chains:
        report.error(
            "spec.tcpGateway.tcpHosts", "no host can be served; at least one is needed" if hosts else "is empty; at least one host is needed"
        )
    if any(_reads_server_name(host) for host in hosts):
        tls.inspect(listener)


def exposes(gateway: Gateway, *, cluster: str, upstream: Key) -> bool:
    """Whether TCP connections of a Gateway can reach the cluster of an Upstream."""
    hosts = gateway.spec.tcp_gateway.tcp_hosts if gateway.spec.tcp_gateway else ()
    for host in hosts:
        if any(target == upstream for _, target in _targets(host, gateway)):
            return True
        allowed = host.ssl_config.sni_domains if host.ssl_config else ()
        if host.destination.forward_sni_cluster_name is not None and (not allowed or cluster in allowed):
            return True
    return False


def _reads_server_name(host: TcpHost) -> bool:
    return host.ssl_config is not None or host.destination.forward_sni_cluster_name is not None


def _claim_names(host: TcpHost, *, path: str, taken: dict[str, str], report: Reporter) -> bool:
    """Two chains for the same server name would make Envoy refuse the listener; the first one keeps it."""
    asked = [name.lower() for name in host.ssl_config.sni_domains] if host.ssl_config and host.ssl_config.sni_domains else [""]
    for name in asked:
        if name in taken:
            what = f'server name "{name}"' if name else "connections of any server name"
            report.warn(f"{path}.sslConfig.sniDomains", f'{what}: host "{taken[name]}" has it already; host "{host.name}" is left out')
            return False
    taken.update(dict.fromkeys(asked, host.name))
    return True


def _chain(
    host: TcpHost, *, gateway: Gateway, path: str, secrets: SecretBook, destinations: Destinations, report: Reporter
) -> listener_components_pb2.FilterChain | None:
    filters = _filters(host, gateway=gateway, path=path, destinations=destinations, report=report)
    if filters is None:
        return None
    chain = listener_components_pb2.FilterChain(name=host.name, filters=filters)
    if host.ssl_config is None:
        return chain
    try:
        verified = tls.terminate(chain, host.ssl_config, secrets=secrets, namespace=gateway.metadata.namespace, alpn=_ALPN)
    except tls.UnusableTls as error:
        report.warn(f"{path}.sslConfig.{error.path}", f'{error}; host "{host.name}" is left out')
        return None
    if not verified:
        report.warn(f"{path}.sslConfig", "anyone can connect: clients are verified only with a ca.crt in the Secret and oneWayTls false")
    return chain


def _filters(
    host: TcpHost, *, gateway: Gateway, path: str, destinations: Destinations, report: Reporter
) -> list[listener_components_pb2.Filter] | None:
    kinds = [host.destination.single, host.destination.multi, host.destination.forward_sni_cluster_name]
    if sum(kind is not None for kind in kinds) != 1:
        report.warn(f"{path}.destination", f'needs exactly one of single, multi and forwardSniClusterName; host "{host.name}" is left out')
        return None
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix=f"{gateway.metadata.name}.{host.name}")
    _apply_settings(proxy, gateway)
    if host.ssl_config is not None:
        # By default the upstream is dialled before the client has shown its certificate: strangers could make connections to it.
        proxy.upstream_connect_mode = tcp_proxy_pb2.ON_DOWNSTREAM_TLS_HANDSHAKE
        # Envoy refuses that mode without a bound on what a client may send before the upstream is connected.
        proxy.max_early_data_bytes.value = _EARLY_DATA_BYTES
    if host.destination.forward_sni_cluster_name is None:
        if not _name_clusters(proxy, host, gateway=gateway, path=path, destinations=destinations, report=report):
            return None
        return [_filter("envoy.filters.network.tcp_proxy", proxy)]
    if not (host.ssl_config and host.ssl_config.sni_domains):
        report.warn(
            f"{path}.sslConfig.sniDomains",
            "is empty, so whoever may connect reaches every Upstream of this proxy; list the names that may be asked for, <upstream>_<namespace>",
        )
    # The cluster is overwritten by sni_cluster; an empty one makes sure that nothing is reached without a server name.
    proxy.cluster = ""
    return [_filter("envoy.filters.network.sni_cluster", sni_cluster_pb2.SniCluster()), _filter("envoy.filters.network.tcp_proxy", proxy)]


def _targets(host: TcpHost, gateway: Gateway) -> list[tuple[int, Key | None]]:
    """Weight and Upstream of each destination; None where none is named."""
    destination = host.destination
    found = [(1, destination.single)] if destination.single else []
    if destination.multi is not None:
        found = [(item.weight, item.destination) for item in destination.multi.destinations if item.weight]
    namespace = gateway.metadata.namespace
    return [(weight, Key(each.upstream.namespace or namespace, each.upstream.name) if each.upstream else None) for weight, each in found]


def _name_clusters(
    proxy: tcp_proxy_pb2.TcpProxy, host: TcpHost, *, gateway: Gateway, path: str, destinations: Destinations, report: Reporter
) -> bool:
    """Say where connections go; False when nowhere. The share of a missing Upstream stays its own, and its connections are closed."""
    for index, item in enumerate(host.destination.multi.destinations if host.destination.multi else ()):
        if item.options is not None and item.options.header_manipulation is not None:
            report.warn(f"{path}.destination.multi.destinations[{index}].options.headerManipulation", "has no effect on TCP")
    targets = _targets(host, gateway)
    known = [destinations[target].cluster for _, target in targets if target is not None and target in destinations]
    what = f'host "{host.name}" is left out' if not known else "connections of its share are closed"
    field = f"{path}.destination.{'single' if host.destination.single else 'multi'}"
    for _, target in targets:
        if target is None:
            report.warn(field, f"names no upstream; {what}")
        elif target not in destinations:
            report.warn(field, f"Upstream {target.namespace}/{target.name} does not exist or is not usable; {what}")
    if len(targets) == 1 and known:
        proxy.cluster = known[0]
        return True
    for weight, target in targets:
        name = names.cluster_name(target.name, target.namespace) if target else "-"
        proxy.weighted_clusters.clusters.add(name=name, weight=weight)
    return bool(known)


def _apply_settings(proxy: tcp_proxy_pb2.TcpProxy, gateway: Gateway) -> None:
    given = gateway.spec.tcp_gateway.options if gateway.spec.tcp_gateway else None
    settings = given.tcp_proxy_settings if given else None
    attempts = settings.max_connect_attempts if settings else None
    proxy.max_connect_attempts.value = CONNECT_ATTEMPTS if attempts is None else attempts
    if settings is not None and settings.idle_timeout is not None:
        proxy.idle_timeout.CopyFrom(wire.duration(settings.idle_timeout))


def _filter(name: str, config: sni_cluster_pb2.SniCluster | tcp_proxy_pb2.TcpProxy) -> listener_components_pb2.Filter:
    return listener_components_pb2.Filter(name=name, typed_config=wire.pack(config))
