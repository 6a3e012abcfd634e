"""The guardian: a process that heals what a drill has broken when the drill itself cannot any more.

It has a session of its own, so that Ctrl-C, a closed terminal and kill -9 of the drill do not reach it, and it reads a pipe whose other end only the
drill has. When that ends, for whatever reason, it heals what is noted as broken; also when the time is over for which it was armed, in case the drill
hangs. So there is one way to heal after anything that goes wrong. It decides nothing else, and measures nothing.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from cli.stack import Stack
from cli.workspace import PROJECT, CommandFailed, open_workspace
from drill.broken import Broken, heal_all
from drill.folder import Folder
from drill.scenarios import SCENARIOS
from drill.target import Target

START_TIMEOUT = 60.0
"""Seconds in which it must be there; it asks Pulumi for the stack's outputs, and on a busy machine Python takes some time as well."""
READY, ARM, DISARM = "ready", "arm", "disarm"


class Guardian:
    """The drill's end. Nothing may be broken outside of its `with` block, or unless `arm` has returned."""

    def __init__(self, command: Sequence[str], *, keep: Sequence[int] = (), say: Callable[[str], None] = print) -> None:
        """`command` starts it. `keep`: file descriptors that it holds as long as it lives, such as the lock's. `say` is told what it healed."""
        self._command, self._keep, self._say = list(command), tuple(keep), say

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            pass_fds=self._keep,
        )
        self._said: list[str] = []
        self._has_begun, self._is_ready = threading.Event(), False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._has_begun.wait(START_TIMEOUT) or not self._is_ready:
            self._process.kill()
            self._process.wait()
            words = " ".join(self._said).strip() or "it said nothing"
            raise CommandFailed(f"the process that heals after an accident did not start, so nothing was broken: {words}")
        return self

    def arm(self, *, seconds: float) -> None:
        """It heals after `seconds` in any case, unless it is disarmed."""
        self._tell(f"{ARM} {seconds}")

    def disarm(self) -> None:
        """All is healed. From now on it only waits for the end of the pipe."""
        self._tell(DISARM)

    def _tell(self, line: str) -> None:
        pipe = cast(IO[str], self._process.stdin)
        try:
            pipe.write(line + "\n")
            pipe.flush()
        except OSError as error:
            raise CommandFailed("the process that heals after an accident has ended, so the drill does too") from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the pipe and wait: what is still broken is healed now, and `say` hears of it. Errors: CommandFailed when something is not healed."""
        with suppress(OSError):
            cast(IO[str], self._process.stdin).close()
        try:
            self._process.wait()
            self._reader.join()
        except KeyboardInterrupt:
            self._say(f"interrupted again. Process {self._process.pid} goes on with the healing by itself")
            raise
        if self._process.returncode:
            raise CommandFailed(f"not everything is healed: {' '.join(self._said[-3:]).strip()}")

    def _read(self) -> None:
        with cast(IO[str], self._process.stdout) as lines:
            for line in lines:
                if line.strip() == READY:
                    self._is_ready = True
                    self._has_begun.set()
                    continue
                self._said.append(line)
                if self._is_ready:
                    self._say(line.rstrip())
        self._has_begun.set()


def guard(stream: int, heal: Callable[[], bool]) -> int:
    """The guardian's end: read `stream`, a file descriptor, until it ends or the time is over, and `heal`. Exit code: 1 when that did not do."""
    armed_until: float | None = None
    text = b""
    while True:
        left = None if armed_until is None else max(0.0, armed_until - time.monotonic())
        chunk = os.read(stream, 4096) if select.select([stream], [], [], left)[0] else b""
        if not chunk:
            return 0 if heal() else 1
        *lines, text = (text + chunk).split(b"\n")
        for line in lines:
            word, _, seconds = line.decode().partition(" ")
            armed_until = time.monotonic() + float(seconds) if word == ARM else None


def say_to(log: Path) -> Callable[[str], None]:
    """Says a line to the drill, if it is still there, and into the log, where it can be read afterwards."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(text: str) -> None:
        with suppress(OSError):
            os.write(descriptor, f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n".encode())
        with suppress(OSError):
            os.write(sys.stdout.fileno(), f"{text}\n".encode())

    return say


def ignore_signals() -> None:
    """It ends when its pipe does. A signal that ends the drill must not end it."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)


def command(stack: Stack) -> list[str]:
    """What starts the guardian of a stack."""
    return [sys.executable, "-m", "drill.guardian", "--stack", stack.name, "--project", str(stack.workspace.project)]


def main(argv: Sequence[str] | None = None) -> int:
    """The process. Exit code 1 when something could not be healed."""
    ignore_signals()
    parser = argparse.ArgumentParser(prog="python -m drill.guardian", description="Started by `python -m drill`; not for use by hand.")
    parser.add_argument("--stack", required=True)
    parser.add_argument("--project", type=Path, required=True)
    arguments = parser.parse_args(argv)
    stack = Stack(name=arguments.stack, workspace=open_workspace(arguments.project))
    try:
        target = Target.of(stack)
    except CommandFailed as error:
        print(error, flush=True)
        return 1
    folder = Folder.of(stack)
    say = say_to(folder.log)
    print(READY, flush=True)
    return guard(sys.stdin.fileno(), lambda: heal_all(target, Broken(folder.broken), SCENARIOS, say=say))


if __name__ == "__main__":
    sys.exit(main())
