"""Serialises commands on one state directory. The lock is a file in that directory, so that nothing is left elsewhere when it is deleted."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path, *, waiting: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Holds an exclusive lock on the file `path`, made if needed (its directory must be there).

    Whoever holds the lock may remove the file. So the lock counts only while the file that was locked is still the one at `path`; otherwise a waiter
    would hold a lock on a file that nobody else can see. Raises OSError when the file cannot be made (FileNotFoundError: the directory is gone).
    `waiting` is told once, when somebody else holds the lock, who that is.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting(os.pread(descriptor, 100, 0).decode("ascii", "replace").strip() or "?")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if same_file(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                yield
                return
        finally:
            os.close(descriptor)


def same_file(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at `path` now."""
    try:
        at_path = path.stat()
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (opened.st_dev, opened.st_ino) == (at_path.st_dev, at_path.st_ino)
