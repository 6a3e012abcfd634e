"""Whatever is broken when a stack has to go: `make down` ends it, and so does `pulumi destroy` as long as Pulumi itself is whole.

Each stack here was killed with kill -9 while it was being made: Pulumi's lock is held, operations are pending, plugins have lost their parent.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PROJECT, LiveStack, processes_of, until

pytestmark = pytest.mark.e2e

NAME = "e2e-teardown"


def state_file(stack: LiveStack) -> Path:
    return stack.state / "backend" / ".pulumi" / "stacks" / "service-failover" / f"{NAME}.json"


def has_objects(stack: LiveStack) -> bool:
    file = state_file(stack)
    return file.exists() and "kubernetes:core/v1:Namespace" in file.read_text()


@pytest.fixture
def half_built(tmp_path: Path) -> Iterator[LiveStack]:
    """A stack whose `pulumi up` was killed when there were clusters, and something in them."""
    stack = LiveStack(name=NAME, state=tmp_path / "root")
    try:
        up = stack.popen("up")
        until("something is in the clusters", lambda: has_objects(stack) or up.poll() is not None, seconds=240)
        assert up.poll() is None, f"it is not done yet: {up.communicate()[0][-3000:]}"
        os.killpg(up.pid, signal.SIGKILL)
        up.communicate()
        yield stack
    finally:
        stack.cli("down")


def embedded(stack: LiveStack, verb: str, cluster: str) -> None:
    directory = stack.state / NAME / "clusters" / cluster
    subprocess.run([sys.executable, "-m", "embedded", verb, "--state-dir", str(directory)], cwd=PROJECT, check=True, timeout=60)


def remove_cluster(stack: LiveStack) -> None:
    shutil.rmtree(stack.state / NAME / "clusters" / "local")


def truncate_state(stack: LiveStack) -> None:
    state_file(stack).write_text(state_file(stack).read_text()[:1000])


def remove_plugins(stack: LiveStack) -> None:
    shutil.rmtree(stack.state / "pulumi" / "plugins")


FAULTS: dict[str, Callable[[LiveStack], None]] = {
    "nothing else": lambda stack: None,
    "an API server is dead": lambda stack: embedded(stack, "stop", "local"),
    "a cluster's directory was removed": remove_cluster,
    "Pulumi's plugins were removed": remove_plugins,
    "the passphrase was removed": lambda stack: (stack.state / "passphrase").unlink(),
    "the passphrase is another": lambda stack: (stack.state / "passphrase").write_text("another") and None,
    "the state is cut off": truncate_state,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_down_leaves_nothing(half_built: LiveStack, fault: str) -> None:
    FAULTS[fault](half_built)
    down = half_built.cli("down")
    gone(half_built, down)


def test_down_needs_no_tool_and_no_python_environment(half_built: LiveStack, tmp_path: Path) -> None:
    # -S: nothing but the standard library; the empty cache: no tool, nor the environment that the stack was made by.
    environment = {name: value for name, value in half_built.environment.items() if name != "SERVICE_FAILOVER_PYTHON"}
    environment |= {"SERVICE_FAILOVER_CACHE": str(tmp_path / "empty"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-S", "-m", "cli", "--stack", NAME, "down"]
    gone(half_built, subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300, check=False))


def gone(stack: LiveStack, down: subprocess.CompletedProcess[str]) -> None:
    assert down.returncode == 0, f"it works: {down.stdout[-3000:]}{down.stderr[-3000:]}"
    assert "Traceback" not in down.stdout + down.stderr, f"and what is broken is no crash: {down.stderr[-3000:]}"
    until("no process of the stack is left", lambda: not processes_of(stack.state), seconds=10)
    assert not stack.state.exists(), "no file"
    assert not (PROJECT / f"Pulumi.{NAME}.yaml").exists(), "and nothing in the checkout"


def test_pulumi_destroys_by_hand_what_no_cluster_can_be_asked_about(half_built: LiveStack) -> None:
    embedded(half_built, "stop", "remote")
    remove_cluster(half_built)
    half_built.pulumi("cancel", "--yes", "-s", NAME)
    destroyed = half_built.pulumi("destroy", "--yes", "--skip-preview", "-s", NAME)
    assert destroyed.returncode == 0, f"what is in a cluster goes with it: {destroyed.stdout[-3000:]}{destroyed.stderr[-2000:]}"
    assert not list((half_built.state / NAME / "clusters").glob("*")), "and the clusters are gone"


def test_a_machine_without_the_tools_is_told_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    stack = LiveStack(name=NAME, state=tmp_path / "root")
    try:
        exports = stack.cli("env").stdout
        for command in ("preview", "up --yes --skip-preview"):
            script = f"{exports}\nexport SERVICE_FAILOVER_CACHE={tmp_path / 'empty'}\nexec pulumi --non-interactive {command} -s {NAME}"
            environment = {**stack.environment, "TMPDIR": str(stack.state / "tmp")}
            refused = subprocess.run(
                ["/bin/sh", "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
            said = refused.stdout + refused.stderr
            assert refused.returncode != 0, f"{command} ends: {said}"
            assert "not installed: kube-node, envoy, http-echo" in said, f"with what is missing: {said}"
            assert "python3 -m toolchain install" in said, "and with the command that gets it"
            assert "Traceback" not in said, "a missing tool is no crash"
            assert not (stack.state / NAME / "clusters").exists(), "nothing was made"
    finally:
        stack.cli("down")
