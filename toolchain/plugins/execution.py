"""One process at a time: run a command, hand on its lines as they come, end its whole process group when told to.

Part of the stand-in for the command provider (machines without the official plugin). Knows nothing of Pulumi.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import IO

_STEPS = ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 0.0))
"""Signals to end a process group with, and how long each gets, in seconds: first a chance to clean up, then less of one."""
_POLL_SECONDS = 0.05
_REST_SECONDS = 1.0


class Stream(Enum):
    """Where a line was written."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What to run: `argv` with `environment` (complete, not additions) in `directory` (None for the current one), `stdin` as its input."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: str | None = None
    stdin: str | None = None
    timeout: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How it ended. `exit_code` is negative for a signal; `cancelled` and `timed_out` say that it was ended from here."""

    exit_code: int
    stdout: str
    stderr: str
    cancelled: bool = False
    timed_out: bool = False


class Executor:
    """Runs invocations from any number of threads; `cancel` ends all of them and refuses new ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._cancelled = False
        self._idle = threading.Condition(self._lock)

    def run(self, invocation: Invocation, *, on_line: Callable[[Stream, str], None]) -> Outcome:
        """Run to the end of the process and of everything that holds its output. Raises OSError when it cannot be started."""
        with self._lock:
            if self._cancelled:
                return Outcome(exit_code=-signal.SIGINT, stdout="", stderr="", cancelled=True)
            process = subprocess.Popen(
                invocation.argv,
                stdin=subprocess.DEVNULL if invocation.stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=invocation.directory,
                env=dict(invocation.environment),
                start_new_session=True,  # a group of its own, so that the engine's signal to the plugin's group does not reach it unannounced
            )
            self._running.add(process)
        try:
            return self._finish(process, invocation, on_line)
        finally:
            with self._lock:
                self._running.discard(process)
                self._idle.notify_all()

    def cancel(self) -> None:
        """End everything, in the background."""
        with self._lock:
            if self._cancelled:
                return
            self._cancelled = True
            running = tuple(self._running)
        for process in running:
            threading.Thread(target=_end, args=(process,), daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Until nothing runs, but no longer than `seconds`."""
        with self._lock:
            self._idle.wait_for(lambda: not self._running, seconds)

    def kill(self) -> None:
        """End everything that still runs, at once."""
        with self._lock:
            for process in self._running:
                _signal_group(process.pid, signal.SIGKILL)

    def _finish(self, process: subprocess.Popen[bytes], invocation: Invocation, on_line: Callable[[Stream, str], None]) -> Outcome:
        captured: dict[Stream, list[str]] = {stream: [] for stream in Stream}
        workers = [
            threading.Thread(target=_read, args=(process.stdout, Stream.STDOUT, captured[Stream.STDOUT], on_line), daemon=True),
            threading.Thread(target=_read, args=(process.stderr, Stream.STDERR, captured[Stream.STDERR], on_line), daemon=True),
        ]
        if process.stdin is not None:
            workers.append(threading.Thread(target=_write, args=(process.stdin, invocation.stdin or ""), daemon=True))
        for worker in workers:
            worker.start()
        timed_out = False
        try:
            process.wait(invocation.timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
            _end(process)
            process.wait()
        if timed_out or self._cancelled:
            _end_rest(process.pid)
        for worker in workers:
            # A daemon that left the group may hold the pipes for ever; whoever gave up does not wait for it.
            while worker.is_alive() and not (timed_out or self._cancelled):
                worker.join(0.2)
            worker.join(1.0)
        return Outcome(
            exit_code=process.returncode,
            stdout="".join(captured[Stream.STDOUT]),
            stderr="".join(captured[Stream.STDERR]),
            cancelled=self._cancelled and process.returncode != 0,
            timed_out=timed_out,
        )


def _read(pipe: IO[bytes] | None, stream: Stream, captured: list[str], on_line: Callable[[Stream, str], None]) -> None:
    for raw in pipe or ():
        line = raw.decode("utf-8", errors="replace")
        captured.append(line)
        on_line(stream, line.rstrip("\n"))


def _write(pipe: IO[bytes], text: str) -> None:
    try:
        with pipe:
            pipe.write(text.encode())
    except BrokenPipeError:
        return  # the command need not read all of its input


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, then demand it, until it has."""
    for number, grace in _STEPS:
        _signal_group(process.pid, number)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            if process.poll() is not None:
                return
            time.sleep(_POLL_SECONDS)


def _end_rest(group: int) -> None:
    """End what a process left behind in its group: background jobs, which a shell makes deaf to SIGINT."""
    deadline = time.monotonic() + _REST_SECONDS
    number = signal.SIGTERM
    while _signal_group(group, number):
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(_POLL_SECONDS)


def _signal_group(group: int, number: signal.Signals) -> bool:
    """Signal a process group; False when there is nobody left in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
