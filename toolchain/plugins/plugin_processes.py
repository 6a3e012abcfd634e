"""Starts Pulumi plugins that are written in Python, each in a process of its own, and hands on what they print.

Part of the stand-in language host (machines without the official one). It knows nothing of the protocol that a plugin speaks with the engine; it
sees to it that the process lives exactly as long as somebody listens to it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Final

from toolchain.plugins import run_plugin

_GRACE_SECONDS: Final = 2.0
"""What a plugin gets between SIGTERM and SIGKILL. The engine has asked it to cancel its work before."""
_CHUNK_BYTES: Final = 64 * 1024
_SIGNALLED: Final = 128
"""A shell counts an end by a signal from here."""


class Stream(Enum):
    """Where a plugin printed something."""

    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, kw_only=True)
class Printed:
    """Some bytes that a plugin printed, as soon as they were there."""

    stream: Stream
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Exited:
    """The end of a plugin, and its exit code as a shell counts it. Nothing comes after it."""

    exit_code: int


class PluginProcesses:
    """The plugins of this host. Any thread may start one; `stop` ends all of them and lets no new one start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(
        self,
        directory: Path,
        *,
        arguments: Sequence[str],
        environment: Sequence[str],
        cwd: Path,
        when_abandoned: Callable[[Callable[[], None]], bool],
    ) -> Iterator[Printed | Exited]:
        """Run the plugin in `directory` to its end; what it prints, and last its exit code. `environment` is all of it, as NAME=VALUE.

        `when_abandoned` is given what ends the plugin early, to be called when nobody listens any more; it answers False when that is so already.
        Raises OSError when the process cannot be started.
        """
        process = self._start(directory, arguments=arguments, environment=environment, cwd=cwd)
        try:
            if not when_abandoned(lambda: _end(process)):
                _end(process)
            yield from _printed(process)
            yield Exited(exit_code=_shell_code(process.wait()))
        finally:
            _end(process)
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """End every plugin, and whatever it has started in its process group. Safe to call again."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        endings = [threading.Thread(target=_end, args=(process,)) for process in running]
        for ending in endings:
            ending.start()
        for ending in endings:
            ending.join()

    def _start(self, directory: Path, *, arguments: Sequence[str], environment: Sequence[str], cwd: Path) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise InterruptedError("the language host is ending")
            process = subprocess.Popen(
                [sys.executable, "-u", run_plugin.__file__, str(directory), *arguments],
                cwd=cwd,
                env=dict(entry.partition("=")[::2] for entry in environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                process_group=0,  # Ctrl-C goes to the engine, which lets a plugin finish what it is at
            )
            self._running.add(process)
            return process


def _printed(process: subprocess.Popen[bytes]) -> Iterator[Printed]:
    """What the process prints, until both of its streams have ended."""
    queue: SimpleQueue[Printed | None] = SimpleQueue()

    def read(source: IO[bytes], stream: Stream) -> None:
        with source:
            while data := source.read(_CHUNK_BYTES):  # unbuffered: returns what is there
                queue.put(Printed(stream=stream, data=data))
        queue.put(None)

    for source, stream in ((process.stdout, Stream.STDOUT), (process.stderr, Stream.STDERR)):
        if source is not None:
            threading.Thread(target=read, args=(source, stream), daemon=True).start()
    ended = 0
    while ended < len(Stream):
        printed = queue.get()
        if printed is None:
            ended += 1
        else:
            yield printed


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and what is left of its group. Nothing happens when all of it has ended."""
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_SECONDS)
    _signal(process, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _shell_code(returncode: int) -> int:
    return returncode if returncode >= 0 else _SIGNALLED - returncode
