"""Retries: the user's own, or, for an Upstream with failover, those that make a failover lose nothing.

A failed endpoint is marked only after its failure was seen, so the request that saw it is lost unless it is tried again elsewhere. A request that may
have been executed is tried again only if its method is idempotent (RFC 9110, 9.2.2).
"""

from __future__ import annotations

from datetime import timedelta

from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2

from controlplane.translation import wire
from gloo_api.virtual_service import RetryPolicy

DEFAULT_TIMEOUT = timedelta(seconds=15)
"""Envoy's and Gloo's default for a route, all tries together."""

IDEMPOTENT_METHODS = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE"

_AFTER_ANY_FAILURE = "connect-failure,refused-stream,reset,gateway-error"
_BEFORE_EXECUTION = "connect-failure,refused-stream,reset-before-request"
_HOST_ATTEMPTS = 5


def users_policy(policy: RetryPolicy) -> route_components_pb2.RetryPolicy:
    """What the user asked for, and nothing else: it always wins over the default."""
    message = route_components_pb2.RetryPolicy(
        retry_on=policy.retry_on,
        num_retries=wire.uint32(policy.num_retries),
        per_try_timeout=wire.optional_duration(policy.per_try_timeout),
        retriable_status_codes=policy.retriable_status_codes,
    )
    if policy.retry_back_off is not None:
        message.retry_back_off.base_interval.CopyFrom(wire.duration(policy.retry_back_off.base_interval))
        if policy.retry_back_off.max_interval is not None:
            message.retry_back_off.max_interval.CopyFrom(wire.duration(policy.retry_back_off.max_interval))
    if policy.previous_priorities is not None:
        _leave_out_tried_priorities(message, after=policy.previous_priorities.update_frequency)
    return message


def failover_policy(*, timeout: timedelta, tiers: int, idempotent: bool) -> route_components_pb2.RetryPolicy:
    """The default of routes to an Upstream with failover. `timeout` is the route's (zero: none), `tiers` the number of priorities."""
    message = route_components_pb2.RetryPolicy(
        retry_on=_AFTER_ANY_FAILURE if idempotent else _BEFORE_EXECUTION,
        num_retries=wire.uint32(max(2, tiers)),
        host_selection_retry_max_attempts=_HOST_ATTEMPTS,
    )
    # Envoy's own 25 ms and more would be most of the time that a failover takes.
    message.retry_back_off.base_interval.CopyFrom(wire.duration(timedelta(milliseconds=1)))
    message.retry_back_off.max_interval.CopyFrom(wire.duration(timedelta(milliseconds=5)))
    if idempotent:
        # An endpoint that is silent is left after this time; it is below the timeout of the route, or no try would be left. Others than
        # idempotent requests are not tried again after it, so for them it would only cut slow answers short.
        message.per_try_timeout.CopyFrom(wire.duration((timeout or DEFAULT_TIMEOUT) / 3))
    predicate = message.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
    predicate.typed_config.CopyFrom(wire.pack(previous_hosts_pb2.PreviousHostsPredicate()))
    _leave_out_tried_priorities(message, after=1)
    return message


def _leave_out_tried_priorities(message: route_components_pb2.RetryPolicy, *, after: int) -> None:
    """`after` is one or more (the model sees to it): with zero, the protocol's default, Envoy takes the route and aborts at its first request."""
    message.retry_priority.name = "envoy.retry_priorities.previous_priorities"
    config = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=after)
    message.retry_priority.typed_config.CopyFrom(wire.pack(config))
