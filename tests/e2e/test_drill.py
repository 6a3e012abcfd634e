"""The drill on a real stack: it passes on a sound one. On a weakened one it fails, by the objective that is missed, and names what is weak.

What is weakened, and put back, is what somebody could do by kubectl: an annotation, a field, a name, a Secret.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.traffic import ask
from drill.scenarios import DEFAULT, SCENARIOS
from tests.e2e.clients import BLUE, GREEN
from tests.e2e.conftest import PROJECT, LiveStack, until
from tests.e2e.faults import settled
from tests.e2e.weaknesses import WEAK

pytestmark = pytest.mark.e2e


@dataclass(frozen=True, kw_only=True)
class Drilled:
    """A drill that has ended."""

    code: int
    said: str
    document: dict[str, Any]

    def run(self, scenario: str) -> dict[str, Any]:
        """The only run of a scenario."""
        (found,) = [each["runs"] for each in self.document["scenarios"] if each["name"] == scenario]
        (run,) = found
        return dict(run)


def drill(stack: LiveStack, folder: Path, *arguments: str) -> Drilled:
    """`python -m drill`, as in a shell that is no terminal."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "drill", "--stack", stack.name, "--json", str(report), "--html", str(folder / "report.html"), *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=stack.environment, capture_output=True, text=True, timeout=900, check=False)
    said = done.stdout + done.stderr
    assert report.exists(), f"there is a report:\n{said[-6000:]}"
    return Drilled(code=done.returncode, said=said, document=json.loads(report.read_text()))


def is_whole(stack: LiveStack) -> None:
    """Wait until the stack is as it was: both apps healthy at the gateway, and the standby proven."""
    settled(stack)
    scheme = ("failoverscheme", "-n", "gloo-fed", "failover-scheme")
    until("the standby is proven", lambda: stack.get("local", *scheme).get("status", {}).get("standbyProven"), seconds=60)


@pytest.mark.parametrize("weakness", WEAK)
def test_the_drill_fails_on_a_weakened_stack_and_names_what_is_weak(stack: LiveStack, tmp_path: Path, weakness: str) -> None:
    weak = WEAK[weakness]
    is_whole(stack)
    try:
        with weak.weakened(stack):
            drilled = drill(stack, tmp_path, *weak.misses, "--despite-unhealthy")
    finally:
        is_whole(stack)
    assert drilled.code == 1, f"an objective was missed, and that is the exit code:\n{drilled.said[-3000:]}"
    for scenario, objective in weak.misses.items():
        run = drilled.run(scenario)
        assert objective in [check["objective"] for check in run["checks"] if not check["met"]], f"{scenario}: this one among others"
        assert [said for said in run["causes"] if weak.cause in said], f"{scenario}: what is weak is named; named were {run['causes']}"
    assert weak.cause in drilled.said, "in the terminal too"
    page = (tmp_path / "report.html").read_text()
    assert "FAIL" in page.upper(), "and on the page"


def test_a_drill_refuses_a_stack_that_is_not_healthy_and_says_why(stack: LiveStack) -> None:
    is_whole(stack)
    stack.cli("fail")
    try:
        command = [sys.executable, "-m", "drill", "--stack", stack.name, "app-killed"]
        done = subprocess.run(command, cwd=PROJECT, env=stack.environment, capture_output=True, text=True, timeout=120, check=False)
    finally:
        stack.cli("heal")
        is_whole(stack)
    assert done.returncode == 2, "it could not be done"
    assert "the stack is not healthy, so a drill would measure that: tier 1 (remote) serves, not the primary" in done.stderr, "why"
    assert f"make status STACK={stack.name}" in done.stderr, "and what to look at"


def test_a_drill_that_is_killed_leaves_a_healed_stack(stack: LiveStack) -> None:
    is_whole(stack)
    drills = stack.state / stack.name / "drills"
    command = [sys.executable, "-m", "drill", "--stack", stack.name, "app-frozen"]
    with subprocess.Popen(command, cwd=PROJECT, env=stack.environment, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        until("green answers, as blue is frozen", lambda: (drills / "broken.json").exists() and GREEN in ask(stack.url), seconds=60)
        os.killpg(process.pid, signal.SIGKILL)
    until("the guardian has healed it", lambda: not (drills / "broken.json").exists())
    is_whole(stack)
    assert BLUE in ask(stack.url), "blue serves again"
    assert (drills / "guardian.log").read_text().endswith("app-frozen: healed\n"), "it was the guardian"


def test_the_default_set_passes_on_a_sound_stack(stack: LiveStack, tmp_path: Path) -> None:
    is_whole(stack)
    drilled = drill(stack, tmp_path)
    print(drilled.said)
    assert drilled.code == 0, f"every objective was met:\n{drilled.said[-6000:]}"
    assert [each["name"] for each in drilled.document["scenarios"]] == list(DEFAULT), "each scenario was done"
    for name in DEFAULT:
        if SCENARIOS[name].objective.failed == 0:
            assert drilled.run(name)["measures"]["failed"] == 0, f"{name} loses nothing"
    is_whole(stack)
