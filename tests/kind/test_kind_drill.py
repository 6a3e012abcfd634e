"""The drill on kind clusters, where it has the Kubernetes API and port-forwards, and no process of this machine to send a signal to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kind_support import KindStack

from tests.e2e.conftest import PROJECT, until

pytestmark = pytest.mark.kind

SHORT = ("app-killed", "failover-gateway-killed")
"""An app's Envoy that is told to quit through a port-forward, and pods that are deleted without grace."""


def command(stack: KindStack, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "drill", "--stack", stack.name, *arguments]


def test_a_short_drill_passes_and_loses_nothing(stack: KindStack, tmp_path: Path) -> None:
    stack.settled()
    report = tmp_path / "report.json"
    done = subprocess.run(
        command(stack, *SHORT, "--rate=50", "--json", str(report), "--html", str(tmp_path / "report.html")),
        cwd=PROJECT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"every objective was met:\n{done.stdout[-6000:]}{done.stderr[-3000:]}"
    document = json.loads(report.read_text())
    assert [each["name"] for each in document["scenarios"]] == list(SHORT), "each scenario was done"
    for each in document["scenarios"]:
        (run,) = each["runs"]
        assert run["measures"]["failed"] == 0, f"{each['name']} promises it"
    stack.settled()


def test_what_needs_a_signal_is_refused_with_the_reason(stack: KindStack) -> None:
    done = subprocess.run(command(stack, "app-frozen"), cwd=PROJECT, env=stack.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, "it could not be done"
    assert "app-frozen cannot be done on kind clusters: needs a signal to the app's processes" in done.stderr


def test_a_drill_that_is_killed_leaves_a_healed_stack(stack: KindStack) -> None:
    stack.settled()
    drills = stack.state / stack.name / "drills"
    with subprocess.Popen(
        command(stack, "scaled-to-zero"), cwd=PROJECT, env=stack.environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        until("green answers, as blue has no pods", lambda: (drills / "broken.json").exists() and "green-pod" in stack.answer(), seconds=90)
        os.killpg(process.pid, signal.SIGKILL)
    until("the guardian has healed it", lambda: not (drills / "broken.json").exists(), seconds=90)
    assert (drills / "guardian.log").read_text().endswith("scaled-to-zero: healed\n"), "it was the guardian"
    stack.settled()
