"""What a probe saw, request by request, and the summary of it. Pure.

All times are seconds; points in time are those of `time.monotonic()`, which every process of a machine shares, so that a test can compare them with
the moment at which it broke something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, NamedTuple

from hdrh.histogram import HdrHistogram

LONGEST_SERVER = 200
"""Characters of a body that are kept."""
_PERCENTILES = (50.0, 90.0, 99.0, 99.9)
_HIGHEST_MICROSECONDS = 3_600_000_000


class Kind(StrEnum):
    """How a request ended."""

    OK = "ok"
    """A complete answer with a status from 200 to 299."""
    STATUS = "status"
    """A complete answer with another status."""
    CUT = "cut"
    """The connection ended, or the answer became invalid, in the middle of an answer."""
    CLOSED = "closed"
    """The connection, a new one, ended without an answer."""
    STALE = "stale"
    """The same on a connection that had carried a request before. A server that closes idle connections does this to a client by chance, and a client
    may then repeat the request; but a gateway that keeps idle connections (Envoy: for an hour) has lost it. The probe cannot know, so it tells."""
    REFUSED = "refused"
    """No connection."""
    TIMEOUT = "timeout"
    """No complete answer in time."""
    UNSENT = "unsent"
    """Not sent: more requests were in flight than the load allows. A limit of the measurement; what it hides is not known."""


class Result(NamedTuple):
    """One request."""

    number: int
    """Its place in the schedule, from 0."""
    scheduled: float
    """When it was to be sent."""
    sent: float
    """When the HTTP client got it: later than `scheduled` by the probe's own delay."""
    took: float
    """From `scheduled` to the end, so that what a stalled server did to requests behind it is in their time (no coordinated omission)."""
    kind: Kind
    status: int
    """HTTP status, 0 when none came."""
    server: str
    """Who answered: the body without white space and quotation marks around it, shortened."""
    error: str
    """What went wrong, in the HTTP client's words; "" when nothing did."""

    @classmethod
    def from_json(cls, values: list[Any]) -> Result:
        """The result that was written as a JSON array."""
        number, scheduled, sent, took, kind, *rest = values
        return cls(number, scheduled, sent, took, Kind(kind), *rest)

    @property
    def done(self) -> float:
        """When it ended."""
        return self.scheduled + self.took

    @property
    def failed(self) -> bool:
        return self.kind is not Kind.OK


@dataclass(frozen=True, kw_only=True)
class Run:
    """Requests in a row, in the order of the schedule, that ended in the same way."""

    server: str
    """Who answered all of them; `(status 503)`, `(closed)` and so on when they failed."""
    first: Result
    count: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What happened, in numbers."""

    total: int
    kinds: dict[Kind, int]
    runs: tuple[Run, ...]
    first_failed: Result | None
    latency: dict[float, float]
    """Percentile to seconds, of `took`, over every request that was sent."""
    slowest: Result
    lag: dict[float, float]
    """The same of the probe's own delay, `sent - scheduled`. Where it comes near the latency, the machine was too busy to measure."""

    @property
    def failed(self) -> int:
        return self.total - self.kinds.get(Kind.OK, 0)

    @property
    def servers(self) -> list[str]:
        """Who answered with success, in order, without repeats in a row."""
        return [server for server, _ in groupby(run.server for run in self.runs if not run.first.failed)]

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
        latency = "  ".join(f"p{percentile:g} {_milliseconds(value)}" for percentile, value in self.latency.items())
        slowest, lag = _milliseconds(self.slowest.took), _milliseconds(self.lag[99.0])
        return f"{self.total} requests: {kinds}; latency {latency}  max {slowest}; own delay p99 {lag}"


def summarise(results: Iterable[Result]) -> Summary:
    """The summary of at least one result. Raises ValueError for none: nothing was measured."""
    ordered = sorted(results)
    if not ordered:
        raise ValueError("there is no result; the probe sent nothing")
    sent = [result for result in ordered if result.kind is not Kind.UNSENT] or ordered
    grouped = [(label, list(group)) for label, group in groupby(ordered, key=label_of)]
    return Summary(
        total=len(ordered),
        kinds=dict(sorted(Counter(result.kind for result in ordered).items())),
        runs=tuple(Run(server=label, first=group[0], count=len(group)) for label, group in grouped),
        first_failed=next((result for result in ordered if result.failed), None),
        latency=percentiles([result.took for result in sent]),
        slowest=max(sent, key=lambda result: result.took),
        lag=percentiles([result.sent - result.scheduled for result in sent]),
    )


def label_of(result: Result) -> str:
    """Who answered, or how the request failed."""
    if not result.failed:
        return result.server
    return f"(status {result.status})" if result.kind is Kind.STATUS else f"({result.kind})"


def percentiles(values: Sequence[float]) -> dict[float, float]:
    """Percentile to value, both in the unit of `values` (seconds), to three digits."""
    histogram = HdrHistogram(1, _HIGHEST_MICROSECONDS, 3)
    for value in values:
        histogram.record_value(max(1, round(value * 1e6)))
    return {percentile: histogram.get_value_at_percentile(percentile) / 1e6 for percentile in _PERCENTILES}


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
