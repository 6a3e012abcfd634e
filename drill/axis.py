"""The axis of time that everything in a drawing shares. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

WIDTH = 1000
"""Of a drawing, in its own units."""
LEFT, RIGHT = 92, 984
"""Where the plots begin and end; labels stand left of them."""
_STEPS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)
_MOST_TICKS = 12


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Seconds since the first request, from left to right. `end` is later than `begin`."""

    begin: float
    end: float

    def x(self, at: float) -> float:
        """The place of a moment; what lies outside is at the edge."""
        within = min(max(at, self.begin), self.end)
        return round(LEFT + (within - self.begin) / (self.end - self.begin) * (RIGHT - LEFT), 1)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Places and labels of round numbers of seconds."""
        length = self.end - self.begin
        step = next((step for step in _STEPS if length / step <= _MOST_TICKS), 600)
        numbers = range(math.ceil(self.begin / step), math.floor(self.end / step) + 1)
        return tuple((self.x(number * step), f"{number * step:g} s") for number in numbers)
