"""Envoy's rule for how requests are spread over priorities, by the health of each. Pure arithmetic, as Envoy does it (integer percent).

Source: Envoy's documentation of priority levels, degraded endpoints and the panic threshold; checked against a real Envoy by tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_OVERPROVISIONING = 140
DEFAULT_PANIC_PERCENT = 50.0


@dataclass(frozen=True)
class Counts:
    """Endpoints of one priority. `excluded` do not count in the percentage of healthy ones; a priority with only such is as good as empty."""

    healthy: int = 0
    degraded: int = 0
    excluded: int = 0
    total: int = 0


@dataclass(frozen=True)
class Load:
    """`shares`: percent of the requests for each priority, 100 together. `panic`: no priority is healthy enough, so the health is ignored."""

    shares: tuple[int, ...]
    panic: bool


def load(priorities: Sequence[Counts], *, factor: int = DEFAULT_OVERPROVISIONING, panic_percent: float = DEFAULT_PANIC_PERCENT) -> Load:
    """Where requests go. health(P) = min(100, factor · healthy / (total - excluded)); what P cannot take goes to the next, then to degraded ones."""
    healthy = [_percent(each.healthy, each, factor=factor) for each in priorities]
    degraded = [_percent(each.degraded, each, factor=factor) for each in priorities]
    available = min(100, sum(healthy) + sum(degraded))
    if available < 100 and priorities and all(_panics(each, panic_percent) for each in priorities):
        return Load(shares=_by_count(priorities), panic=True)
    if available == 0:
        return Load(shares=tuple(0 for _ in priorities), panic=False)
    shares = [0] * len(priorities)
    left = 100
    for percents in (healthy, degraded):
        for priority, percent in enumerate(percents):
            share = min(left, percent * 100 // available)
            shares[priority] += share
            left -= share
    # What rounding left over goes to the first that has some.
    shares[next(index for index, share in enumerate(shares) if share)] += left
    return Load(shares=tuple(shares), panic=False)


def _percent(count: int, priority: Counts, *, factor: int) -> int:
    among = priority.total - priority.excluded
    return min(100, factor * count // among) if among > 0 else 0


def _panics(priority: Counts, threshold: float) -> bool:
    among = priority.total - priority.excluded
    percent = 100 * (priority.healthy + priority.degraded) / among if among > 0 else 0
    return percent < threshold


def _by_count(priorities: Sequence[Counts]) -> tuple[int, ...]:
    total = sum(each.total for each in priorities)
    if total == 0:
        return tuple(0 for _ in priorities)
    shares = [100 * each.total // total for each in priorities]
    shares[next(index for index, share in enumerate(shares) if share)] += 100 - sum(shares)
    return tuple(shares)
