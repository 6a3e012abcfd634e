"""An Upstream as an Envoy cluster: one cluster with a priority for the Upstream's own endpoints and one for each failover tier.

The rules that keep a failover from losing requests are marked [R] here and in the files of the parts (connections, limits, load balancing, health
checks); each is Envoy's default turned round, each gives way to the user's own value, and each has a test.
"""

from __future__ import annotations

from dataclasses import dataclass

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2

from controlplane.translation import endpoints, limits, retry, static, tls, wire
from controlplane.translation.connection import set_connections
from controlplane.translation.endpoints import Endpoint, Group, Priorities
from controlplane.translation.failover import FailoverTranslator
from controlplane.translation.health_check import health_checks
from controlplane.translation.load_balancer import localities_are_weighted, spread_requests
from controlplane.translation.reporter import Reporter
from controlplane.translation.secrets import SecretBook
from controlplane.translation.sockets import Sockets
from controlplane.translation.static import StaticTranslator
from controlplane.translation.types import GlooInputs, Realise
from gloo_api import names
from gloo_api.upstream import Upstream, UpstreamSpec


@dataclass(frozen=True)
class ClusterResult:
    """A cluster. `assignment` is None when the endpoints are in the cluster itself. `tiers` counts priorities: more than one means failover, and
    `failover_retries` whether routes to it are to retry for that."""

    cluster: cluster_pb2.Cluster
    assignment: endpoint_pb2.ClusterLoadAssignment | None
    tiers: int
    failover_retries: bool


def translate_upstream(
    upstream: Upstream, *, inputs: GlooInputs, secrets: SecretBook, realise: Realise, by_tcp: bool, report: Reporter
) -> ClusterResult | None:
    """The cluster of an Upstream; None when the report rejects it or it has no destination yet. `by_tcp`: a TCP listener can reach it."""
    spec, namespace = upstream.spec, upstream.metadata.namespace
    report.unknown_fields(upstream)
    sockets = Sockets(namespace=namespace, alpn="h2" if spec.use_http2 else "http/1.1", secrets=secrets, report=report)
    own_tls = static.tls_config(spec)
    cluster = cluster_pb2.Cluster(name=names.cluster_name(upstream.metadata.name, namespace))
    try:
        own = _own_endpoints(StaticTranslator(spec=spec, tls=own_tls, sockets=sockets, realise=realise, report=report), inputs=inputs)
        tiers = FailoverTranslator(spec=spec, sockets=sockets, realise=realise, report=report).priorities() if own is not None else []
        sockets.into(cluster, own_tls, path="spec.sslConfig")
    except tls.UnusableTls as error:
        report.error(f"spec.sslConfig.{error.path}", str(error))
        return None
    if own is None:
        return None
    _fill(cluster, spec, failover=bool(tiers), by_tcp=by_tcp, report=report)
    retries = retry.wanted(upstream, report)
    if report.rejected:
        return None
    assignment = _assign(cluster, spec, [[Group(endpoints=own)], *tiers])
    return ClusterResult(cluster=cluster, assignment=assignment, tiers=1 + len(tiers), failover_retries=retries)


def _own_endpoints(translator: StaticTranslator, *, inputs: GlooInputs) -> tuple[Endpoint, ...] | None:
    spec, report = translator.spec, translator.report
    if spec.kube is not None and spec.static is not None:
        report.error("spec", "has both kube and static; allowed is one of them")
        return None
    if spec.kube is not None:
        return endpoints.kube_endpoints(spec.kube, inputs=inputs, realise=translator.realise, report=report)
    if spec.static is not None:
        return translator.endpoints(spec.static)
    # Not an error: whoever sets the health check or the failover may come before discovery, which adds the Service.
    report.warn("spec", "names no destination yet; it needs kube (set by discovery, when a Service has that name) or static")
    return None


def _fill(cluster: cluster_pb2.Cluster, spec: UpstreamSpec, *, failover: bool, by_tcp: bool, report: Reporter) -> None:
    # [R] An endpoint that discovery has taken away gets no more requests, even while it still answers its health check.
    cluster.ignore_health_on_host_removal = spec.ignore_health_on_host_removal is not False
    # [R] Connections of a TCP proxy would otherwise stay on an endpoint that has become unhealthy.
    cluster.close_connections_on_host_health_failure = by_tcp
    cluster.health_checks.extend(health_checks(spec, report=report))
    spread_requests(cluster, spec.load_balancer_config, failover=failover, report=report)
    set_connections(cluster, spec, failover=failover, report=report)
    if spec.outlier_detection is not None:
        cluster.outlier_detection.CopyFrom(limits.outlier_detection(spec.outlier_detection))
    if (breakers := limits.circuit_breakers(spec.circuit_breakers, failover=failover)) is not None:
        cluster.circuit_breakers.CopyFrom(breakers)


def _assign(cluster: cluster_pb2.Cluster, spec: UpstreamSpec, priorities: Priorities) -> endpoint_pb2.ClusterLoadAssignment | None:
    """Choose how the cluster learns its endpoints.

    [R] By EDS, so that endpoints come and go without touching the cluster. Two things EDS cannot do: host names (Envoy resolves them in a STRICT_DNS
    cluster), and two endpoints with the same address and port, such as two Upstreams behind one failover Gateway, of which it keeps one (envoy#22417;
    STATIC and STRICT_DNS clusters keep both).
    """
    policy = spec.failover.policy if spec.failover else None
    assignment = endpoints.load_assignment(
        cluster.name,
        priorities,
        overprovisioning_factor=policy.overprovisioning_factor if policy else None,
        weighted=localities_are_weighted(spec),
    )
    addresses = [(endpoint.host, endpoint.port) for groups in priorities for group in groups for endpoint in group.endpoints]
    if any(not wire.is_ip(host) for host, _ in addresses):
        cluster.type = cluster_pb2.Cluster.STRICT_DNS
        cluster.dns_lookup_family = cluster_pb2.Cluster.V4_PREFERRED
    elif len(set(addresses)) < len(addresses):
        cluster.type = cluster_pb2.Cluster.STATIC
    else:
        cluster.type = cluster_pb2.Cluster.EDS
        cluster.eds_cluster_config.eds_config.CopyFrom(wire.ads())
        return assignment
    cluster.load_assignment.CopyFrom(assignment)
    return None
