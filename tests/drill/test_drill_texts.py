"""What is said of a drill in a terminal, and of two drills side by side."""

from __future__ import annotations

from typing import Any

import pytest
from recordings import BLUE, GREEN, Stretch, recording

from drill.compare import compare, judged
from drill.document import Outcome, document
from drill.record import Objective
from drill.results import Kind
from drill.summary import text
from drill.words import amount, duration

pytestmark = pytest.mark.unit


def failover(switch: float = 0.1, *, failing: float = 0.0) -> tuple[Stretch, ...]:
    """A failover that takes so long, blue answering or requests failing meanwhile."""
    return ((2.0, BLUE, 0.002), (switch, BLUE, 0.002), (failing, Kind.STATUS, 0.002), (3.0 - switch - failing, GREEN, 0.004), (3.0, BLUE, 0.002))


def report(*runs: tuple[Stretch, ...], **values: Any) -> dict[str, Any]:
    return document([Outcome.of(recording(run, **values)) for run in runs], made_at="2026-11-26T03:00:00+00:00")


def test_a_drill_that_passed_is_told_in_three_lines() -> None:
    assert text(report(failover())).splitlines() == [
        "PASS  app-unhealthy: The app reports itself unhealthy",
        "      0 of 1,600 failed; detect 750 ms, switch 104 ms, recover 2.0 ms; p99 before 2.0 ms, during 4.0 ms, after 2.0 ms",
        "",
        "PASSED: 1 of 1 scenario kept what they promise (stack embedded)",
    ]


def test_a_miss_is_told_with_its_causes() -> None:
    said = text(report(failover(0, failing=0.05), causes=("The route default/route has no retries.",), despite="priority 1 is unhealthy"))
    assert "      10 of 1,600 failed (10 status); detect" in said
    assert "\n      missed: 10 requests failed; allowed: 0.\n      cause: The route default/route has no retries.\n" in said
    assert "\n      started in spite of: priority 1 is unhealthy\n" in said
    assert said.endswith("FAILED: 0 of 1 scenario kept what they promise (stack embedded)")
    assert "cause: nothing was found in the stack that explains it" in text(report(failover(0, failing=0.05))), "not even a cause: that is said, too"


def test_repeats_are_told_by_their_median_and_range() -> None:
    said = text(report(failover(0.1), failover(0.3), failover(0.2, failing=0.05)))
    assert "2 of 3 runs passed; 10 of 4,800 failed; medians: detect 750 ms, switch 254 ms (104 ms to 304 ms), recover 2.0 ms" in said
    assert "run 3: missed: 10 requests failed; allowed: 0." in said


def test_a_drill_that_ended_early_says_why() -> None:
    said = text(document([Outcome.of(recording(failover()))], ended="not done within 200 s"))
    assert "The drill ended early: not done within 200 s.\nFAILED" in said, "what was not run has not passed"


def test_what_comes_from_outside_does_not_reach_the_terminal_as_it_is() -> None:
    said = text(report(failover(0, failing=0.05), causes=("\x1b[2Jgone\r\n",)))
    assert "cause: \N{REPLACEMENT CHARACTER}[2Jgone" in said
    assert said.isprintable() or set(said) - {character for character in said if character.isprintable()} == {"\n"}


def test_a_drill_compared_with_itself_has_not_changed() -> None:
    same = compare(report(failover()), report(failover()))
    assert not same.regressed
    assert "app-unhealthy: pass -> pass\n    no measure changed\n" in same.text


def test_what_got_worse_and_better_is_told_with_both_numbers() -> None:
    found = compare(report(failover(0.5)), report(failover(0.1, failing=0.1)))
    assert found.regressed, "it passed, and fails now"
    assert "app-unhealthy: pass -> FAIL\n    missed now: 20 requests failed; allowed: 0.\n" in found.text
    assert "    worse   failed requests          0 -> 20\n" in found.text
    assert "    better  time to switch           504 ms -> 204 ms\n" in found.text
    assert found.text.endswith("regressed: app-unhealthy")
    back = compare(report(failover(0.1, failing=0.1)), report(failover(0.5)))
    assert not back.regressed, "what passes now is no regression, though the switch is slower"
    assert "    worse   time to switch " in back.text


def test_a_measure_that_is_worse_is_no_regression_while_the_verdict_stands() -> None:
    assert not compare(report(failover(0.1)), report(failover(2.0))).regressed, "within the objective"


def test_runs_that_overlap_say_nothing() -> None:
    one, other = report(failover(0.1), failover(0.5)), report(failover(0.3), failover(0.7))
    assert "no measure changed" in compare(one, other).text
    assert (
        "worse   time to switch           304 ms (104 ms to 504 ms) -> 804 ms (704 ms to 904 ms)"
        in compare(one, report(failover(0.7), failover(0.9))).text
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (0.001, 0.0059, ""),
        (0.001, 0.0061, "worse"),
        (0.0061, 0.001, "better"),
        (1.0, 1.09, ""),
        (1.0, 1.11, "worse"),
        (None, 1.0, "happens"),
        (1.0, None, "never"),
    ],
)
def test_a_difference_counts_beyond_what_the_drill_is_exact_to(old: float | None, new: float | None, said: str) -> None:
    values = ({"unit": "s", "count": int(value is not None), "median": value, "min": value, "max": value} for value in (old, new))
    assert judged(*values) == said, "five milliseconds, and a tenth"


def test_scenarios_and_conditions_that_differ_are_told() -> None:
    one = report(failover(), scenario="a")
    other = document(
        [
            Outcome.of(recording(failover(), scenario="a", rate=100.0, objective=Objective(failed=5, failed_reason="it ends"))),
            Outcome.of(recording(failover(), scenario="b")),
        ]
    )
    found = compare(one, other).text
    assert "other conditions: rate: 200.0 -> 100.0" in found
    assert "other objective: failed: 0 -> 5" in found
    assert "it ends" not in found, "a reason is none"
    assert "b: only in the second report (pass)" in found
    assert "b: only in the first report (pass)" in compare(other, one).text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (0.0, "0 ms"), (0.00012, "0.12 ms"), (0.0021, "2.1 ms"), (0.75, "750 ms"), (1.004, "1.00 s"), (12.34, "12.3 s"), (-2.5, "-2.50 s")],
)
def test_durations_have_three_digits(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


def test_amounts_have_their_unit() -> None:
    assert [amount(12345, "requests"), amount(2.5, "requests"), amount(0.5, "s"), amount("broken", ""), amount(None, "s")] == [
        "12,345",
        "2.5",
        "500 ms",
        "broken",
        "–",
    ]
