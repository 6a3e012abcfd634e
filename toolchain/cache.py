"""Where installed tools are, one folder a tool and version, shared by every checkout of this user; and how a folder gets there whole or not at all.

`tools/<name>/<version>/bin/<name>`, `venv/<key>`. A folder under its final name is complete: it is made under another name and renamed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from toolchain.errors import InstallFailed, Stopped
from toolchain.processes import Children
from toolchain.routes import Report

VARIABLE = "SERVICE_FAILOVER_CACHE"
_STAGING = ".making-"
_SOURCE = "source.json"


def root() -> Path:
    """The cache: $SERVICE_FAILOVER_CACHE, else $XDG_CACHE_HOME/service-failover, else ~/.cache/service-failover."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "service-failover"


def tool_folder(name: str) -> Path:
    """The folder that holds every version of a tool."""
    return root() / "tools" / name


def executable(name: str, version: str) -> Path:
    """Where a version of a tool has its executable, installed or not."""
    return tool_folder(name) / version / "bin" / name


def is_executable(path: Path) -> bool:
    """Whether `path` is a file that can be run. An empty one cannot: it is what a full disk leaves."""
    return os.access(path, os.X_OK) and path.is_file() and path.stat().st_size > 0


def origin(name: str, version: str) -> str:
    """By which route an installed version came, in words."""
    try:
        return str(json.loads((tool_folder(name) / version / _SOURCE).read_text())["origin"])
    except (OSError, ValueError, KeyError):
        return "unknown"


@contextlib.contextmanager
def staged(name: str, version: str, *, origin: str) -> Iterator[Path]:
    """A new folder to fill; it becomes the installed version when the block ends well, and is removed when it does not.

    Hold the tool's lock meanwhile. What an earlier, killed install left is removed too.
    """
    folder = tool_folder(name)
    for left in folder.glob(f"{_STAGING}*"):
        remove(left)
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
    try:
        yield staging
        if not is_executable(staging / "bin" / name):
            raise InstallFailed(f"{name} {version}: what was made of {origin} holds no executable bin/{name}")
        (staging / _SOURCE).write_text(json.dumps({"origin": origin}))
        staging.chmod(0o755)
        remove(folder / version)
        staging.rename(folder / version)
    finally:
        remove(staging)


@contextlib.contextmanager
def locked(folder: Path, *, children: Children, note: Report) -> Iterator[None]:
    """Hold the lock of `folder` (made if need be), so that two installs at once do the work once. It ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as lock:
        waiting = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    lock.seek(0)
                    note(f"waiting for another install of it (process {lock.read().strip() or 'unknown'})")
                waiting = True
            if children.stopped:
                raise Stopped("stopped while waiting for another install")
            time.sleep(0.1)
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn what the file system refuses into an error that names the path and what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename or root()
        advice = "free some space there" if error.errno == errno.ENOSPC else "make it writable"
        raise InstallFailed(
            f"cannot use {where}: {error.strerror or error}. The cache is {root()}: {advice}, or name another directory: {VARIABLE}=DIRECTORY"
        ) from error


def remove(folder: Path) -> None:
    """Remove a folder, also one with read-only folders in it (Go makes such)."""
    if not folder.exists():
        return
    for directory, _, _ in os.walk(folder):
        Path(directory).chmod(0o700)
    shutil.rmtree(folder)
