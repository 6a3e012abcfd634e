"""When an endpoint or a cluster gets no more: outlier detection and circuit breakers."""

from __future__ import annotations

from functools import cache

from envoy.config.cluster.v3 import circuit_breaker_pb2, outlier_detection_pb2
from envoy.type.v3 import percent_pb2

from controlplane.translation import wire
from gloo_api.circuit_breakers import CircuitBreakers
from gloo_api.outlier_detection import OutlierDetection

UNLIMITED = 2**32 - 1
_RetryBudget = circuit_breaker_pb2.CircuitBreakers.Thresholds.RetryBudget


def outlier_detection(config: OutlierDetection) -> outlier_detection_pb2.OutlierDetection:
    return outlier_detection_pb2.OutlierDetection(
        consecutive_5xx=wire.optional_uint32(config.consecutive5xx),
        interval=wire.optional_duration(config.interval),
        base_ejection_time=wire.optional_duration(config.base_ejection_time),
        max_ejection_percent=wire.optional_uint32(config.max_ejection_percent),
        enforcing_consecutive_5xx=wire.optional_uint32(config.enforcing_consecutive5xx),
        enforcing_success_rate=wire.optional_uint32(config.enforcing_success_rate),
        success_rate_minimum_hosts=wire.optional_uint32(config.success_rate_minimum_hosts),
        success_rate_request_volume=wire.optional_uint32(config.success_rate_request_volume),
        success_rate_stdev_factor=wire.optional_uint32(config.success_rate_stdev_factor),
        consecutive_gateway_failure=wire.optional_uint32(config.consecutive_gateway_failure),
        enforcing_consecutive_gateway_failure=wire.optional_uint32(config.enforcing_consecutive_gateway_failure),
        split_external_local_origin_errors=config.split_external_local_origin_errors,
        consecutive_local_origin_failure=wire.optional_uint32(config.consecutive_local_origin_failure),
        enforcing_consecutive_local_origin_failure=wire.optional_uint32(config.enforcing_consecutive_local_origin_failure),
        enforcing_local_origin_success_rate=wire.optional_uint32(config.enforcing_local_origin_success_rate),
        # As Gloo's API says. Envoy has long dropped it from its default: with ten percent of one endpoint, none was ever ejected.
        always_eject_one_host=wire.boolean(True),
    )


def circuit_breakers(config: CircuitBreakers | None, *, failover: bool) -> circuit_breaker_pb2.CircuitBreakers | None:
    """The user's limits. What the user does not limit is Envoy's default (None: all of it), and with failover unlimited."""
    if config is None:
        return _unlimited() if failover else None
    return _limits(config, failover=failover)


@cache
def _unlimited() -> circuit_breaker_pb2.CircuitBreakers:
    return _limits(CircuitBreakers(), failover=True)


def _limits(given: CircuitBreakers, *, failover: bool) -> circuit_breaker_pb2.CircuitBreakers:
    # [R] What waits for a frozen endpoint counts against the whole cluster: with 1024, Envoy's default, a few seconds of a few hundred requests per
    # second would have the healthy priority refused as well.
    otherwise = UNLIMITED if failover else None
    thresholds = circuit_breaker_pb2.CircuitBreakers.Thresholds(
        max_connections=wire.optional_uint32(otherwise if given.max_connections is None else given.max_connections),
        max_pending_requests=wire.optional_uint32(otherwise if given.max_pending_requests is None else given.max_pending_requests),
        max_requests=wire.optional_uint32(otherwise if given.max_requests is None else given.max_requests),
        max_retries=wire.optional_uint32(given.max_retries),
    )
    if failover and given.max_retries is None:
        # [R] All requests in flight retry at the same moment. By default three retries may run at once, and the rest fail. The minimum is what
        # counts: while the retries wait for their turn, there is no active request left of which they could be a percentage.
        budget = _RetryBudget(budget_percent=percent_pb2.Percent(value=100), min_retry_concurrency=wire.uint32(UNLIMITED))
        thresholds.retry_budget.CopyFrom(budget)
    return circuit_breaker_pb2.CircuitBreakers(thresholds=[thresholds])
