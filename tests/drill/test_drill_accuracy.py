"""How exact the drill is, against a server that drops a known set of requests, delays others by a known time, and notes when it did what.

Counts are exact, to the request. Times are within 5 ms of what the server saw itself: medians, as a scheduler may hold back any single request.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Iterator, Mapping

import pytest
from stub_server import Act, StubServer

from drill.document import Outcome, document, validator
from drill.load import Load, Request
from drill.measures import Phase
from drill.probe import Probe
from drill.record import Event, EventKind, Objective, Recording
from drill.results import Kind, Result

pytestmark = pytest.mark.engine

EXACT_TO = 0.005
"""Seconds."""
RATE = 100.0
BLUE, GREEN = "blue-pod", "green-pod"
BROKEN = (Kind.CLOSED, Kind.STALE)
"""A dropped request is one or the other, as its connection was new or not."""


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer.running() as server:
        yield server


def probed(stub: StubServer, script: Mapping[int, Act], *, count: int) -> tuple[float, list[Result]]:
    """When it started, and the results in the order of the schedule."""
    stub.script = dict(script)
    requests = tuple(Request(url=f"{stub.url}/n/{number}") for number in range(count))
    with Probe(Load(requests=requests, rate=RATE, seconds=count / RATE, timeout=5)) as probe:
        probe.wait()
    return probe.started, sorted(probe.results)


def test_every_request_that_was_dropped_is_counted_and_no_other(stub: StubServer) -> None:
    numbers = random.Random(7).sample(range(500), 150)  # noqa: S311 - the same ones in each run
    groups = {
        "drop": (numbers[:40], Act(drop=True)),
        "status": (numbers[40:70], Act(status=503)),
        "cut": (numbers[70:90], Act(cut=True)),
        "late": (numbers[90:], Act(after=0.25)),
    }
    _, results = probed(stub, {number: act for group, act in groups.values() for number in group}, count=500)
    assert [result.number for result in results] == list(range(500)), "each request has one result"
    assert stub.arrived.keys() == set(range(500)), "and was sent once"
    found = {kind: {result.number for result in results if result.kind is kind} for kind in Kind}
    assert found[Kind.CLOSED] | found[Kind.STALE] == set(groups["drop"][0]), "exactly those that got no answer"
    assert found[Kind.STATUS] == set(groups["status"][0])
    assert found[Kind.CUT] == set(groups["cut"][0])
    assert found[Kind.OK] == set(range(500)) - set(numbers[:90]), "what was late is no failure"


def test_delays_are_measured_as_the_server_made_them(stub: StubServer) -> None:
    late = {number: Act(after=0.1 + number / 1000) for number in range(0, 300, 3)}
    _, results = probed(stub, late, count=300)
    for result in results:
        assert result.scheduled <= result.sent <= stub.arrived[result.number], "nothing arrives before it was sent"
        assert result.done >= stub.acted[result.number], "nothing is answered before the server did"
        assert result.took >= late.get(result.number, Act()).after, "and no delay is measured shorter than it was"
    for name, group in (
        ("late", [each for each in results if each.number in late]),
        ("others", [each for each in results if each.number not in late]),
    ):
        errors = [(each.done - each.sent) - (stub.acted[each.number] - stub.arrived[each.number]) for each in group]
        assert statistics.median(errors) < EXACT_TO, f"{name}: what the probe adds to the server's own time"
        ends = [each.done - stub.acted[each.number] for each in group]
        assert statistics.median(ends) < EXACT_TO, f"{name}: when they ended"


RUNS, COUNT = 5, 150
BREAK, SWITCHED, HEAL, RECOVERED = 50, 65, 100, 110
"""Numbers of requests in a run: from BREAK on they are dropped, from SWITCHED on green serves, from HEAL on they get 503, from RECOVERED on blue."""


def test_counts_and_times_hold_on_the_whole_way_from_the_server_to_the_verdict(stub: StubServer) -> None:
    acts = [
        *[Act(server=BLUE)] * BREAK,
        *[Act(drop=True)] * (SWITCHED - BREAK),
        *[Act(server=GREEN)] * (HEAL - SWITCHED),
        *[Act(status=503, server="nobody")] * (RECOVERED - HEAL),
        *[Act(server=BLUE)] * (COUNT - RECOVERED),
    ]
    started, results = probed(stub, dict(enumerate(acts * RUNS)), count=COUNT * RUNS)
    outcomes = [Outcome.of(one_run(started, results, run)) for run in range(RUNS)]
    for outcome in outcomes:
        measures = outcome.measures
        kinds = {phase: part.failed for phase, part in measures.phases.items()}
        assert kinds[Phase.BEFORE] == {}, "nothing failed before the break"
        assert kinds[Phase.DURING].keys() <= set(BROKEN), "what was dropped"
        assert sum(kinds[Phase.DURING].values()) == SWITCHED - BREAK, "all of it"
        assert kinds[Phase.AFTER] == {Kind.STATUS: RECOVERED - HEAL}, "and what got 503 after the heal"
        assert measures.failback_failed == RECOVERED - HEAL
        assert measures.total.answered == {BLUE: BREAK + COUNT - RECOVERED, GREEN: HEAL - SWITCHED}
        assert [check.met for check in outcome.verdict.checks if check.objective == "failed"] == [True], "as many as are allowed"
        assert [check.met for check in outcome.verdict.checks if check.objective == "failback_failed"] == [False], "one more than is allowed"
    within(
        "first affected",
        [stub.arrived[run * COUNT + BREAK] - at(started, run, BREAK) for run in range(RUNS)],
        [each.measures.first_affected for each in outcomes],
    )
    within(
        "switch", [stub.acted[run * COUNT + SWITCHED] - at(started, run, BREAK) for run in range(RUNS)], [each.measures.switch for each in outcomes]
    )
    within(
        "recover", [stub.acted[run * COUNT + RECOVERED] - at(started, run, HEAL) for run in range(RUNS)], [each.measures.recover for each in outcomes]
    )
    within(
        "last failed",
        [stub.arrived[run * COUNT + RECOVERED - 1] - at(started, run, BREAK) for run in range(RUNS)],
        [each.measures.last_failed for each in outcomes],
    )
    values = json.loads(json.dumps(document(outcomes)))
    validator().validate(values)
    (scenario,) = values["scenarios"]
    assert scenario["spread"]["failed"] == {"unit": "requests", "count": RUNS, "median": 25, "min": 25, "max": 25, "stdev": 0.0}
    assert sum(len(run["failures"]) for run in scenario["runs"]) == 25 * RUNS, "each failed request is in the document"
    assert sum(sum(sum(column) for column in run["timeline"]["failed"].values()) for run in scenario["runs"]) == 25 * RUNS, "and in the timeline"


def at(started: float, run: int, number: int) -> float:
    """When a request of a run was to be sent."""
    return started + (run * COUNT + number) / RATE


def one_run(started: float, results: list[Result], run: int) -> Recording:
    """A part of the results as a run of its own, which broke and was healed between two requests."""
    return Recording(
        scenario="stub",
        title="The stub",
        text="",
        stack="none",
        started_at="2026-11-26T02:00:00+00:00",
        rate=RATE,
        request="GET /n/...",
        expected=(BLUE, GREEN, BLUE),
        objective=Objective(failed=25, failback_failed=9),
        started=at(started, run, 0),
        results=tuple(results[run * COUNT : (run + 1) * COUNT]),
        events=(Event(at(started, run, BREAK), EventKind.BREAK, "stub"), Event(at(started, run, HEAL), EventKind.HEAL, "stub")),
        causes=(),
    )


def within(name: str, truth: list[float], measured: list[float | None]) -> None:
    """The measured values are those of the server, give or take 5 ms in the median."""
    errors = [abs(found - true) for found, true in zip(measured, truth, strict=True) if found is not None]
    assert len(errors) == len(truth), f"{name} is known of every run"
    assert statistics.median(errors) < EXACT_TO, f"{name}: {measured} for {truth}"
