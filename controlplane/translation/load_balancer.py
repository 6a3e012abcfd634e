"""How a cluster spreads requests: `loadBalancerConfig`, and what of it does not go with failover."""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf import wrappers_pb2

from controlplane.translation import wire
from controlplane.translation.reporter import Reporter
from gloo_api.load_balancer import MAX_RING_SIZE, LeastRequest, LoadBalancerConfig, RingHashConfig, SlowStartConfig
from gloo_api.upstream import UpstreamSpec

_PATH = "spec.loadBalancerConfig"
_DEFAULT_MINIMUM_RING_SIZE = 1024
_Cluster = cluster_pb2.Cluster


def localities_are_weighted(spec: UpstreamSpec) -> bool:
    return spec.load_balancer_config is not None and spec.load_balancer_config.locality_weighted_lb_config is not None


def spread_requests(cluster: cluster_pb2.Cluster, config: LoadBalancerConfig | None, *, failover: bool, report: Reporter) -> None:
    """Put `config` into `cluster`; with None, what holds for every cluster."""
    common = cluster.common_lb_config
    # [R] Zero: by default a second change of health within a second waits for that second to end, so failback is late.
    common.update_merge_window.SetInParent()
    if config is None:
        return
    if config.update_merge_window is not None:
        common.update_merge_window.CopyFrom(wire.duration(config.update_merge_window))
    if config.healthy_panic_threshold is not None:
        common.healthy_panic_threshold.CopyFrom(percent_pb2.Percent(value=config.healthy_panic_threshold))
    if config.locality_weighted_lb_config is not None:
        common.locality_weighted_lb_config.SetInParent()
    common.close_connections_on_host_set_change = config.close_connections_on_host_set_change
    _policy(cluster, config, failover=failover, report=report)


def _policy(cluster: cluster_pb2.Cluster, config: LoadBalancerConfig, *, failover: bool, report: Reporter) -> None:
    chosen = [name for name in ("round_robin", "least_request", "random", "ring_hash", "maglev") if getattr(config, name) is not None]
    if len(chosen) > 1:
        report.error(_PATH, f"has {len(chosen)} ways to spread requests; allowed is one of roundRobin, leastRequest, random, ringHash and maglev")
        return
    if config.round_robin is not None:
        _slow_start(cluster.round_robin_lb_config, config.round_robin.slow_start_config, path="roundRobin", name=cluster.name, report=report)
    elif config.least_request is not None:
        _least_request(cluster, config.least_request, report=report)
    elif config.random is not None:
        cluster.lb_policy = _Cluster.RANDOM
    elif config.ring_hash is not None:
        cluster.lb_policy = _Cluster.RING_HASH
        _ring(cluster.ring_hash_lb_config, config.ring_hash.ring_hash_config or RingHashConfig.model_construct(), report=report)
    elif config.maglev is not None:
        cluster.lb_policy = _Cluster.MAGLEV
    if failover and cluster.lb_policy in (_Cluster.RING_HASH, _Cluster.MAGLEV):
        # Envoy asks the retry for its priority in every other balancer; here it keeps to the one that has just failed (kgateway#10457).
        report.warn(
            f"{_PATH}.{'maglev' if config.maglev is not None else 'ringHash'}",
            "a retry cannot leave a failed priority with it, so requests that meet the failure are lost; use roundRobin, leastRequest or random",
        )


def _least_request(cluster: cluster_pb2.Cluster, least: LeastRequest, *, report: Reporter) -> None:
    cluster.lb_policy = _Cluster.LEAST_REQUEST
    if least.choice_count == 1:
        report.error(f"{_PATH}.leastRequest.choiceCount", "1 is not allowed: 2 or more, or 0 for the default")
    elif least.choice_count:
        cluster.least_request_lb_config.choice_count.value = least.choice_count
    _slow_start(cluster.least_request_lb_config, least.slow_start_config, path="leastRequest", name=cluster.name, report=report)


def _slow_start(
    balancer: cluster_pb2.Cluster.RoundRobinLbConfig | cluster_pb2.Cluster.LeastRequestLbConfig,
    config: SlowStartConfig | None,
    *,
    path: str,
    name: str,
    report: Reporter,
) -> None:
    if config is None:
        return
    if config.slow_start_window is None:
        report.warn(f"{_PATH}.{path}.slowStartConfig", "has no effect without slowStartWindow")
        return
    message = balancer.slow_start_config
    message.slow_start_window.CopyFrom(wire.duration(config.slow_start_window))
    if config.aggression is not None:
        message.aggression.default_value = config.aggression
        message.aggression.runtime_key = f"upstream.{name}.slow_start_aggression"
    if config.min_weight_percent is not None:
        message.min_weight_percent.CopyFrom(percent_pb2.Percent(value=config.min_weight_percent))


def _ring(message: cluster_pb2.Cluster.RingHashLbConfig, config: RingHashConfig, *, report: Reporter) -> None:
    low, high = config.minimum_ring_size or _DEFAULT_MINIMUM_RING_SIZE, config.maximum_ring_size or MAX_RING_SIZE
    if low > high:
        report.error(f"{_PATH}.ringHash.ringHashConfig.maximumRingSize", f"{high} is not allowed: at least the minimum size, {low}")
    message.minimum_ring_size.CopyFrom(wrappers_pb2.UInt64Value(value=low))
    message.maximum_ring_size.CopyFrom(wrappers_pb2.UInt64Value(value=high))
