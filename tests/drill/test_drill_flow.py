"""The drill's flow and its guardian, as processes: whatever becomes of the drill, what it broke is healed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cli.workspace import CommandFailed
from drill.guardian import Guardian

pytestmark = pytest.mark.process

PROJECT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("stand_in.py")
BLUE, GREEN = "blue-pod", "green-pod"


@dataclass(frozen=True)
class Place:
    """Where a drill of the stand-in is done."""

    folder: Path
    url: str

    def start(self, *scenarios: str, **environment: str) -> subprocess.Popen[str]:
        """A drill, in a process group of its own as in a terminal."""
        return subprocess.Popen(
            [sys.executable, str(STAND_IN), "drill", str(self.folder), self.url, *scenarios],
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def drilled(self, *scenarios: str, **environment: str) -> tuple[str, Any]:
        """A drill that has ended: what it printed, and what it has seen."""
        with self.start(*scenarios, **environment) as process:
            out, _ = process.communicate(timeout=60)
        return out, self.seen

    @property
    def seen(self) -> Any:
        return json.loads((self.folder / "seen.json").read_text())

    @property
    def serves(self) -> str:
        return (self.folder / "serves").read_text()

    @property
    def healers(self) -> set[str]:
        """The processes that have healed."""
        return {line.split()[0] for line in (self.folder / "acts").read_text().splitlines() if line.endswith(BLUE)}

    @property
    def broken(self) -> Path:
        return self.folder / "drills" / "broken.json"

    @property
    def log(self) -> str:
        return (self.folder / "drills" / "guardian.log").read_text()

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < deadline, f"not within 15 s: {what}"
            time.sleep(0.05)

    def until_broken(self) -> None:
        self.until("green answers", lambda: self.serves == GREEN)

    def until_healed(self) -> None:
        self.until("blue answers", lambda: self.serves == BLUE and not self.broken.exists())

    def until_unlocked(self) -> None:
        """The guardian has ended, and with it the last process that holds the lock."""
        lock = self.folder / "drills" / "lock"
        self.until("no process has the lock", lambda: subprocess.run(["flock", "--nonblock", lock, "true"], check=False).returncode == 0)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "serves").write_text(BLUE)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = (tmp_path / "serves").read_bytes()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Place(tmp_path, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_what_clients_see_is_recorded_from_the_warm_up_to_the_recovery(place: Place) -> None:
    out, seen = place.drilled("short")
    (recording,) = seen["recordings"]
    assert seen["ended"] == "", "it came to its end"
    assert [kind for kind, _ in recording["events"]] == ["warm", "break", "note", "heal"], "what was done, in order"
    assert recording["events"][1] == ["break", "green answers"], "the moment is the one that the scenario says, not that of its preparations"
    assert recording["servers"][0] == recording["servers"][-1] == BLUE, "blue first and last"
    assert GREEN in recording["servers"], "and green between"
    assert (recording["failed"], recording["causes"], recording["interrupted"]) == (0, ["a cause"], False), "all was seen"
    assert place.serves == BLUE, "it is healed"
    assert not place.broken.exists(), "and noted nowhere as broken"
    for line in ("[1/1] short: the scenario short", "settle", "warm up 0.4 s", "break: green answers", "hold 0.6 s", "to heal it", "recover 0.6 s"):
        assert line in out, "without a terminal each step is a line"
    assert "\x1b" not in out, "and there is nothing but text"


def test_a_cold_failure_comes_before_the_first_request(place: Place) -> None:
    _, seen = place.drilled("cold")
    (recording,) = seen["recordings"]
    broken_at = recording["times"][[kind for kind, _ in recording["events"]].index("break")]
    assert broken_at < min(recording["scheduled"]), "no request had been sent when it broke"
    assert recording["servers"][0] == GREEN, "the first one already meets the failure"


def test_scenarios_follow_each_other(place: Place) -> None:
    _, seen = place.drilled("short", "cold", "short")
    assert [recording["scenario"] for recording in seen["recordings"]] == ["short", "cold", "short"], "in the order that was asked for"


@pytest.mark.parametrize("scenario", ["long", "hanging"], ids=["while it holds", "while it breaks"])
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "kill", "kill -9"])
def test_whatever_ends_the_drill_the_guardian_heals(place: Place, scenario: str, ending: signal.Signals) -> None:
    with place.start(scenario) as process:
        place.until_broken()
        time.sleep(0.3)
        os.killpg(process.pid, ending)
        out, _ = process.communicate(timeout=30)
        place.until_healed()
    place.until_unlocked()
    assert place.healers - {str(process.pid)}, "the drill itself was in no state to heal"
    assert f"{scenario}: healed" in place.log, "and where it can be read afterwards"
    if ending is not signal.SIGKILL:
        assert f"{scenario}: healed" in out, "which is said"
        (recording,) = place.seen["recordings"]
        assert recording["interrupted"], "what was measured so far is kept, and marked"
        assert GREEN in recording["servers"], "up to the end"


def test_what_was_complete_before_an_interruption_counts(place: Place) -> None:
    with place.start("short", "long") as process:
        place.until("the second scenario has broken it", lambda: place.serves == GREEN and "long" in place.broken.read_text())
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert place.seen["interrupted"], "all in all it was cut short"
    assert [each["interrupted"] for each in place.seen["recordings"]] == [False, True], "but not the first scenario"


def test_a_closed_terminal_is_no_reason_to_leave_it_broken(place: Place) -> None:
    with place.start("long") as process:
        place.until_broken()
        assert process.stdout is not None
        process.stdout.close()  # what it says goes nowhere from now on
        os.killpg(process.pid, signal.SIGHUP)
        process.wait(timeout=30)
        place.until_healed()
    place.until_unlocked()


def test_a_drill_that_hangs_is_healed_after_its_time_limit(place: Place) -> None:
    _, seen = place.drilled("long", TIME_LIMIT="3")
    assert seen["ended"] == "not done within 3 s", "why it ended"
    assert not seen["interrupted"], "nobody interrupted it"
    assert place.serves == BLUE, "it is healed"


def test_a_break_that_fails_half_way_is_healed(place: Place) -> None:
    _, seen = place.drilled("half-way", "short")
    assert seen["ended"].startswith("the other half does not work"), "why it ended"
    assert [each["scenario"] for each in seen["recordings"]] == ["half-way"], "the next scenario is not begun"
    assert place.serves == BLUE, "it is healed"


def test_what_cannot_be_healed_is_said_and_stays_noted(place: Place) -> None:
    with place.start("long") as process:
        place.until_broken()
        (place.folder / "unhealable").touch()
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert place.seen["left_broken"] == ["long"], "the drill knows"
    assert "long: not healed: it does not heal" in out, "what, and why"
    assert json.loads(place.broken.read_text()) == ["long"], "so that it can be healed later"


def test_without_a_guardian_nothing_is_broken() -> None:
    last_words = "import os, time; print('no room', flush=True); os.close(1); os.close(2); time.sleep(60)"
    with pytest.raises(CommandFailed, match="did not start, so nothing was broken: no room"), Guardian([sys.executable, "-c", last_words]):
        raise AssertionError("it says that it is there, though its process said that it is not")


def test_one_drill_at_a_time_and_none_while_the_guardian_heals(place: Place) -> None:
    with place.start("long") as process:
        place.until_broken()
        out, _ = (second := place.start("short")).communicate(timeout=30)
        assert second.returncode == 2, "it cannot be done now"
        assert f"another drill runs on this stack, or what it broke is being healed (process {process.pid})" in out, "who has it"
        assert place.serves == GREEN, "and nothing was touched"
        os.killpg(process.pid, signal.SIGKILL)
    place.until_healed()
    place.until_unlocked()
    _, seen = place.drilled("short")
    assert seen["ended"] == "", "a drill that was killed leaves no lock"
