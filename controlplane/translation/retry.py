"""Retries: the user's own, or, for an Upstream with failover, those that make a failover lose nothing.

A failed endpoint is marked only after its failure was seen, so the request that saw it is lost unless it is tried again elsewhere. What may be tried
again depends on the method (RFC 9110, 9.2):

- safe methods: after any failure. A try that is silent for long is not given up but raced by another one, and whoever answers first wins: a frozen
  endpoint costs little, and an answer that is merely slow still arrives.
- idempotent methods: after any failure, one after the other. A race could carry out the same change twice at the same time.
- all others: only what was provably not executed (see not_executed.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import lru_cache

from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2
from envoy.type.matcher.v3 import string_pb2

from controlplane.translation import not_executed, wire
from controlplane.translation.reporter import Reporter
from gloo_api import names
from gloo_api.meta import Resource
from gloo_api.retries import RetryPolicy

DEFAULT_TIMEOUT = timedelta(seconds=15)
"""Envoy's and Gloo's default for a route, all tries together."""

_NO_TIMEOUT = timedelta(seconds=60)
"""What a route without a timeout is taken to have where the time for a try is a part of it."""

_TRIES_AFTER_THE_FIRST = 7
"""With waits of up to 1, 3, 7, 15, 31, 63 and 100 ms they outlast an app's last moments, in which it still answers, with 503, and a change of
endpoints that is on its way to another cluster's gateway. A standby there is asked over the same connection each time: no retry can choose another
pod."""
_RACE_AFTER = timedelta(seconds=0.25)
_AFTER_ANY_FAILURE = "connect-failure,refused-stream,reset,gateway-error"
_BEFORE_EXECUTION = "connect-failure,refused-stream,reset-before-request,retriable-headers"
_STATUS_CODES = "retriable-status-codes"
_HOST_ATTEMPTS = 5
_MOST = 2**31 - 1
"""Envoy's field has a sign where Gloo's has none; so many tries there never are."""


class Methods(Enum):
    """Methods that are retried alike. Their names are in one string, since Python 3.11.2 (Debian 12) makes an `object()` of an empty tuple here."""

    SAFE = "GET HEAD OPTIONS TRACE"
    IDEMPOTENT = "PUT DELETE"
    OTHER = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Empty for OTHER, which is all that are in no other member."""
        return tuple(self.value.split())

    @classmethod
    def of(cls, method: str) -> Methods:
        return next((each for each in cls if method in each.names), cls.OTHER)


@dataclass(frozen=True)
class Retries:
    """What a route does about failures."""

    policy: route_components_pb2.RetryPolicy
    race: bool = False

    def apply(self, action: route_components_pb2.RouteAction) -> None:
        action.retry_policy.CopyFrom(self.policy)
        if self.race:
            action.hedge_policy.hedge_on_per_try_timeout = True


def users(policy: RetryPolicy) -> Retries:
    """What the user asked for, and nothing else: it always wins over the default."""
    message = route_components_pb2.RetryPolicy(
        retry_on=policy.retry_on,
        num_retries=wire.uint32(policy.num_retries),
        per_try_timeout=wire.optional_duration(policy.per_try_timeout),
        retriable_status_codes=policy.retriable_status_codes,
    )
    if policy.retriable_status_codes and _STATUS_CODES not in policy.conditions:
        message.retry_on = ",".join((*policy.conditions, _STATUS_CODES))
    if policy.retry_back_off is not None:
        message.retry_back_off.base_interval.CopyFrom(wire.duration(policy.retry_back_off.base_interval))
        if policy.retry_back_off.max_interval is not None:
            message.retry_back_off.max_interval.CopyFrom(wire.duration(policy.retry_back_off.max_interval))
    if policy.previous_priorities is not None:
        _leave_out_tried_priorities(message, after=policy.previous_priorities.update_frequency)
    return Retries(message)


@lru_cache(maxsize=1024)
def failover(methods: Methods, *, timeout: timedelta, tiers: int) -> Retries:
    """The default of routes to an Upstream with failover. `timeout` is the route's (zero: none), `tiers` the number of priorities."""
    message = route_components_pb2.RetryPolicy(
        retry_on=_BEFORE_EXECUTION if methods is Methods.OTHER else _AFTER_ANY_FAILURE,
        num_retries=wire.uint32(max(_TRIES_AFTER_THE_FIRST, tiers)),
        host_selection_retry_max_attempts=_HOST_ATTEMPTS,
    )
    # Envoy's own 25 ms and more would be most of the time that a failover takes.
    message.retry_back_off.base_interval.CopyFrom(wire.duration(timedelta(milliseconds=1)))
    message.retry_back_off.max_interval.CopyFrom(wire.duration(timedelta(milliseconds=100)))
    match methods:
        case Methods.SAFE:
            message.per_try_timeout.CopyFrom(wire.duration(race_after(timeout)))
        case Methods.IDEMPOTENT:
            # Below the timeout of the route, or no try would be left. It ends slow answers too, so it is no shorter than it must be.
            message.per_try_timeout.CopyFrom(wire.duration((timeout or _NO_TIMEOUT) / 3))
        case Methods.OTHER:
            marked = string_pb2.StringMatcher(exact=not_executed.VALUE)
            message.retriable_headers.add(name=not_executed.HEADER, string_match=marked)
    predicate = message.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
    predicate.typed_config.CopyFrom(wire.pack(previous_hosts_pb2.PreviousHostsPredicate()))
    _leave_out_tried_priorities(message, after=1)
    return Retries(message, race=methods is Methods.SAFE)


def race_after(timeout: timedelta) -> timedelta:
    """How long a safe request waits for its answer to begin before another one races it: one second at the default timeout of 15 s.

    It grows with the timeout of the route, which says how slow its answers may be; each race is one more request to the next priority.
    """
    timeout = timeout or _NO_TIMEOUT
    return min(max(timeout / 15, _RACE_AFTER), timeout / 3)


def wanted(resource: Resource, report: Reporter) -> bool:
    """Whether a VirtualService, RouteTable or Upstream leaves the default retries on."""
    value = resource.metadata.annotations.get(names.FAILOVER_RETRIES_ANNOTATION, "enabled")
    if value not in ("enabled", "disabled"):
        report.warn(f"metadata.annotations.{names.FAILOVER_RETRIES_ANNOTATION}", f'"{value}" is not allowed: enabled or disabled; taken for enabled')
    return value != "disabled"


def _leave_out_tried_priorities(message: route_components_pb2.RetryPolicy, *, after: int) -> None:
    """`after` is one or more (the model sees to it): with zero, the protocol's default, Envoy takes the route and aborts at its first request."""
    message.retry_priority.name = "envoy.retry_priorities.previous_priorities"
    config = previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=min(after, _MOST))
    message.retry_priority.typed_config.CopyFrom(wire.pack(config))
