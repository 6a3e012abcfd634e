"""Each objective passes at its limit and fails beyond it, and says so in a sentence with both numbers."""

from __future__ import annotations

from typing import Any

import pytest
from recordings import BLUE, EVENTS, FAILOVER, GREEN, recording, results

from drill.measures import measure
from drill.record import Objective
from drill.results import Kind
from drill.verdict import Verdict, judge

pytestmark = pytest.mark.unit

LENIENT: dict[str, Any] = {"failed": None, "switch_within": None, "recover_within": None, "failback_failed": None}
IN_FLIGHT = ((1.9, BLUE, 0.002), (0.1, Kind.STALE, 0.15), (0.1, Kind.STALE, 0.15), (2.9, GREEN, 0.002), (0.5, Kind.CLOSED, 0.002), (2.5, BLUE, 0.002))
"""20 fail that were in flight at the break, 20 beyond them, and 100 after the heal."""


def verdict(objective: dict[str, Any], stretches: Any = FAILOVER, **values: Any) -> Verdict:
    return judge(measure(recording(stretches, **values)), Objective(**{**LENIENT, **objective}))


@pytest.mark.parametrize(
    ("objective", "stretches", "met", "missed", "said"),
    [
        ("failed", FAILOVER, 200, 199, "200 requests failed; allowed: 199."),
        ("failed_beyond_in_flight", IN_FLIGHT, 120, 119, "120 requests failed that were not in flight; allowed: 119."),
        ("failback_failed", IN_FLIGHT, 100, 99, "100 requests sent after the heal failed; allowed: 99."),
        ("failed_only_until", FAILOVER, 0.996, 0.995, "sent 0.995 s after the break; allowed: 0.995 s."),
        ("detect_within", FAILOVER, 0.755, 0.745, "It took 0.750 s from the break until the gateway or the status noticed it; allowed: 0.745 s."),
        ("switch_within", FAILOVER, 1.005, 1.003, "It took 1.004 s from the break until green-pod answered alone; allowed: 1.003 s."),
        ("recover_within", FAILOVER, 0.503, 0.501, "It took 0.502 s from the heal until blue-pod answered alone; allowed: 0.501 s."),
        ("answered_within", IN_FLIGHT, 0.15, 0.149, "The slowest request took 0.150 s; allowed: 0.149 s."),
        ("only_status", IN_FLIGHT, False, True, "140 requests failed without a complete answer; allowed: 0."),
    ],
)
def test_an_objective_is_met_at_its_limit_and_missed_beyond_it(objective: str, stretches: Any, met: Any, missed: Any, said: str) -> None:
    assert verdict({objective: met}, stretches).passed, "at the limit"
    found = verdict({objective: missed}, stretches)
    assert [miss.objective for miss in found.misses] == [objective], "this one, and no other"
    assert said in found.misses[0].text


def test_what_is_not_judged_is_no_check() -> None:
    assert {check.objective for check in verdict({}).checks} == {"whole", "served_before"}
    assert verdict({}).passed, "though 200 requests failed"


def test_failures_beyond_those_in_flight_are_judged_instead_of_all() -> None:
    found = verdict({"failed": 0, "failed_beyond_in_flight": 120}, IN_FLIGHT)
    assert found.passed
    assert "failed" not in {check.objective for check in found.checks}


@pytest.mark.parametrize("expected", [GREEN, BLUE])
def test_a_server_that_never_came_is_a_miss(expected: str) -> None:
    alone = ((5.0, BLUE, 0.002), (3.0, "somebody", 0.002))
    missed = verdict({"switch_within": 5.0, "recover_within": 10.0}, alone, expected=(BLUE, expected, BLUE)).misses
    assert missed[-1].text == "After the heal it never happened that blue-pod answered alone; allowed: 10.0 s."
    assert (missed[-1].measured, len(missed)) == (None, 2 if expected == GREEN else 1), "blue served while it was broken, green never did"


def test_nothing_is_expected_of_a_switch_where_nobody_can_serve() -> None:
    down = ((2.0, BLUE, 0.002), (3.0, Kind.STATUS, 0.002), (3.0, BLUE, 0.002))
    assert verdict({"switch_within": 5.0}, down, expected=(BLUE, None, BLUE)).passed
    missed = verdict({}, ((8.0, BLUE, 0.002),), expected=(BLUE, None, BLUE)).misses
    assert [miss.objective for miss in missed] == ["effect"], "a break that nobody notices has broken nothing"
    late = ((2.0, BLUE, 0.002), (0.2, BLUE, 0.002), (2.8, BLUE, 4.0), (3.0, BLUE, 0.002))
    assert verdict({}, late, expected=(BLUE, None, BLUE)).passed, "a gateway that tries on until the app is back loses nothing, and yet it broke"


def test_a_run_that_began_on_the_wrong_server_fails() -> None:
    missed = verdict({}, ((2.0, GREEN, 0.002), (3.0, GREEN, 0.002), (3.0, BLUE, 0.002))).misses
    assert [miss.text for miss in missed] == ["Before the break green-pod answered; expected: blue-pod alone."]


def test_a_request_that_was_in_flight_at_the_break_may_be_answered_by_another_server() -> None:
    assert verdict({}, ((1.9, BLUE, 0.002), (0.1, GREEN, 0.5), (3.0, GREEN, 0.002), (3.0, BLUE, 0.002))).passed, "that is what a retry is for"


@pytest.mark.parametrize(
    ("values", "measured"),
    [({"interrupted": True}, "broken and healed, then interrupted"), ({"events": EVENTS[:3]}, "broken"), ({"events": ()}, "not broken")],
)
def test_a_run_that_was_cut_off_never_passes(values: dict[str, Any], measured: str) -> None:
    missed = verdict({}, **values).misses
    assert [(miss.objective, miss.measured) for miss in missed] == [("whole", measured)]


def test_causes_are_passed_on_and_judge_nothing() -> None:
    found = judge(measure(recording()), Objective(**LENIENT), ["The route has no retries."])
    assert (found.passed, found.causes) == (True, ("The route has no retries.",))


def test_a_probe_that_was_late_or_full_raises_doubts() -> None:
    assert verdict({}).doubts == (), "a tenth of a millisecond is nothing"
    late = tuple(result._replace(sent=result.scheduled + 0.05) for result in results(FAILOVER))
    assert "50 ms late" in verdict({}, results=late).doubts[0]
    full = tuple(result._replace(kind=Kind.UNSENT) if result.number == 1599 else result for result in results(FAILOVER))
    assert verdict({}, results=full).doubts[0].startswith("1 request could not be sent")
