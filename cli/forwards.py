"""Port-forwards that stay for as long as a command runs. One whose pod goes is opened again, on the same port, to the pod that came in its place."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from cli.forwarding import forwarded
from cli.workspace import CommandFailed

RETRY_SECONDS = 1.0


@dataclass(kw_only=True)
class Forward:
    """One of them: from `local` of 127.0.0.1 to `port` of `pod`, as long as `process` runs."""

    kubectl: list[str]
    namespace: str
    pod: str
    port: int
    candidates: Callable[[], Iterable[str]]
    """Names of the pods that are as good as this one, now."""
    local: int = 0
    process: subprocess.Popen[str] | None = None
    opened: ExitStack = field(default_factory=ExitStack)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def open(self) -> None:
        """Errors: CommandFailed with kubectl's words."""
        self.close()
        found = self.opened.enter_context(forwarded(self.kubectl, f"pod/{self.pod}", self.port, namespace=self.namespace, local=self.local))
        self.local, self.process = found.port, found.process

    def close(self) -> None:
        self.opened.close()
        self.process = None


class Forwards:
    """Those of one command. All are closed when the `with` block ends."""

    def __init__(self) -> None:
        self._all: list[Forward] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for forward in self._all:
            forward.close()

    def open(self, kubectl: list[str], *, namespace: str, pod: str, port: int, candidates: Callable[[], Iterable[str]]) -> int:
        """The port of 127.0.0.1 that leads to `port` of the pod, or later of another one of its `candidates`. Errors: CommandFailed."""
        forward = Forward(kubectl=kubectl, namespace=namespace, pod=pod, port=port, candidates=candidates)
        self._all.append(forward)
        forward.open()
        return forward.local

    def mend(self) -> None:
        """Open again those that have ended. One whose pod is gone goes to a candidate that no other leads to; with none it is tried again later."""
        for forward in self._all:
            if forward.runs:
                continue
            try:
                taken = {other.pod for other in self._all if other.runs and other.port == forward.port}
                free = [pod for pod in forward.candidates() if pod not in taken]
                if not free:
                    continue
                before, forward.pod = forward.pod, free[0]
                forward.open()
            except CommandFailed:
                continue
            say(f"pod {forward.pod} has come in the place of {before}" if before != forward.pod else f"connected to pod {before} again")

    def keep(self) -> None:
        """Keep all of them open until interrupted; then return."""
        try:
            while True:
                time.sleep(RETRY_SECONDS)
                self.mend()
        except KeyboardInterrupt:
            say("\nThe port-forwards are closed.")


def say(text: str) -> None:
    """To stderr: what is on stdout may be somebody's file."""
    print(text, file=sys.stderr, flush=True)
