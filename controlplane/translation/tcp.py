"""TCP hosts of a Gateway as filter chains: TLS that is terminated, the server name that chooses the cluster, who may come in.

One bad host never takes the others down: it is left out and warned about. A Gateway with no host left is rejected.
"""

from __future__ import annotations

from datetime import timedelta

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.sni_cluster.v3 import sni_cluster_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from controlplane.translation import tls, wire
from controlplane.translation.reporter import Reporter
from controlplane.translation.route import Destinations
from controlplane.translation.secrets import SecretBook
from controlplane.translation.types import Key
from gloo_api.gateway import Gateway, TcpHost

_HANDSHAKE_TIMEOUT = timedelta(seconds=15)
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
    # Without the inspector the server name is never read, even where TLS ends here: no connection would find its cluster.
    if any(_reads_server_name(host) for host in hosts):
        listener.listener_filters.add(name="envoy.filters.listener.tls_inspector").typed_config.CopyFrom(wire.pack(tls_inspector_pb2.TlsInspector()))


def exposes(gateway: Gateway, *, cluster: str, upstream: Key) -> bool:
    """Whether TCP connections of a Gateway can reach the cluster of an Upstream."""
    hosts = gateway.spec.tcp_gateway.tcp_hosts if gateway.spec.tcp_gateway else ()
    for host in hosts:
        single = host.destination.single
        if single and single.upstream and Key(single.upstream.namespace or gateway.metadata.namespace, single.upstream.name) == upstream:
            return True
        allowed = host.ssl_config.sni_domains if host.ssl_config else ()
        if host.destination.forward_sni_cluster_name is not None and (not allowed or cluster in allowed):
            return True
    return False


def _reads_server_name(host: TcpHost) -> bool:
    return host.ssl_config is not None or host.destination.forward_sni_cluster_name is not None


def _claim_names(host: TcpHost, *, path: str, taken: dict[str, str], report: Reporter) -> bool:
    """Two chains for the same server name would make Envoy refuse the listener; the first one keeps it."""
    names = [name.lower() for name in host.ssl_config.sni_domains] if host.ssl_config and host.ssl_config.sni_domains else [""]
    for name in names:
        if name in taken:
            what = f'server name "{name}"' if name else "connections of any server name"
            report.warn(f"{path}.sslConfig.sniDomains", f'{what}: host "{taken[name]}" has it already; host "{host.name}" is left out')
            return False
    taken.update(dict.fromkeys(names, host.name))
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
    namespace = gateway.metadata.namespace
    try:
        context = tls.downstream_tls(host.ssl_config, secrets=secrets, namespace=namespace, path=f"{path}.sslConfig", report=report)
    except tls.UnusableTls as error:
        report.warn(f"{path}.sslConfig.{error.path}", f'{error}; host "{host.name}" is left out')
        return None
    chain.transport_socket.CopyFrom(tls.transport_socket(context))
    # A client that connects and never finishes its handshake would hold the connection for ever.
    chain.transport_socket_connect_timeout.CopyFrom(wire.duration(_HANDSHAKE_TIMEOUT))
    if host.ssl_config.sni_domains:
        chain.filter_chain_match.server_names.extend(host.ssl_config.sni_domains)
    return chain


def _filters(
    host: TcpHost, *, gateway: Gateway, path: str, destinations: Destinations, report: Reporter
) -> list[listener_components_pb2.Filter] | None:
    single, forward = host.destination.single, host.destination.forward_sni_cluster_name
    if (single is None) == (forward is None):
        report.warn(f"{path}.destination", f'needs exactly one of single and forwardSniClusterName; host "{host.name}" is left out')
        return None
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix=f"{gateway.metadata.name}.{host.name}")
    if host.ssl_config is not None:
        # By default the upstream is dialled before the client has shown its certificate: strangers could make connections to it.
        proxy.upstream_connect_mode = tcp_proxy_pb2.ON_DOWNSTREAM_TLS_HANDSHAKE
        # Envoy refuses that mode without a bound on what a client may send before the upstream is connected.
        proxy.max_early_data_bytes.value = _EARLY_DATA_BYTES
    if single is not None:
        target = Key(single.upstream.namespace or gateway.metadata.namespace, single.upstream.name) if single.upstream else None
        if target is None or target not in destinations:
            what = f"Upstream {target.namespace}/{target.name} does not exist or is not usable" if target else "names no upstream"
            report.warn(f"{path}.destination.single", f'{what}; host "{host.name}" is left out')
            return None
        proxy.cluster = destinations[target].cluster
        return [_filter("envoy.filters.network.tcp_proxy", proxy)]
    if not (host.ssl_config and host.ssl_config.sni_domains):
        report.warn(
            f"{path}.sslConfig.sniDomains",
            "is empty, so whoever may connect reaches every Upstream of this proxy; list the names that may be asked for, <upstream>_<namespace>",
        )
    # The cluster is overwritten by sni_cluster; an empty one makes sure that nothing is reached without a server name.
    proxy.cluster = ""
    return [_filter("envoy.filters.network.sni_cluster", sni_cluster_pb2.SniCluster()), _filter("envoy.filters.network.tcp_proxy", proxy)]


def _filter(name: str, config: sni_cluster_pb2.SniCluster | tcp_proxy_pb2.TcpProxy) -> listener_components_pb2.Filter:
    return listener_components_pb2.Filter(name=name, typed_config=wire.pack(config))
