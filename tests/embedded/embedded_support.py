"""Drives `python -m embedded` and kubectl as a user would: by their command lines. Shared by the tests that need real clusters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import toolchain
from embedded import process
from embedded.layout import StateDir
from embedded.process import ProcessId

CHECKOUT = Path(__file__).resolve().parents[2]
ENVIRONMENT = dict(os.environ) | {"PYTHONPATH": str(CHECKOUT)}
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "node-agent")


@dataclass(frozen=True)
class Driven:
    """A cluster by its name and state directory, made or not."""

    name: str
    root: Path

    @property
    def state(self) -> StateDir:
        return StateDir(self.root)

    def spec(self, **change: str) -> str:
        return json.dumps({"name": self.name, "region": "us-east-1", "zone": "us-east-1a"} | change)

    def begin(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command in the background, with its output on pipes."""
        argv = [sys.executable, "-m", "embedded", command, "--state-dir", str(self.root), *arguments]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd="/")

    def run(self, command: str, *arguments: str, stdin: str = "", code: int = 0) -> str:
        """Standard output of a command that must end with `code`; standard error if that is not 0."""
        started = self.begin(command, *arguments)
        output, errors = started.communicate(stdin, timeout=120)  # waits for the end of both pipes: a daemon that held one would be found here
        assert started.returncode == code, f"embedded {command}: {errors}"
        return errors if code else output

    def start(self, **change: str) -> str:
        return self.run("start", stdin=self.spec(**change))

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.begin("status", "--json").communicate(timeout=60)[0])
        return document

    def pids(self) -> dict[str, ProcessId]:
        """The recorded process of each part, the supervisor and the watcher."""
        names = ("supervisor", "watcher", *PARTS)
        return {name: found for name in names if (found := process.read_record(self.state.record(name)))}

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Standard output of a kubectl that must succeed, with the administrator's kubeconfig."""
        argv = [str(toolchain.find("kubectl")), "--kubeconfig", str(self.state.kubeconfig("admin")), *arguments]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=seconds, env=ENVIRONMENT, check=False)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout


def until(true: Callable[[], object], *, seconds: float, what: str) -> None:
    """Waits for something to become true; an AssertionError that says `what` when it does not."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.05)


def related(root: Path) -> list[str]:
    """Command lines of all processes that have to do with a state directory: by command line, working directory or environment."""
    own = {os.getpid(), os.getppid()}
    by_command = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and process.refers_to(int(entry.name), root)}
    by_place = {found.pid for found in process.below(root)}
    return [f"{pid}: {' '.join(process.command_line(pid)[:4])}" for pid in sorted((by_command | by_place) - own) if process.identify(pid)]
