"""Ends what runs for a state directory, finds what is left, and removes the cluster's files. Every step is fine with having nothing to do."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time

from embedded import process
from embedded.errors import EmbeddedError
from embedded.layout import StateDir
from embedded.network import Network, Port
from embedded.process import Listener, ProcessId

STOP_SECONDS = 12.0
"""A supervisor that has not ended everything by now is killed; the graces of its parts sum to less."""
RELEASE_SECONDS = 3.0
"""For the sockets of ended processes to be gone."""
SHOWN = 3
INTERVAL = 0.05
ANY = "0.0.0.0"  # noqa: S104 -- compared with, not bound


def is_supervised(state: StateDir) -> bool:
    """Whether the cluster's supervisor runs."""
    return "supervisor" in _running(state)


def halt(state: StateDir) -> bool:
    """Ends every process of the cluster: asks the supervisor, then kills what is left. False when nothing ran.

    Raises EmbeddedError when a process cannot be ended.
    """
    state.desired.unlink(missing_ok=True)  # from now on nobody heals
    running = _running(state)
    supervisor = running.get("supervisor")
    if supervisor:
        process.send(supervisor, signal.SIGTERM)
        process.wait_end(supervisor, seconds=STOP_SECONDS)
    # A supervisor that was killed leaves nothing, but what it had started last may not be recorded yet, or just be ending; so look again.
    deadline = time.monotonic() + RELEASE_SECONDS
    while left := [*_running(state).values(), *process.below(state.node)]:
        immortal = process.end(left, grace=0)
        if immortal and time.monotonic() > deadline:
            pids = ", ".join(f"{found.pid} ({' '.join(process.command_line(found.pid)[:2])})" for found in immortal)
            raise EmbeddedError(f"Processes of the cluster in {state.root} cannot be ended: pid {pids}. End them, and run the command again.")
    for record in state.run.glob("*.json"):
        record.unlink()
    return bool(running)


def listeners_in(network: Network, *, seconds: float = 0) -> list[Listener]:
    """Sockets in the way of a cluster on `network`: on any address of it, or on one of its ports at every address. Gives them `seconds` to go."""
    ports = {int(port) for port in Port}
    deadline = time.monotonic() + seconds
    while True:
        found = [
            socket
            for socket in process.listeners()
            if socket.address.startswith(network.realised_prefix) or (socket.address == ANY and socket.port in ports)
        ]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(INTERVAL)


def name_some(found: list[Listener]) -> str:
    """The first few of the sockets, to be read in an error."""
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(str(socket) for socket in found[:SHOWN]) + more


def remove_files(state: StateDir) -> None:
    """Removes the cluster's files but the directory itself; the record first. Raises OSError for one that cannot be removed."""
    for path in (*state.files, *state.temporaries()):
        path.unlink(missing_ok=True)
    for directory in state.directories:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(directory)
    state.lock.unlink(missing_ok=True)


def _running(state: StateDir) -> dict[str, ProcessId]:
    """The recorded processes that are there: the same process by start time, and, in case the record is of another boot, one of this directory."""
    found = {}
    for record in state.run.glob("*.json"):
        recorded = process.read_record(record)
        if recorded and process.is_alive(recorded) and process.refers_to(recorded.pid, state.root):
            found[record.stem] = recorded
    return found
