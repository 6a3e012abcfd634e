"""Where a stack's drills keep what they write: reports, what is broken, the lock that lets one drill run at a time. Goes away with the stack."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cli.stack import Stack
from cli.workspace import CommandFailed


@dataclass(frozen=True)
class Folder:
    """A private directory (0700)."""

    path: Path

    @classmethod
    def of(cls, stack: Stack) -> Self:
        return cls(stack.workspace.root / stack.name / "drills")

    @property
    def broken(self) -> Path:
        """What is broken and not healed yet: `drill.broken`."""
        return self.path / "broken.json"

    @property
    def log(self) -> Path:
        """What guardians have healed, and when."""
        return self.path / "guardian.log"

    def report(self, stamp: str, suffix: str) -> Path:
        """The file of a report; `stamp` is when the drill began."""
        return self.path / f"{stamp}.{suffix}"

    @contextmanager
    def locked(self) -> Iterator[int]:
        """One drill at a time. Yields the lock's file descriptor: it is released when no process has it open any more, however these end.

        Errors: CommandFailed while another drill, or the guardian of one, has it.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                who = os.pread(descriptor, 100, 0).decode(errors="replace").strip()
                raise CommandFailed(f"another drill runs on this stack, or what it broke is being healed (process {who}). Wait for its end") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)
