"""One stack for all end-to-end tests, brought up as a user brings it up, in a state directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

import toolchain
from cli.stack import Stack
from cli.workspace import Workspace
from drill.results import Summary
from drill.target import Target

PROJECT = Path(__file__).resolve().parents[2]
LOSS, LIMIT = "what clients notice", "what cannot be saved"
TABLES = {
    LOSS: ("case", "backend", "requests", "failed", "slowest", "p99"),
    LIMIT: ("case", "requests", "in flight at the failure", "failed"),
}
"""The tables of docs/zero-loss.md. A test keeps its row in a property of the table's name."""


@dataclass(frozen=True, kw_only=True)
class LiveStack:
    """A stack under test, reached as a user reaches it."""

    name: str
    state: Path
    project: Path = PROJECT
    python: Path | None = None
    """The interpreter that the program runs with, when it is not the toolchain's."""

    config = "service-failover:"
    """What is before the keys of its configuration."""

    @property
    def environment(self) -> dict[str, str]:
        chosen = {"SERVICE_FAILOVER_PYTHON": str(self.python)} if self.python else {}
        return {**os.environ, "SERVICE_FAILOVER_STATE": str(self.state), **chosen}

    def cli(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `python -m cli` on this stack."""
        command = [sys.executable, "-m", "cli", "--project", str(self.project), "--stack", self.name, *arguments]
        return subprocess.run(command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False)

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `python -m cli` in a process group of its own, as a terminal does."""
        command = [sys.executable, "-m", "cli", "--project", str(self.project), "--stack", self.name, *arguments]
        return subprocess.Popen(
            command, cwd=PROJECT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def pulumi(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `pulumi` as in a shell that has evaluated `make env`."""
        exports = self.cli("env").stdout
        command = ["/bin/sh", "-c", f'{exports}\nexec pulumi --non-interactive "$@"', "sh", *arguments]
        # The Kubernetes plugin leaves kubeconfigs in its temporary directory; a test leaves nothing.
        environment = {**self.environment, "TMPDIR": str(self.state / "tmp")}
        return subprocess.run(command, cwd=self.project, env=environment, input=stdin, capture_output=True, text=True, timeout=300, check=False)

    def configure(self, key: str, value: object) -> None:
        """Set one value of the stack's configuration, such as `healthCheck.interval`."""
        done = self.pulumi("config", "set", "-s", self.name, "--path", f"{self.config}{key}", str(value))
        assert done.returncode == 0, done.stderr

    def kubectl(self, cluster: str, *arguments: str, stdin: str = "") -> str:
        """Run kubectl on one cluster, and return what it printed."""
        kubeconfig = self.state / self.name / "kubeconfigs" / f"{cluster}.yaml"
        command = [str(toolchain.find("kubectl")), "--kubeconfig", str(kubeconfig), "--request-timeout=10s", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, timeout=60).stdout

    def get(self, cluster: str, *arguments: str) -> Any:
        """`kubectl get -o json`, parsed."""
        return json.loads(self.kubectl(cluster, "get", "-o", "json", *arguments))

    @cached_property
    def url(self) -> str:
        """Where clients reach it."""
        outputs = self.pulumi("stack", "output", "proxyUrl", "-s", self.name)
        return outputs.stdout.strip()

    @cached_property
    def target(self) -> Target:
        """The same stack, as the drill reaches it."""
        return Target.of(Stack(name=self.name, workspace=Workspace(root=self.state, project=self.project)))

    def cluster_status(self, cluster: str) -> Any:
        """`python -m embedded status --json` of one cluster."""
        directory = self.state / self.name / "clusters" / cluster
        command = [sys.executable, "-m", "embedded", "status", "--state-dir", str(directory), "--json"]
        return json.loads(subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False).stdout)


def until(what: str, condition: Callable[[], Any], *, seconds: float = 30.0) -> Any:
    """Wait for a condition to hold, and return its value; fails with `what` when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


def processes_of(state: Path) -> list[str]:
    """Command lines of the processes whose arguments, folder or environment name this state directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            mentioned = str(state) in command or str(state) in (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if mentioned and int(process.name) != os.getpid():
            found.append(f"{process.name} {command}")
    return found


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    """The stack, up. Taken down at the end of the session, and then nothing of it may be left."""
    live = LiveStack(name="e2e", state=tmp_path_factory.mktemp("state") / "root")
    up = live.cli("up")
    try:
        assert up.returncode == 0, f"up failed:\n{up.stdout[-6000:]}\n{up.stderr[-3000:]}"
        assert "blue-pod" in up.stdout, "`up` ends with the first answer"
        yield live
    finally:
        down = live.cli("down")
        assert down.returncode == 0, f"down failed:\n{down.stdout[-3000:]}\n{down.stderr[-3000:]}"
        assert processes_of(live.state) == [], "no process of the stack is left"
        assert not live.state.exists(), "no file of the stack is left"
        # What tests have configured, of a stack that is gone.
        (PROJECT / f"Pulumi.{live.name}.yaml").unlink(missing_ok=True)


@pytest.fixture(scope="session", params=["everything", "path"])
def backend(stack: LiveStack, request: pytest.FixtureRequest) -> Iterator[LiveStack]:
    """The stack with apps of each kind: what fails when an app reports itself unhealthy, every request or those to /health."""
    values = [{"color": color, "cluster": cluster, "healthFilter": request.param} for color, cluster in (("blue", "local"), ("green", "remote"))]
    settings = [f"--plaintext={stack.config}apps[{index}].{key}={value}" for index, app in enumerate(values) for key, value in app.items()]
    configured = stack.pulumi("config", "set-all", "-s", stack.name, "--path", *settings)
    assert configured.returncode == 0, configured.stderr
    up = stack.cli("up")
    assert up.returncode == 0, f"up failed:\n{up.stdout[-6000:]}\n{up.stderr[-3000:]}"
    yield stack
    stack.pulumi("config", "rm", "-s", stack.name, f"{stack.config}apps")


@pytest.fixture
def record(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[[str, Summary], None]:
    """Keeps the summary of a case for the table at the end of the test run."""

    def keep(case: str, summary: Summary) -> None:
        slowest, high = (f"{seconds * 1000:.0f} ms" for seconds in (summary.slowest.took, summary.latency[99.0]))
        kind = request.node.callspec.params["backend"]
        record_property(LOSS, f"| {case} | {kind} | {summary.total:,} | {summary.failed} | {slowest} | {high} |")

    return keep


@pytest.fixture
def record_limit(record_property: Callable[[str, object], None]) -> Callable[[str, int, int, int], None]:
    """Keeps what a case that cannot be saved has lost, for the other table."""

    def keep(case: str, requests: int, in_flight: int, failed: int) -> None:
        record_property(LIMIT, f"| {case} | {requests:,} | {in_flight} | {failed} |")

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The tables of docs/zero-loss.md, when cases of them were run."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome) if report.when == "call"]
    for table, columns in TABLES.items():
        rows = [str(value) for report in reports for name, value in report.user_properties if name == table]
        if rows:
            terminalreporter.section(table)
            for row in [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *sorted(rows)]:
                terminalreporter.write_line(row)
