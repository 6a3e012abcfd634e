"""What a recording shows, in numbers: what was lost, and how long each step took. Pure; docs/drill.md has the formulas.

A request belongs to the phase in which it was sent. Times are seconds; those after the break count from it, or from the first request where that
came later, as nobody could have noticed before.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from drill.record import Event, EventKind, Recording
from drill.results import Kind, Result, label_of

NOTICEABLE = 0.05
"""Seconds by which a request has to be slower than any before the break to count as affected, though it was answered as before."""


MOST_SERVERS = 8
OTHERS = "(others)"


class Phase(StrEnum):
    """A part of a run."""

    BEFORE = "before"
    """Until the break."""
    DURING = "during"
    """From the break to the heal."""
    AFTER = "after"
    """From the heal on."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """A distribution in seconds, exact: every value is known, so nothing has to be estimated."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Latency | None:
        """That of these values; None of none."""
        if not values:
            return None
        ordered = sorted(values)
        p50, p90, p99, p999 = (rank(ordered, share) for share in (0.5, 0.9, 0.99, 0.999))
        return cls(p50=p50, p90=p90, p99=p99, p999=p999, max=ordered[-1])


@dataclass(frozen=True, kw_only=True)
class Part:
    """The requests of one phase, or of all."""

    requests: int
    answered: dict[str, int]
    """Requests that succeeded, by who answered, the most first. Those beyond MOST_SERVERS are one, OTHERS: each answer may be another one."""
    failed: dict[Kind, int]
    latency: Latency | None
    """Of every request that was sent, the failed ones too. None: none was."""

    @classmethod
    def of(cls, results: Sequence[Result]) -> Part:
        return cls(
            requests=len(results),
            answered=_bounded(Counter(result.server for result in results if not result.failed)),
            failed=dict(sorted(Counter(result.kind for result in results if result.failed).items())),
            latency=Latency.of([result.took for result in results if result.kind is not Kind.UNSENT]),
        )

    @property
    def lost(self) -> int:
        """How many failed."""
        return sum(self.failed.values())


@dataclass(frozen=True, kw_only=True)
class Stint:
    """Requests in a row, in the order of the schedule, that the same server answered or that failed in the same way."""

    label: str
    """The server; `(status 503)`, `(closed)` and so on when they failed."""
    failed: bool
    first: float
    """When the first of them was to be sent, and the last; seconds since the first request of all."""
    last: float
    requests: int


@dataclass(frozen=True, kw_only=True)
class Measures:
    """One run of one scenario in numbers. None for a time: it did not happen."""

    whole: bool
    """It was broken, it was healed, and nobody stopped it."""
    expected: tuple[str, str | None, str]
    broken: float | None
    """Seconds since the first request; negative where nobody asked before the break."""
    healed: float | None
    total: Part
    phases: dict[Phase, Part]
    served_before: tuple[str, ...]
    """Who answered before the break. What was sent before it may well be answered by another one after it."""
    in_flight: int
    """Requests that had been sent and had not ended at the break."""
    failed_in_flight: int
    failed_beyond_in_flight: int
    """Failures of all others."""
    failed_without_status: int
    """Failures that were no complete answer."""
    unanswered: int
    """Requests sent between break and heal that had no good answer by the heal."""
    failback_failed: int
    """Failures of requests that were sent after the heal."""
    first_affected: float | None
    """When the first request was sent that failed, that another server answered than before, or that was noticeably slower. 0: it was in flight."""
    last_failed: float | None
    """When the last request was sent that failed; 0 when it was in flight at the break."""
    detect: float | None
    """When the gateway first took a priority for unhealthy, or another tier served."""
    switch: float | None
    """When the expected server first answered after which, until the heal, no other one did."""
    recover: float | None
    """From the heal to the first answer of the server of before, after which no other one answered."""
    served: tuple[Stint, ...]
    lag: Latency | None
    """The probe's own delay: from a request's place in the schedule to the moment at which the HTTP client got it."""

    @property
    def slowest(self) -> float:
        return self.total.latency.max if self.total.latency else 0.0


def measure(recording: Recording) -> Measures:
    """The measures of a run. Raises ValueError when nothing was sent."""
    results = sorted(recording.results)
    if not results:
        raise ValueError("there is no result; the probe sent nothing")
    broken = _first(recording.events, EventKind.BREAK)
    healed = None if broken is None else _first(recording.events, EventKind.HEAL, since=broken)
    breaks, heals = (math.inf if at is None else at for at in (broken, healed))
    struck = max(breaks, recording.started)
    flying = [result for result in results if result.sent < breaks < result.done]
    failed = [result for result in results if result.failed]
    before, during, after = recording.expected
    return Measures(
        whole=broken is not None and healed is not None and not recording.interrupted,
        expected=recording.expected,
        broken=None if broken is None else broken - recording.started,
        healed=None if healed is None else healed - recording.started,
        total=Part.of(results),
        phases={
            Phase.BEFORE: Part.of([result for result in results if result.sent < breaks]),
            Phase.DURING: Part.of([result for result in results if breaks <= result.sent < heals]),
            Phase.AFTER: Part.of([result for result in results if heals <= result.sent]),
        },
        served_before=tuple(sorted({result.server for result in results if result.done < breaks and not result.failed})),
        in_flight=len(flying),
        failed_in_flight=(caught := sum(result.failed for result in flying)),
        failed_beyond_in_flight=len(failed) - caught,
        failed_without_status=sum(result.kind is not Kind.STATUS for result in failed),
        unanswered=sum(breaks <= result.sent < heals and (result.failed or result.done >= heals) for result in results),
        failback_failed=sum(result.sent >= heals for result in failed),
        first_affected=_since(struck, min((result.sent for result in _affected(results, breaks=breaks, server=before)), default=None)),
        last_failed=_since(struck, max((result.sent for result in failed if result.done > breaks), default=None)),
        detect=_since(breaks, min((event.at for event in recording.events if event.at >= breaks and _noticed(event)), default=None)),
        switch=None if during is None else _since(struck, _for_good(results, during, since=struck, until=heals)),
        recover=_since(heals, _for_good(results, after, since=heals, until=math.inf)),
        served=tuple(_stints(results, started=recording.started)),
        lag=Latency.of([max(0.0, result.sent - result.scheduled) for result in results if result.kind is not Kind.UNSENT]),
    )


def rank(ordered: Sequence[float], share: float) -> float:
    """The smallest of at least one value that `share` of all do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _bounded(servers: Counter[str]) -> dict[str, int]:
    ranked = servers.most_common()
    others = sum(number for _, number in ranked[MOST_SERVERS:])
    return dict(ranked[:MOST_SERVERS]) | ({OTHERS: others} if others else {})


def _first(events: Iterable[Event], kind: EventKind, *, since: float = -math.inf) -> float | None:
    return min((event.at for event in events if event.kind is kind and event.at >= since), default=None)


def _since(start: float, at: float | None) -> float | None:
    """Seconds from `start`; 0 for what had begun by then."""
    return None if at is None else max(0.0, at - start)


def _noticed(event: Event) -> bool:
    """Whether the gateway says that something is wrong."""
    return event.healthy is False if event.kind is EventKind.HEALTH else event.kind is EventKind.SERVING and bool(event.priority)


def _affected(results: Sequence[Result], *, breaks: float, server: str) -> list[Result]:
    """Those that ended after the break in another way than those before it."""
    slowest = max((result.took for result in results if result.done < breaks), default=math.inf)
    return [result for result in results if result.done > breaks and (result.failed or result.server != server or result.took > slowest + NOTICEABLE)]


def _for_good(results: Iterable[Result], server: str, *, since: float, until: float) -> float | None:
    """When the first answer of a server came after which no other one answered, of the answers that came from `since` to `until`."""
    answers = sorted((result.done, result.server) for result in results if not result.failed and since <= result.done < until)
    found = None
    for at, who in answers:
        if who != server:
            found = None
        elif found is None:
            found = at
    return found


def _stints(results: Iterable[Result], *, started: float) -> Iterable[Stint]:
    for (label, failed), group in groupby(results, key=lambda result: (label_of(result), result.failed)):
        stint = list(group)
        first, last = stint[0].scheduled - started, stint[-1].scheduled - started
        yield Stint(label=label, failed=failed, first=first, last=last, requests=len(stint))
