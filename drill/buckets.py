"""A run as a row of equal spans of time: who answered, what failed, how long it took. Pure.

This is what a report keeps of a run beside its failures, so that it stays small whatever the rate. Requests are counted in the span in which they
were to be sent, whenever they ended: a server that stalls is seen as slow requests, not as missing ones.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from drill.measures import MOST_SERVERS, OTHERS, rank
from drill.results import Kind, Result

WIDTH = 0.1
"""Seconds; a longer run gets wider spans."""
MOST = 1200


def buckets(results: Sequence[Result], *, started: float) -> dict[str, Any]:
    """Columns of equal length: `{"width", "answered": {server: [count]}, "failed": {kind: [count]}, "p50": [seconds or None], "p99", "max", "lag"}`.

    `lag` is the longest delay of the probe itself, so that what it caused is not taken for the server's.
    """
    length = max((result.scheduled - started for result in results), default=0.0)
    width = WIDTH * max(1, math.ceil(length / WIDTH / MOST))
    count = 1 + math.floor(length / width + 1e-6)
    answered: defaultdict[str, list[int]] = defaultdict(lambda: [0] * count)
    failed: defaultdict[str, list[int]] = defaultdict(lambda: [0] * count)
    took: list[list[float]] = [[] for _ in range(count)]
    late: list[list[float]] = [[] for _ in range(count)]
    names = _names(results)
    for result in results:
        # A request on the boundary belongs to the span that begins there, whatever the last digit of its time.
        index = min(count - 1, max(0, math.floor((result.scheduled - started) / width + 1e-6)))
        (failed[result.kind] if result.failed else answered[names[result.server]])[index] += 1
        if result.kind is not Kind.UNSENT:
            took[index].append(result.took)
            late[index].append(max(0.0, result.sent - result.scheduled))
    for values in took:
        values.sort()
    return {
        "width": round(width, 3),
        "answered": dict(answered),
        "failed": dict(sorted(failed.items())),
        "p50": [_rank(values, 0.5) for values in took],
        "p99": [_rank(values, 0.99) for values in took],
        "max": [_rank(values, 1.0) for values in took],
        "lag": [_rank(sorted(values), 1.0) for values in late],
    }


def _names(results: Sequence[Result]) -> Mapping[str, str]:
    """What each server is counted as, the busiest first."""
    servers = [server for server, _ in Counter(result.server for result in results if not result.failed).most_common()]
    return {server: server if rank < MOST_SERVERS else OTHERS for rank, server in enumerate(servers)}


def _rank(ordered: Sequence[float], share: float) -> float | None:
    """To a hundredth of a millisecond; None of none."""
    return round(rank(ordered, share), 5) if ordered else None
