"""`spec.loadBalancerConfig` of an Upstream: how requests are spread over its endpoints."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gloo_api.meta import Duration, Model, PositiveDuration, UInt32

MAX_RING_SIZE = 8 * 1024 * 1024
RingSize = Annotated[int, Field(ge=0, le=MAX_RING_SIZE)]


class SlowStartConfig(Model):
    """A new endpoint gets its full share only after a while."""

    slow_start_window: PositiveDuration | None = Field(None, description="How long that takes. Default: no slow start.")
    aggression: Annotated[float, Field(ge=0.001, le=1000)] | None = Field(None, description="Shape of the growth; 1 is linear. Default: 1.")
    min_weight_percent: Annotated[float, Field(ge=0, le=100)] | None = Field(None, description="Percent of its share to begin with. Default: 10.")


class RoundRobin(Model):
    """One after the other."""

    slow_start_config: SlowStartConfig | None = Field(None, description="Slow start of new endpoints. Default: none.")


class LeastRequest(Model):
    """The one of a few chosen at random that has the fewest requests."""

    choice_count: UInt32 = Field(0, description="How many are chosen, 2 or more. Default: 2.")
    slow_start_config: SlowStartConfig | None = Field(None, description="Slow start of new endpoints. Default: none.")


class RingHashConfig(Model):
    """Size of the ring."""

    minimum_ring_size: RingSize = Field(0, description="Entries at least. Default: 1024.")
    maximum_ring_size: RingSize = Field(0, description=f"Entries at most. Default: {MAX_RING_SIZE}.")


class RingHash(Model):
    """By a hash of the request, on a ring."""

    ring_hash_config: RingHashConfig | None = Field(None, description="Size of the ring.")


class LoadBalancerConfig(Model):
    """How requests are spread. At most one of roundRobin, leastRequest, random, ringHash and maglev."""

    healthy_panic_threshold: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="Below this percentage of healthy endpoints all of them are used, healthy or not. Default: 50."
    )
    update_merge_window: Duration | None = Field(
        None, description='Changes of health or weight within this time are applied together. Default: "0s", so that each counts at once.'
    )
    round_robin: RoundRobin | None = Field(None, description="One after the other: the default.")
    least_request: LeastRequest | None = Field(None, description="The one with the fewest requests.")
    random: Model | None = Field(None, description="At random.")
    ring_hash: RingHash | None = Field(None, description="By hash. With failover a retry cannot leave a failed priority.")
    maglev: Model | None = Field(None, description="By hash, in a table. With failover a retry cannot leave a failed priority.")
    locality_weighted_lb_config: Model | None = Field(
        None, description="When present, even empty, weights of localities count. Default: they do not."
    )
    close_connections_on_host_set_change: bool = Field(
        False, description="Drain connections when endpoints come, go, or change their health. Default: false."
    )
