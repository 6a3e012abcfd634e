"""Stops and deletes a cluster, and what every command does first.

Needs nothing but the standard library: a cluster can be removed although the Python environment that made it is gone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from embedded.cluster import load_cluster
from embedded.errors import EmbeddedError
from embedded.halt import RELEASE_SECONDS, halt, listeners_in, name_some, remove_files
from embedded.layout import StateDir
from embedded.lock import exclusive
from embedded.registry import Registry, default_directory

Progress = Callable[[str], None]


def stop(state: StateDir, *, progress: Progress) -> None:
    """Ends every process of the cluster and keeps its data. Fine when nothing runs."""
    check_ours(state)
    with locked(state, progress) as there:
        if there:
            halt(state)


def delete(state: StateDir, *, progress: Progress) -> None:
    """Ends every process, removes the directory and the network's registration. Fine when absent or half-made, or when something is already gone.

    Raises EmbeddedError when something stays: a process that cannot be ended, a socket on the cluster's network, a file that cannot be removed.
    """
    registries, left = {default_directory()}, []
    check_ours(state)
    try:
        with locked(state, progress) as there:
            if there:
                ran = halt(state)
                with contextlib.suppress(EmbeddedError):  # damaged: its entry in any registry is stale as soon as the files are gone
                    cluster = load_cluster(state)
                    if cluster:
                        registries.add(cluster.registry)
                        left = listeners_in(cluster.network, seconds=RELEASE_SECONDS) if ran else []
                remove_files(state)
                _remove_directory(state)
    except OSError as error:
        raise EmbeddedError(f"{error.filename or state.root} cannot be removed: {error.strerror}. Remove what holds it, and delete again.") from error
    for directory in registries:
        Registry(directory).release(state.root)
    if left:
        raise EmbeddedError(f"The cluster in {state.root} is removed, but {name_some(left)} still listens on its network. End that process.")


@contextmanager
def locked(state: StateDir, progress: Progress, *, make: bool = False) -> Iterator[bool]:
    """Holds the state directory's lock. False, and no lock, when there is no such directory, unless it is to be made."""
    with ExitStack() as stack:
        while True:
            if make:
                state.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                stack.enter_context(exclusive(state.lock, waiting=lambda pid: progress(f"Waiting for another command on {state.root} (pid {pid})")))
            except (FileNotFoundError, NotADirectoryError):
                if make:
                    continue  # another command removed it in between
                yield False
                return
            yield True
            return


def _remove_directory(state: StateDir) -> None:
    """Removes the emptied state directory, unless a command that waited for this one has begun to fill it."""
    try:
        state.root.rmdir()
    except OSError:
        if not state.lock.exists():
            raise


def check_ours(state: StateDir) -> None:
    """Refuses a directory that holds other things than a cluster: it would be filled, or worse, emptied."""
    foreign = state.foreign_entries()
    if foreign:
        raise EmbeddedError(
            f"{state.root} holds {', '.join(foreign[:5])}, which no embedded cluster puts there. "
            f"Pass an empty directory, or a cluster's, with --state-dir."
        )
