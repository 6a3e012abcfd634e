"""An Upstream as an Envoy cluster: one cluster with a priority for the Upstream's own endpoints and one for each failover tier.

The rules that keep a failover from losing requests are marked [R] below; each is Envoy's default turned round, and each has a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from envoy.config.core.v3 import address_pb2, protocol_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf import any_pb2, duration_pb2

from controlplane.translation import endpoints, tls, wire
from controlplane.translation.endpoints import Endpoint, Group, Priorities
from controlplane.translation.failover import FailoverTranslator
from controlplane.translation.health_check import health_checks
from controlplane.translation.reporter import Reporter
from controlplane.translation.secrets import SecretBook
from controlplane.translation.types import GlooInputs, Realise
from gloo_api import names
from gloo_api.upstream import Upstream, UpstreamSpec

CONNECT_TIMEOUT = timedelta(seconds=5)
"""Gloo's default."""

_RETRY_CONCURRENCY = 1024
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True)
class ClusterResult:
    """A cluster. `assignment` is None when the endpoints are in the cluster itself. `tiers` counts priorities: more than one means failover."""

    cluster: cluster_pb2.Cluster
    assignment: endpoint_pb2.ClusterLoadAssignment | None
    tiers: int


def translate_upstream(
    upstream: Upstream, *, inputs: GlooInputs, secrets: SecretBook, realise: Realise, by_tcp: bool, report: Reporter
) -> ClusterResult | None:
    """The cluster of an Upstream; None when the report rejects it or it has no destination yet. `by_tcp`: a TCP listener can reach it."""
    spec = upstream.spec
    report.unknown_fields(upstream)
    own = _own_endpoints(spec, inputs=inputs, realise=realise, report=report)
    if own is None:
        return None
    namespace = upstream.metadata.namespace
    alpn = "h2" if spec.use_http2 else "http/1.1"
    failover = FailoverTranslator(namespace=namespace, alpn=alpn, secrets=secrets, realise=realise, report=report)
    tiers = failover.priorities(spec)
    _weights(spec, report=report)
    priorities: Priorities = [[Group(endpoints=own)], *tiers]
    cluster = _cluster(names.cluster_name(upstream.metadata.name, namespace), spec, failover=bool(tiers), by_tcp=by_tcp, report=report)
    cluster.transport_socket_matches.extend(failover.socket_matches.values())
    if spec.ssl_config is not None:
        try:
            context = tls.upstream_tls(spec.ssl_config, secrets=secrets, namespace=namespace, alpn=alpn, path="spec.sslConfig", report=report)
            cluster.transport_socket.CopyFrom(tls.transport_socket(context))
        except tls.UnusableTls as error:
            report.error(f"spec.sslConfig.{error.path}", str(error))
    if report.rejected:
        return None
    return ClusterResult(cluster=cluster, assignment=_assign(cluster, spec, priorities), tiers=len(priorities))


def _own_endpoints(spec: UpstreamSpec, *, inputs: GlooInputs, realise: Realise, report: Reporter) -> tuple[Endpoint, ...] | None:
    if spec.kube is not None and spec.static is not None:
        report.error("spec", "has both kube and static; allowed is one of them")
        return None
    if spec.kube is not None:
        return endpoints.kube_endpoints(spec.kube, inputs=inputs, realise=realise, report=report)
    if spec.static is not None:
        return endpoints.static_endpoints(spec.static, realise=realise)
    # Not an error: whoever sets the health check or the failover may come before discovery, which adds the Service.
    report.warn("spec", "names no destination yet; it needs kube (set by discovery, when a Service has that name) or static")
    return None


def _weights(spec: UpstreamSpec, *, report: Reporter) -> None:
    if _weighted(spec) or spec.failover is None:
        return
    for priority, locality in enumerate(spec.failover.prioritized_localities):
        for index, group in enumerate(locality.locality_endpoints):
            if group.load_balancing_weight is not None and len(locality.locality_endpoints) > 1:
                path = f"spec.failover.prioritizedLocalities[{priority}].localityEndpoints[{index}].loadBalancingWeight"
                report.warn(path, f"{group.load_balancing_weight} has no effect; set spec.loadBalancerConfig.localityWeightedLbConfig: {{}}")


def _weighted(spec: UpstreamSpec) -> bool:
    return spec.load_balancer_config is not None and spec.load_balancer_config.locality_weighted_lb_config is not None


def _cluster(name: str, spec: UpstreamSpec, *, failover: bool, by_tcp: bool, report: Reporter) -> cluster_pb2.Cluster:
    cluster = cluster_pb2.Cluster(
        name=name,
        connect_timeout=wire.duration((spec.connection_config and spec.connection_config.connect_timeout) or CONNECT_TIMEOUT),
        health_checks=health_checks(spec, report=report),
        # [R] Zero: by default a second change of health within a second waits for that second to end, so failback is late.
        common_lb_config=cluster_pb2.Cluster.CommonLbConfig(update_merge_window=duration_pb2.Duration()),
        # [R] An endpoint that discovery has taken away gets no more requests, even while it still answers its health check.
        ignore_health_on_host_removal=spec.ignore_health_on_host_removal is not False,
        # [R] Connections of a TCP proxy would otherwise stay on an endpoint that has become unhealthy.
        close_connections_on_host_health_failure=by_tcp,
    )
    load_balancer = spec.load_balancer_config
    if load_balancer is not None and load_balancer.healthy_panic_threshold is not None:
        cluster.common_lb_config.healthy_panic_threshold.CopyFrom(percent_pb2.Percent(value=load_balancer.healthy_panic_threshold))
    if _weighted(spec):
        cluster.common_lb_config.locality_weighted_lb_config.SetInParent()
    if spec.use_http2:
        cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(_http2())
    if failover:
        _prepare_for_failover(cluster)
    return cluster


def _prepare_for_failover(cluster: cluster_pb2.Cluster) -> None:
    # [R] All requests in flight retry at the same moment. By default three retries may run at once, and the rest fail.
    budget = circuit_breaker_pb2.CircuitBreakers.Thresholds.RetryBudget(
        budget_percent=percent_pb2.Percent(value=100), min_retry_concurrency=wire.uint32(_RETRY_CONCURRENCY)
    )
    cluster.circuit_breakers.thresholds.add(retry_budget=budget)
    # [R] Idle connections to the other cluster die unnoticed in firewalls on the way; probe them.
    keepalive = address_pb2.TcpKeepalive(keepalive_time=wire.uint32(10), keepalive_interval=wire.uint32(5), keepalive_probes=wire.uint32(3))
    cluster.upstream_connection_options.tcp_keepalive.CopyFrom(keepalive)


def _http2() -> any_pb2.Any:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    options.explicit_http_config.http2_protocol_options.CopyFrom(protocol_pb2.Http2ProtocolOptions())
    return wire.pack(options)


def _assign(cluster: cluster_pb2.Cluster, spec: UpstreamSpec, priorities: Priorities) -> endpoint_pb2.ClusterLoadAssignment | None:
    """Choose how the cluster learns its endpoints.

    By EDS, so that endpoints come and go without touching the cluster. Two things EDS cannot do: host names (Envoy resolves them in a STRICT_DNS
    cluster), and two endpoints with the same address and port, such as two Upstreams behind one failover Gateway, of which it keeps one (envoy#22417;
    a STATIC cluster keeps both).
    """
    policy = spec.failover.policy if spec.failover else None
    assignment = endpoints.load_assignment(
        cluster.name, priorities, overprovisioning_factor=policy.overprovisioning_factor if policy else None, weighted=_weighted(spec)
    )
    all_endpoints = [endpoint for groups in priorities for group in groups for endpoint in group.endpoints]
    if any(not wire.is_ip(endpoint.host) for endpoint in all_endpoints):
        cluster.type = cluster_pb2.Cluster.STRICT_DNS
        cluster.dns_lookup_family = cluster_pb2.Cluster.V4_PREFERRED
    elif len({(endpoint.host, endpoint.port) for endpoint in all_endpoints}) < len(all_endpoints):
        cluster.type = cluster_pb2.Cluster.STATIC
    else:
        cluster.type = cluster_pb2.Cluster.EDS
        cluster.eds_cluster_config.eds_config.CopyFrom(wire.ads())
        return assignment
    cluster.load_assignment.CopyFrom(assignment)
    return None
