"""Drives the real Pulumi engine over a throw-away project, with the stand-in plugins in a Pulumi home of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = "plugins-test"
STACK = "dev"
PASSPHRASE = "only for this test"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run of pulumi showed and did. `events` is the engine's own log."""

    exit_code: int
    output: str
    events: list[dict[str, Any]]

    @property
    def operations(self) -> dict[str, list[str]]:
        """What was done to each resource, by logical name, in order: create, same, update, replace, ..."""
        found: dict[str, list[str]] = {}
        for event in self.events:
            if metadata := event.get("resourcePreEvent", {}).get("metadata"):
                found.setdefault(metadata["urn"].split("::")[-1], []).append(metadata["op"])
        return found

    @property
    def changes(self) -> dict[str, int]:
        """The engine's summary without what stayed the same."""
        summary = next(event["summaryEvent"] for event in self.events if "summaryEvent" in event)
        return {operation: count for operation, count in summary["resourceChanges"].items() if operation != "same"}

    def messages(self, severity: str) -> list[str]:
        """Diagnostics of one severity: info, warning, error."""
        found = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        return [diagnostic["message"].strip() for diagnostic in found if diagnostic["severity"] == severity]


class Stack:
    """A project with one stack. `program` writes it, the other methods run pulumi on it."""

    def __init__(self, *, directory: Path, home: Path, pulumi: Path) -> None:
        self.directory = directory
        self.project = directory / "project"
        self._pulumi = pulumi
        self._events = directory / "events.json"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "PYTHON"))},
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{directory / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(directory / "passphrase"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # for --event-log
            # The engine would look for the plugin of every installed SDK, Kubernetes' too, which these tests do without.
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def create(self) -> None:
        """Make the project and the empty stack."""
        (self.directory / "backend").mkdir(parents=True)
        (self.directory / "passphrase").write_text(PASSPHRASE)
        self.project.mkdir()
        (self.project / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
        self.pulumi("stack", "init", STACK)

    def program(self, text: str, *, imports: str = "import pulumi\nimport pulumi_command as command\nimport pulumi_tls as tls\n") -> None:
        """Write __main__.py."""
        (self.project / "__main__.py").write_text(imports + textwrap.dedent(text))

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any command; raises when it fails."""
        done = self.try_pulumi(*arguments)
        done.check_returncode()
        return done

    def try_pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Any command, whether or not it fails."""
        command = [str(self._pulumi), *arguments, "--non-interactive"]
        return subprocess.run(command, cwd=self.project, env=self.environment, capture_output=True, text=True, check=False, timeout=60)

    def up(self, *options: str) -> Result:
        """pulumi up, without the preview."""
        return self._run("up", "--yes", "--skip-preview", *options)

    def preview(self, *options: str) -> Result:
        """pulumi preview."""
        return self._run("preview", *options)

    def refresh(self) -> Result:
        """pulumi refresh."""
        return self._run("refresh", "--yes", "--skip-preview")

    def destroy(self) -> Result:
        """pulumi destroy."""
        return self._run("destroy", "--yes", "--skip-preview")

    def start_up(self) -> subprocess.Popen[str]:
        """pulumi up, not waited for; in a process group of its own, as a shell would start it."""
        return subprocess.Popen(
            self._command("up", "--yes", "--skip-preview"),
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )

    def interrupt(self, running: subprocess.Popen[str], number: signal.Signals = signal.SIGINT) -> Result:
        """Send a signal to pulumi alone, and wait for its end."""
        running.send_signal(number)
        output, _ = running.communicate(timeout=30)
        return Result(exit_code=running.returncode, output=output, events=self._read_events())

    @property
    def state_text(self) -> str:
        """The state file as it is on disk."""
        return (self.directory / "backend" / ".pulumi" / "stacks" / PROJECT / f"{STACK}.json").read_text()

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources in the state, by logical name; secrets are encrypted."""
        resources = json.loads(self.state_text)["checkpoint"]["latest"].get("resources") or []
        return {resource["urn"].split("::")[-1]: resource for resource in resources}

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets shown; read from the state where there are none, which is faster."""
        stored: dict[str, Any] = self.resources[f"{PROJECT}-{STACK}"]["outputs"]
        if "ciphertext" not in json.dumps(stored):
            return stored
        return dict(json.loads(self.pulumi("stack", "output", "--json", "--show-secrets", "--stack", STACK).stdout))

    def _command(self, *arguments: str) -> list[str]:
        self._events.unlink(missing_ok=True)
        return [str(self._pulumi), *arguments, "--stack", STACK, "--non-interactive", "--color", "never", "--event-log", str(self._events)]

    def _run(self, *arguments: str) -> Result:
        done = subprocess.run(
            self._command(*arguments),
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        return Result(exit_code=done.returncode, output=done.stdout, events=self._read_events())

    def _read_events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._events.read_text().splitlines()] if self._events.exists() else []


def wait_for(path: Path, *, seconds: float = 20) -> None:
    """Until a file exists and is not empty."""
    deadline = time.monotonic() + seconds
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < deadline, f"{path} did not appear within {seconds} s"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int, *, seconds: float = 10) -> None:
    """Until a process has ended."""
    deadline = time.monotonic() + seconds
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs after {seconds} s"
        time.sleep(0.02)


def processes_with(text: str) -> list[int]:
    """Processes whose environment holds `text`: all that a test's pulumi started, whatever they have become since."""
    found = []
    for directory in Path("/proc").iterdir():
        try:
            if directory.name.isdigit() and text.encode() in (directory / "environ").read_bytes() and is_running(int(directory.name)):
                found.append(int(directory.name))
        except OSError:  # it has ended, or is another user's
            continue
    return [pid for pid in found if pid != os.getpid()]
