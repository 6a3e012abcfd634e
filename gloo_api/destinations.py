"""Where requests and connections go: one Upstream, or several by weight. Upstreams only; anything else is refused, never guessed."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from gloo_api.headers import HeaderManipulation
from gloo_api.meta import GuardedModel, ResourceRef, StrictModel, UInt32


class Destination(StrictModel):
    """One destination."""

    upstream: ResourceRef | None = Field(None, description="The Upstream.")


class WeightedDestinationOptions(GuardedModel):
    """How requests to one of several destinations are passed on."""

    GUARDS = frozenset({"extauth", "csrf", "bufferPerRoute"})

    header_manipulation: HeaderManipulation | None = Field(None, description="Headers to set and to remove. HTTP only.")


class WeightedDestination(StrictModel):
    """A destination and its share."""

    destination: Destination = Field(description="The destination.")
    weight: UInt32 = Field(0, description="Its share is weight / sum of all weights; 0 gets nothing. Default: 0.")
    options: WeightedDestinationOptions | None = Field(None, description="How what goes there is passed on.")


class MultiDestination(StrictModel):
    """Several destinations by weight."""

    destinations: tuple[WeightedDestination, ...] = Field(min_length=1, description="The destinations; at least one has a weight above 0.")

    @model_validator(mode="after")
    def _weights_add_up(self) -> Self:
        total = sum(item.weight for item in self.destinations)
        if not 0 < total < 2**32:
            raise ValueError(f"the weights add up to {total}; allowed is 1 to {2**32 - 1}")
        return self


class RouteAction(StrictModel):
    """Where requests go: exactly one of `single` and `multi`."""

    single: Destination | None = Field(None, description="One destination.")
    multi: MultiDestination | None = Field(None, description="Several destinations by weight.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.single is None) == (self.multi is None):
            raise ValueError("exactly one of single and multi is needed")
        return self
