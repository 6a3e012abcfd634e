"""The drill can fail: the objectives that need more than a patch of a real stack to be missed, each missed because of a weak configuration.

Flow, probe, guardian, measures, verdict, causes and report are the drill's own; only the stack is not (weak_gateway.py). What a patch is enough
for is in tests/e2e/test_drill.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import stand_in
from sound_facts import NOW, changed, no_retries, route_options, whole
from weak_gateway import BLUE, NOBODY, Gateway, serving

from drill.broken import Broken
from drill.causes import Facts, find_causes
from drill.document import Outcome, document
from drill.folder import Folder
from drill.guardian import Guardian
from drill.html import page
from drill.record import Objective
from drill.run import Drill, Senses, run
from drill.scenario import Expected, Scenario
from drill.summary import text
from drill.view import Progress, View
from tests.e2e.conftest import PROJECT
from tests.e2e.weaknesses import MISSED_ON_A_STACK

pytestmark = pytest.mark.process

LENIENT: dict[str, Any] = {"failed": None, "switch_within": None, "recover_within": None, "failback_failed": None}
SHORT = {"hold": 0.8, "settle": 0.4}


def sound() -> Facts:
    """Health checks five times a second, and 0.2 s for a request."""
    facts = changed("VirtualService", lambda each: route_options(each, timeout="0.2s"))(whole())
    return changed("Upstream", lambda each: each["spec"]["healthChecks"][0].update(interval="0.2s"))(facts)


def nobody_answers(target: Any) -> None:
    target.mark("neither answers")
    target.serve(NOBODY)


def scenario(objective: str, allowed: Any, **changes: Any) -> Scenario:
    made = stand_in.scenario(objective.replace("_", "-"), **{**SHORT, **changes})
    return replace(made, objective=Objective(**LENIENT, **{objective: allowed}))


SCENARIOS = {
    "failed_beyond_in_flight": scenario("failed_beyond_in_flight", 0),
    "failed_only_until": scenario("failed_only_until", 0.5),
    "answered_within": scenario("answered_within", 2.0, hold=3.0, breaking=nobody_answers, expected_during=Expected.NOBODY),
    "only_status": scenario("only_status", True, breaking=nobody_answers, expected_during=Expected.NOBODY),
}
"""By the objective that it has, alone."""
WEAK: dict[str, tuple[Callable[[Facts], Facts], str]] = {
    "failed_beyond_in_flight": (changed("VirtualService", no_retries), "VirtualService 'default' has no retries"),
    "failed_only_until": (
        lambda facts: changed("Upstream", lambda each: each["spec"].pop("healthChecks"))(changed("VirtualService", no_retries)(facts)),
        "has no health check (spec.healthChecks)",
    ),
    "answered_within": (
        changed("VirtualService", lambda each: route_options(each, timeout="60s")),
        "VirtualService 'default' lets a request wait 60.0 s where nobody answers",
    ),
    "only_status": (
        lambda facts: replace(facts, primary=[each for each in facts.primary if each["kind"] != "VirtualService"]),
        "there is no VirtualService in local",
    ),
}
"""What weakens the stack so that it is missed, and a part of the cause."""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guardian, which is started as a file, finds the project."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))


def drilled(facts: Facts, folder: Path, *scenarios: Scenario) -> dict[str, Any]:
    """The document of a drill of a stack with these objects."""
    serves = folder / "serves"
    serves.write_text(BLUE)
    with serving(Gateway(facts=facts, able=lambda: (serves.read_text(), serves.stat().st_mtime))) as url:
        place = Folder(folder / "drills")
        with place.locked() as lock:
            seen = run(
                Drill(
                    target=stand_in.StandIn(folder=folder, url=url),  # type: ignore[arg-type]
                    scenarios=scenarios,
                    rate=50,
                    warm_up=0.4,
                    time_limit=120,
                    despite="",
                    broken=Broken(place.broken),
                    guardian=Guardian([sys.executable, stand_in.__file__, "guardian", str(folder), url], keep=[lock]),
                    view=View(Progress(total=len(scenarios))),
                    senses=Senses(unsettled=stand_in.unsettled, observe=stand_in.observe, causes=lambda *_: find_causes(facts, now=NOW)),
                )
            )
    assert seen.ended == "", "it came to its end"
    return document([Outcome.of(recording) for recording in seen.recordings])


def missed(report: dict[str, Any]) -> list[str]:
    return [check["objective"] for scenario in report["scenarios"] for run in scenario["runs"] for check in run["checks"] if not check["met"]]


def test_a_sound_stack_misses_none(tmp_path: Path) -> None:
    report = drilled(sound(), tmp_path, *SCENARIOS.values())
    assert missed(report) == [], text(report)


@pytest.mark.parametrize("objective", SCENARIOS)
def test_a_weakened_stack_misses_it_and_the_report_says_why(objective: str, tmp_path: Path) -> None:
    weaken, cause = WEAK[objective]
    report = drilled(weaken(sound()), tmp_path, SCENARIOS[objective])
    assert missed(report) == [objective], "this one, and no other"
    assert not report["passed"], "so the drill failed"
    assert [said for said in report["scenarios"][0]["runs"][0]["causes"] if cause in said], "the report names what is weak"
    assert cause in text(report), "also in a terminal"
    assert "Missed" in page(report), "and on the page"


def test_every_objective_is_missed_somewhere() -> None:
    """A new objective needs such a test."""
    judged = {each.name for each in fields(Objective)} - {"failed_reason"}
    assert set(WEAK) | MISSED_ON_A_STACK == judged
