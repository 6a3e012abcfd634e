"""How many requests each priority got in the last seconds, out of counters that only grow, or start anew with their proxy or their cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from controlplane.gloo.serving.hosts import Host, HostKey

WINDOW_SECONDS = 5.0
"""What "the last seconds" are."""

Counts = dict[int, int]
"""Requests by priority."""


class RequestWindow:
    """The requests of one cluster at one proxy. Feed it every answer; times are seconds of any clock that does not jump."""

    def __init__(self) -> None:
        self._counters: Mapping[HostKey, int] | None = None
        self._entries: deque[tuple[float, Counts]] = deque()

    def add(self, hosts: Iterable[Host], *, at: float) -> None:
        counters = {host.key: host.requests for host in hosts}
        if self._counters is not None:
            self._entries.append((at, growth(self._counters, counters)))
        self._counters = counters
        while self._entries and self._entries[0][0] <= at - WINDOW_SECONDS:
            self._entries.popleft()

    @property
    def idle(self) -> bool:
        """There was no request in the window."""
        return not any(requests for _, counts in self._entries for requests in counts.values())

    def since(self, moment: float) -> Counts:
        """Requests that were counted after `moment`, as far back as the window goes."""
        return total(counts for at, counts in self._entries if at > moment)


def growth(before: Mapping[HostKey, int], after: Mapping[HostKey, int]) -> Counts:
    """Requests between two readings. A counter that went down, or an endpoint that was not there, has started at zero."""
    counts: Counts = {}
    for key, value in after.items():
        earlier = before.get(key, 0)
        counts[key.priority] = counts.get(key.priority, 0) + (value - earlier if value >= earlier else value)
    return counts


def total(each: Iterable[Counts]) -> Counts:
    summed: Counts = {}
    for counts in each:
        for priority, requests in counts.items():
            summed[priority] = summed.get(priority, 0) + requests
    return summed


def shares(counts: Counts, *, priorities: int) -> list[int | None]:
    """Whole percents for each priority, which may differ from 100 together by rounding; None for all when there were no requests."""
    everything = sum(counts.values())
    return [round(100 * counts.get(priority, 0) / everything) if everything else None for priority in range(priorities)]
