"""The clients of a stack while something breaks: an open-loop load, and what they may notice of it, which is nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from drill.load import Load, Request
from drill.probe import Probe
from drill.results import Summary
from tests.e2e.conftest import LiveStack, until
from tests.e2e.faults import settled

BLUE, GREEN = "blue-pod", "green-pod"
RATE = 300.0
SECONDS = 30.0
_LONGEST = 120.0
_TIMEOUT = 20.0
"""Above the gateway's own 15 s, so that it is the gateway that gives up a request."""
BODY = b"x" * 1024
"""Under the gateway's buffer limit, as every request is that may be sent a second time."""
REPEATABLE = ("GET", "PUT", "GET", "DELETE")
WITH_POSTS = ("GET", "POST", "GET", "PUT")

Record = Callable[[str, Summary], None]
"""Notes the summary of a case for the table at the end of the test run."""


@dataclass(frozen=True, kw_only=True)
class Clients:
    """Clients at work."""

    probe: Probe

    def at(self, seconds: float) -> None:
        """Wait until so many seconds after the first request."""
        time.sleep(max(0.0, self.probe.started + seconds - time.monotonic()))

    def served(self, since: float, until: float) -> set[str]:
        """Who answered the requests that began and ended between two points in time (`time.monotonic()`)."""
        return {result.server for result in self.probe.results if since <= result.scheduled and result.done <= until and not result.failed}

    def in_flight(self, when: float) -> int:
        """How many requests had been sent and not answered then."""
        return sum(result.sent < when < result.done for result in self.probe.results)


@contextmanager
def clients(
    stack: LiveStack,
    *,
    methods: tuple[str, ...] = REPEATABLE,
    headers: Mapping[str, str] | None = None,
    settle: bool = True,
    longest: float = _LONGEST,
) -> Iterator[Clients]:
    """Clients that send RATE requests a second while the block lasts, for SECONDS at least, and until both apps are healthy at its end.

    `settle`: they are at the beginning, too. `longest`: seconds after which they end in any case.
    """
    url = stack.url
    requests = tuple(Request(url=url, method=method, headers=headers or {}, body=BODY if method in ("POST", "PUT") else b"") for method in methods)
    if settle:
        settled(stack)
    with Probe(Load(requests=requests, rate=RATE, seconds=longest, timeout=_TIMEOUT)) as probe:
        at_work = Clients(probe=probe)
        yield at_work
        settled(stack)
        time.sleep(1)
        at_work.at(SECONDS)
        # The last seconds of a busy machine: the schedule was kept, and what was late is on its way.
        until("enough requests were sent", lambda: len(probe.results) >= RATE * SECONDS, seconds=_LONGEST)


def nothing_lost(case: str, at_work: Clients, *, record: Record, from_blue: bool = True) -> None:
    """Judge: enough requests were sent, each was answered, blue answered at first (`from_blue`) and at last, and green did in between."""
    summary = at_work.probe.summary()
    record(case, summary)
    failed = [
        f"{run.first.scheduled - at_work.probe.started:.3f} s: {run.count} x {run.server} {run.first.error}"
        for run in summary.runs
        if run.first.failed
    ]
    assert summary.failed == 0, "\n".join([f"no client notices anything; {summary}", *failed[:20]])
    assert summary.total >= RATE * SECONDS, "the load was as heavy as it has to be"
    assert summary.servers[-1] == BLUE, "blue serves again at the end"
    assert GREEN in summary.servers, "green took over meanwhile"
    assert set(summary.servers) <= {BLUE, GREEN}, "and nobody else did"
    assert summary.servers[0] == BLUE or not from_blue, "blue served at first"
