"""Interrupted, killed, wrong: whatever happened, `up` goes on from there and `down` leaves nothing.

Each test has a stack of its own, side by side with the one that the other tests share.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PROJECT, LiveStack, processes_of, until

pytestmark = pytest.mark.e2e


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LiveStack]:
    """A second stack, beside the one that the other tests share."""
    live = LiveStack(name="e2e-own", state=tmp_path / "root")
    try:
        yield live
    finally:
        live.cli("down")


def kill_everything(state: Path) -> None:
    """kill -9 every process of the stack, as a power cut would."""
    for _ in range(5):
        pids = [int(line.split()[0]) for line in processes_of(state)]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if not pids:
            return
        time.sleep(0.3)


def test_an_interrupted_up_converges_when_it_is_repeated(own: LiveStack) -> None:
    first = own.popen("up")
    until("the first cluster is being made", lambda: list((own.state / own.name / "clusters").glob("*/cluster.json")), seconds=60)
    time.sleep(2)
    os.killpg(first.pid, signal.SIGINT)
    output, _ = first.communicate(timeout=90)
    assert first.returncode != 0, f"it says that it did not finish: {output[-2000:]}"
    assert "Traceback" not in output, f"an interrupt is no crash: {output[-3000:]}"
    again = own.cli("up")
    assert again.returncode == 0, f"goes on from there: {again.stdout[-4000:]}{again.stderr[-2000:]}"
    assert "blue-pod" in again.stdout, "to the first answer"

    # The same stack serves the next question: everything is killed, as by a reboot.
    kill_everything(own.state)
    assert processes_of(own.state) == [], "nothing runs"
    back = own.cli("up")
    assert back.returncode == 0, f"`up` brings the same clusters back: {back.stdout[-4000:]}{back.stderr[-2000:]}"
    assert "blue-pod" in back.stdout, "with their objects"

    kill_everything(own.state)
    down = own.cli("down")
    assert down.returncode == 0, f"`down` after a kill -9 of everything: {down.stdout[-3000:]}{down.stderr[-2000:]}"
    assert processes_of(own.state) == [], "no process"
    assert not own.state.exists(), "no file"


def test_down_without_a_stack_is_no_error(own: LiveStack) -> None:
    down = own.cli("down")
    assert down.returncode == 0, f"there is nothing to do: {down.stdout}{down.stderr}"


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("clusters: [{name: a, region: r, zone: z, management: true}, {name: a, region: r, zone: y}]", ["clusters[1].name", '"a"']),
        ("apps: [{color: Red, cluster: local}]", ["color", "Red", "a-z, 0-9"]),
        ("healthCheck: {interval: -1s}", ["interval", "-1s"]),
        ("helthCheck: {interval: 1s}", ["helthCheck"]),
    ],
    ids=["a cluster name used twice", "an unknown colour", "a negative interval", "an unknown key"],
)
def test_a_wrong_config_is_refused_before_anything_is_created(own: LiveStack, setting: str, named: list[str]) -> None:
    stack_file = PROJECT / f"Pulumi.{own.name}.yaml"
    before = stack_file.read_bytes() if stack_file.exists() else b""
    try:
        own.cli("env")
        stack_file.write_text(f"{stack_file.read_text()}config:\n  service-failover:{setting}\n")
        up = own.pulumi("up", "--yes", "--skip-preview", "-s", own.name)
        output = up.stdout + up.stderr
        assert up.returncode != 0, f"refused: {output}"
        assert "Traceback" not in output, f"a wrong value is no crash: {output}"
        for word in named:
            assert word in output, f"the error names {word!r}: {output}"
        assert not (own.state / own.name / "clusters").exists(), "no cluster was made"
    finally:
        stack_file.write_bytes(before)


def test_help_names_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "cli", "--help"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for command in ("up", "down", "env", "status", "fail", "heal", "watch"):
        assert command in done.stdout, f"--help lists {command}"
