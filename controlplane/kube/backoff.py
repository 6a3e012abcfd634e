"""Capped exponential back-off with jitter. It has no end: a lost API server is tried for as long as the process lives."""

from __future__ import annotations

import random


class Backoff:
    """Delays in seconds: about `first`, doubled each time, at most `cap`."""

    def __init__(self, *, first: float = 0.05, cap: float = 5.0) -> None:
        self._first = first
        self._cap = cap
        self.failures = 0

    def reset(self) -> None:
        self.failures = 0

    def next(self) -> float:
        self.failures += 1
        delay = min(self._cap, self._first * 2.0 ** min(self.failures - 1, 30))
        return delay * random.uniform(0.75, 1.0)  # noqa: S311 - spreads retries
