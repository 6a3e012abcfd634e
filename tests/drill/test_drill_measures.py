"""What is measured of a run is what happened in it, to the request: recordings made up by hand, whose numbers are known."""

from __future__ import annotations

import pytest
from recordings import BLUE, EVENTS, FAILOVER, GREEN, RATE, STARTED, recording, results

from drill.measures import Latency, Phase, measure
from drill.record import Event, EventKind
from drill.results import Kind, Result

pytestmark = pytest.mark.unit


def test_failures_are_counted_by_kind_and_phase() -> None:
    measures = measure(recording())
    assert measures.total.failed == {Kind.STATUS: 200}, "one second at 200 a second"
    assert {phase: part.lost for phase, part in measures.phases.items()} == {Phase.BEFORE: 0, Phase.DURING: 200, Phase.AFTER: 0}
    assert {phase: part.requests for phase, part in measures.phases.items()} == {Phase.BEFORE: 400, Phase.DURING: 600, Phase.AFTER: 600}
    assert measures.phases[Phase.AFTER].answered == {BLUE: 500, GREEN: 100}, "green answered for half a second after the heal"


def test_each_step_is_timed_from_the_break_or_the_heal() -> None:
    measures = measure(recording())
    assert (measures.broken, measures.healed) == (2.0, 5.0)
    assert measures.first_affected == pytest.approx(0.0001), "the first request after the break failed; it was sent 0.1 ms late"
    assert measures.last_failed == pytest.approx(0.9951), "the last one of that second"
    assert measures.detect == pytest.approx(0.75), "the gateway's word on priority 0"
    assert measures.switch == pytest.approx(1.004), "green's first answer came 4 ms after it was asked for, a second after the break"
    assert measures.recover == pytest.approx(0.502), "blue's came half a second after the heal"


def test_a_switch_counts_when_nobody_else_answers_any_more() -> None:
    flapping = ((2.0, BLUE, 0.002), (0.5, GREEN, 0.002), (0.5, BLUE, 0.002), (2.0, GREEN, 0.002), (3.0, BLUE, 0.002))
    measures = measure(recording(flapping))
    assert measures.switch == pytest.approx(1.002), "green answered after 0.002 s, and blue once more after that"
    assert measures.recover == pytest.approx(0.002), "what happened before the heal is no matter of the recovery"


def test_a_server_that_never_serves_alone_has_no_time() -> None:
    measures = measure(recording(((8.0, BLUE, 0.002),)))
    assert measures.switch is None, "green never answered"
    assert measures.recover == pytest.approx(0.002), "blue did all the time"
    assert measure(recording(((5.0, BLUE, 0.002), (3.0, GREEN, 0.002)))).recover is None, "blue never came back"


def test_a_server_that_comes_back_by_itself_is_timed_alike() -> None:
    restarted = ((2.0, BLUE, 0.002), (0.5, GREEN, 0.002), (5.5, BLUE, 0.002))
    assert measure(recording(restarted, expected=(BLUE, BLUE, BLUE))).switch == pytest.approx(0.502), "until blue answers alone again"


def test_where_nobody_can_serve_there_is_no_switch() -> None:
    assert measure(recording(expected=(BLUE, None, BLUE))).switch is None


def test_requests_in_flight_at_the_break_are_told_apart() -> None:
    slow = ((1.9, BLUE, 0.002), (0.1, Kind.STALE, 0.15), (0.1, Kind.STALE, 0.15), (5.9, GREEN, 0.002))
    measures = measure(recording(slow))
    assert measures.in_flight == 20, "a tenth of a second of them"
    assert (measures.failed_in_flight, measures.failed_beyond_in_flight) == (20, 20), "those that were on their way, and those sent after"
    assert measures.first_affected == 0.0, "the first to notice were on their way"
    assert measures.failed_without_status == 40, "a broken connection is no answer"


def test_a_request_that_is_only_slower_is_affected_when_that_is_noticeable() -> None:
    barely = ((2.0, BLUE, 0.002), (1.0, BLUE, 0.004), (5.0, GREEN, 0.002))
    assert measure(recording(barely)).first_affected == pytest.approx(1.0001), "two milliseconds more are not noticed; another server is"
    frozen = ((2.0, BLUE, 0.002), (0.5, BLUE, 0.002), (0.5, BLUE, 0.6), (5.0, GREEN, 0.002))
    assert measure(recording(frozen)).first_affected == pytest.approx(0.5001), "half a second is, though blue answers in the end"


def test_the_clock_starts_with_the_first_request_when_it_broke_before() -> None:
    events = (
        Event(STARTED - 3, EventKind.BREAK, "blue"),
        Event(STARTED - 2, EventKind.HEALTH, "", 0, False),
        Event(STARTED + 5, EventKind.HEAL, "blue"),
    )
    measures = measure(recording(((5.0, GREEN, 0.002), (3.0, BLUE, 0.002)), events=events))
    assert measures.broken == -3.0, "three seconds before anybody asked"
    assert measures.switch == pytest.approx(0.002), "the first request was answered by green"
    assert measures.detect == pytest.approx(1.0), "the gateway needs no request for that"
    assert measures.phases[Phase.BEFORE].latency is None, "nobody asked before"


def test_only_what_the_gateway_says_after_the_break_is_its_detection() -> None:
    early = Event(STARTED + 1, EventKind.HEALTH, "priority 1 unhealthy", 1, False)
    assert measure(recording(events=(early, *EVENTS))).detect == pytest.approx(0.75), "an earlier word is about something else"
    serving = (
        EVENTS[2],
        Event(STARTED + 2.5, EventKind.SERVING, "tier 0 serves", 0),
        Event(STARTED + 3, EventKind.SERVING, "tier 1 serves", 1),
        EVENTS[4],
    )
    assert measure(recording(events=serving)).detect == pytest.approx(1.0), "another tier serves: that is a detection, too"


def test_a_run_that_was_cut_off_is_not_whole() -> None:
    assert measure(recording()).whole
    assert not measure(recording(interrupted=True)).whole
    unhealed = measure(recording(events=EVENTS[:4]))
    assert not unhealed.whole
    assert unhealed.phases[Phase.DURING].requests == 1200, "all since the break"
    unbroken = measure(recording(events=(EVENTS[4],)))
    assert (unbroken.broken, unbroken.healed, unbroken.switch) == (None, None, None), "a heal alone ends nothing"
    assert unbroken.phases[Phase.BEFORE].requests == 1600, "nothing was broken"


def test_who_served_when_is_told_in_the_order_of_the_schedule() -> None:
    served = [(stint.label, stint.failed, stint.first, stint.requests) for stint in measure(recording()).served]
    expected = [(BLUE, False, 0.0, 400), ("(status 503)", True, 2.0, 200), (GREEN, False, 3.0, 500), (BLUE, False, 5.5, 500)]
    assert served == [(label, failed, pytest.approx(first), requests) for label, failed, first, requests in expected]


def test_latency_is_told_by_phase_and_of_failures_too() -> None:
    phases = measure(recording(((2.0, BLUE, 0.002), (1.0, Kind.TIMEOUT, 1.5), (2.0, GREEN, 0.004), (3.0, BLUE, 0.002)))).phases
    assert phases[Phase.BEFORE].latency == Latency(p50=0.002, p90=0.002, p99=0.002, p999=0.002, max=0.002)
    during = phases[Phase.DURING].latency
    assert during is not None
    assert (during.p50, during.max) == (pytest.approx(0.004, rel=0.001), 1.5), "a request that got no answer has waited all the same"


def test_what_was_never_sent_has_neither_latency_nor_lag() -> None:
    unsent = tuple(Result(index, STARTED + index / RATE, STARTED + index / RATE + 9, 9.0, Kind.UNSENT, 0, "", "full") for index in range(1600))
    measures = measure(recording(results=unsent))
    assert (measures.lag, measures.total.latency, measures.slowest) == (None, None, 0.0)
    assert measures.total.failed == {Kind.UNSENT: 1600}, "but it is counted as failed"


def test_the_probes_own_delay_is_told() -> None:
    late = tuple(result._replace(sent=result.scheduled + 0.03) for result in results(FAILOVER))
    lag = measure(recording(results=late)).lag
    assert lag is not None
    assert lag.p99 == pytest.approx(0.03, rel=0.001)


def test_no_result_is_no_run() -> None:
    with pytest.raises(ValueError, match="sent nothing"):
        measure(recording(()))
