"""Tries after the first one, as users write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from gloo_api.meta import Model, PositiveDuration, PositiveUInt32, UInt32

CONDITIONS = frozenset({
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx", "refused-stream",
    "retriable-status-codes", "retriable-headers", "http3-post-connect-failure", "cancelled", "deadline-exceeded", "internal",
    "resource-exhausted", "unavailable",
})  # fmt: skip
"""Envoy's retry conditions, for HTTP and for gRPC. It ignores others in silence."""

StatusCode = Annotated[int, Field(ge=100, le=599)]


class RetryBackOff(Model):
    """Random wait between tries."""

    base_interval: PositiveDuration = Field(description="Upper bound of the first wait; it doubles with each try. At least 1 ms.")
    max_interval: PositiveDuration | None = Field(None, description="Upper bound of every wait. Default: ten times baseInterval.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.base_interval < timedelta(milliseconds=1):
            raise ValueError("baseInterval is at least 0.001s")
        if self.max_interval is not None and self.max_interval < self.base_interval:
            raise ValueError("maxInterval is at least baseInterval")
        return self


class PreviousPriorities(Model):
    """Leave out priorities that were tried already."""

    update_frequency: PositiveUInt32 = Field(
        1, description="After how many tries the priorities are chosen anew; 0 would stop the proxy. Default: 1."
    )


class RetryPolicy(Model):
    """Tries after the first one. It replaces the retries that a route to an Upstream with failover has by default."""

    retry_on: str = Field("", description="Envoy's retry conditions, separated by commas. Default: none, nothing is retried.")
    num_retries: UInt32 = Field(1, description="Tries after the first one; 0 means none. Default: 1.")
    per_try_timeout: PositiveDuration | None = Field(
        None, description="How long each try may take to begin its answer. Default: the timeout of the route."
    )
    retry_back_off: RetryBackOff | None = Field(None, description="Wait between tries. Default: up to 25 ms, doubling.")
    retriable_status_codes: tuple[StatusCode, ...] = Field((), description="Statuses to retry besides what retryOn says. Default: none.")
    previous_priorities: PreviousPriorities | None = Field(None, description="Leave out priorities that were tried already. Default: do not.")

    @property
    def conditions(self) -> tuple[str, ...]:
        """The conditions one by one."""
        return tuple(found for part in self.retry_on.split(",") if (found := part.strip()))
