"""Processes by identity, not by number: a pid counts only together with the time at which its process started.

Reads /proc; signals through pidfds, so that a pid that is given to another process in between is never hit. Linux only.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from embedded.layout import read_json, write_json

PROC = Path("/proc")
KILL_SECONDS = 2.0
"""A killed process is gone within this time unless the kernel holds it."""


@dataclass(frozen=True)
class ProcessId:
    """One process, for good: `start_time` is in clock ticks since the machine's start, field 22 of /proc/PID/stat (proc(5))."""

    pid: int
    start_time: int


def identify(pid: int) -> ProcessId | None:
    """The process with this pid now; None when there is none, or it has ended and only waits for its parent."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = stat[stat.rindex(")") + 2 :].split()  # the command's name, in parentheses, may hold spaces
    return None if state in "ZX" else ProcessId(pid, int(fields[18]))


def is_alive(process: ProcessId) -> bool:
    return identify(process.pid) == process


def send(process: ProcessId, number: signal.Signals) -> None:
    """Signals exactly this process; nothing happens when it has ended, or is not ours to signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        descriptor = os.pidfd_open(process.pid)
        try:
            if is_alive(process):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def wait_end(process: ProcessId, *, seconds: float) -> bool:
    """Waits for a process, of whatever parent, to end; False when it has not after `seconds`."""
    deadline = time.monotonic() + seconds
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while is_alive(process):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            poll.poll(left * 1000)
        return True
    finally:
        os.close(descriptor)


def end(processes: Iterable[ProcessId], *, grace: float) -> list[ProcessId]:
    """SIGTERM, `grace` seconds for all together, then SIGKILL. The answer is those that are there even so (uninterruptible, or another user's)."""
    alive = [process for process in processes if is_alive(process)]
    if grace > 0:
        for process in alive:
            send(process, signal.SIGTERM)
        deadline = time.monotonic() + grace
        alive = [process for process in alive if not wait_end(process, seconds=max(0.0, deadline - time.monotonic()))]
    for process in alive:
        send(process, signal.SIGKILL)
    return [process for process in alive if not wait_end(process, seconds=KILL_SECONDS)]


def write_record(path: Path, pid: int, *, restarts: int = 0) -> None:
    """Records the process that has `pid` now, a child of ours; nothing when it has ended already."""
    found = identify(pid)
    if found:
        write_json(path, asdict(found) | {"restarts": restarts})


def read_record(path: Path) -> ProcessId | None:
    """The recorded process; None when nothing readable is recorded."""
    document = read_json(path)
    try:
        return ProcessId(int(document["pid"]), int(document["start_time"]))
    except (KeyError, TypeError, ValueError):
        return None


def command_line(pid: int) -> list[str]:
    """argv of a process; empty when it has ended."""
    return [os.fsdecode(word) for word in _read(pid, "cmdline").split(b"\0") if word]


def refers_to(pid: int, root: Path) -> bool:
    """Whether a word of the process's command line is, or ends in, a path in `root`: what every process that we start for a state directory has."""
    return any(word.endswith(str(root)) or f"{root}/" in word for word in command_line(pid))


def below(directory: Path) -> list[ProcessId]:
    """Processes that work in `directory` or were given a path below it in their environment: what a pod's process has, and its children inherit."""
    inside = os.fsencode(directory) + b"/"
    found = []
    for pid in _pids():
        try:
            working_directory = (PROC / str(pid) / "cwd").readlink()
        except OSError:
            continue
        if os.fsencode(f"{working_directory}/").startswith(inside) or any(b"=" + inside in word for word in _read(pid, "environ").split(b"\0")):
            process = identify(pid)
            if process and pid != os.getpid():
                found.append(process)
    return found


@dataclass(frozen=True)
class Listener:
    """A TCP socket that listens on an IPv4 address ("0.0.0.0" also for the IPv6 wildcard); `pid` is None when its owner is not visible to us."""

    address: str
    port: int
    pid: int | None

    def __str__(self) -> str:
        if self.pid is None:
            return f"{self.address}:{self.port} (a process of another user)"
        program = " ".join(command_line(self.pid)[:2]) or "?"
        return f"{self.address}:{self.port} (pid {self.pid}: {program})"


def listeners() -> list[Listener]:
    """Every listening TCP socket of this machine (network namespace)."""
    sockets = [*_listening("tcp"), *_listening("tcp6")]
    owners = _socket_owners() if sockets else {}
    return [Listener(address, port, owners.get(inode)) for address, port, inode in sockets]


def _listening(table: str) -> Iterator[tuple[str, int, str]]:
    """Address, port and inode of the listening sockets in /proc/net/`table`; IPv6 ones only when they are the wildcard, which takes IPv4 as well."""
    try:
        lines = (PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        local, state, inode = fields[1], fields[3], fields[9]
        address, port = local.split(":")
        if state != "0A":  # TCP_LISTEN
            continue
        if table == "tcp":
            yield ".".join(str(octet) for octet in reversed(bytes.fromhex(address))), int(port, 16), inode
        elif not int(address, 16):
            yield "0.0.0.0", int(port, 16), inode  # noqa: S104 -- read, not bound


def _socket_owners() -> dict[str, int]:
    """Inode of a socket to the pid of a process that holds it."""
    owners = {}
    for pid in _pids():
        with contextlib.suppress(OSError):
            for entry in os.scandir(PROC / str(pid) / "fd"):
                with contextlib.suppress(OSError):
                    target = str(Path(entry.path).readlink())
                    if target.startswith("socket:["):
                        owners[target[8:-1]] = pid
    return owners


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in os.scandir(PROC) if entry.name.isdigit())


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
