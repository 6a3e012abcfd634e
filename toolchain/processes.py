"""Child processes that end when the install ends: on Ctrl-C, on an error elsewhere, always with all their own children.

Each is the leader of a process group of its own, so that a compiler's helpers can be ended with it. Their output is read line by line.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from toolchain.errors import InstallFailed, Stopped

_KEPT_LINES = 25
_GRACE = 1.0


class Children:
    """The processes one install has started. Threads share it; `stop` ends all of them and lets no new one start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether the install is being stopped."""
        return self._stopped.is_set()

    def check(self) -> None:
        """Raise Stopped if the install is being stopped: called between the parts of a long piece of work."""
        if self.stopped:
            raise Stopped("stopped")

    def run(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] = lambda _: None,
    ) -> str:
        """Run to the end and return its output (stdout and stderr). Errors: InstallFailed with its last lines, Stopped."""
        lines: deque[str] = deque(maxlen=_KEPT_LINES)
        output: list[str] = []
        process = self._start([str(part) for part in command], cwd=cwd, env=env)
        try:
            for line in process.stdout or ():
                output.append(line)
                lines.append(line)
                on_line(line.rstrip())
            code = process.wait()
        finally:
            self._end(process)
        self.check()
        if code:
            said = "".join(lines).strip()
            raise InstallFailed(f"{Path(str(command[0])).name} ended with code {code}; its last words:\n{said}")
        return "".join(output)

    def stop(self) -> None:
        """End everything that runs and let nothing new start. Safe to call again, and from any thread.

        SIGINT first, on which pip and go remove their temporary files; what is still there after the grace is killed.
        """
        self._stopped.set()
        self._signal_all(signal.SIGINT)
        killer = threading.Timer(_GRACE, self._signal_all, [signal.SIGKILL])
        killer.daemon = True
        killer.start()

    def _signal_all(self, number: signal.Signals) -> None:
        with self._lock:
            for process in self._running:
                _signal(process, number)

    def _start(self, command: list[str], *, cwd: Path, env: Mapping[str, str] | None) -> subprocess.Popen[str]:
        with self._lock:
            self.check()
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        """Leave nothing of `process` behind, and forget it."""
        if process.poll() is None:
            _signal(process, signal.SIGKILL)
            process.wait()
        if process.stdout:
            process.stdout.close()
        with self._lock:
            self._running.discard(process)


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
