"""Starts, restores, stops and deletes a cluster. Each command is convergent, and serialised with the others on the same state directory.

What runs is the supervisor's business; a command decides what should run, starts or ends the supervisor, and looks at the API until that is so.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum

from embedded import process
from embedded.cluster import Cluster, load_cluster, save_cluster
from embedded.errors import EmbeddedError
from embedded.halt import RELEASE_SECONDS, halt, is_supervised, listeners_in, name_some, remove_files
from embedded.layout import StateDir, read_text, unwritable, write_private
from embedded.lock import exclusive
from embedded.network import Network
from embedded.plan import CHECKOUT, find_programs, write_plan
from embedded.readiness import is_ready, lease_bound, wait_ready
from embedded.registry import Registry, default_directory
from embedded.spec import ClusterSpec
from embedded.supervisor import child_environment

Progress = Callable[[str], None]


class Ensured(StrEnum):
    """What `ensure` found or did."""

    ABSENT = "absent"
    RUNNING = "running"
    RESTORED = "restored"


def start(state: StateDir, spec: ClusterSpec, *, progress: Progress) -> str:
    """Makes the cluster run as `spec` says, and waits until it is ready; the admin's kubeconfig. A cluster that runs so already is left alone.

    Raises EmbeddedError. When it fails, or is interrupted, what it started is stopped again: the next start goes on from the files.
    """
    programs = find_programs()  # first: without them nothing is made
    _check_ours(state)
    try:
        with _locked(state, progress, make=True):
            known = load_cluster(state)
            if known and known.spec.name != spec.name:
                raise EmbeddedError(
                    f"{state.root} holds the cluster {known.spec.name!r}, not {spec.name!r}. Pass another --state-dir, or delete it: "
                    f"python -m embedded delete --state-dir {state.root}"
                )
            state.make()
            cluster = _claim(state, spec, known=known)
            changed = write_plan(state=state, cluster=cluster, programs=programs)
            _bring_up(state, cluster, changed=changed, progress=progress)
            return read_text(state.kubeconfig("admin")) or ""
    except OSError as error:
        raise unwritable(state.root, error) from error


def ensure(state: StateDir, *, progress: Progress) -> Ensured:
    """Brings a cluster that was made back, with the objects it had, unless it runs. Creates none, and does not change one that runs."""
    if not state.cluster.exists():
        return Ensured.ABSENT
    try:
        with _locked(state, progress) as there:
            cluster = load_cluster(state) if there else None
            if cluster is None:
                return Ensured.ABSENT
            if is_supervised(state) and asyncio.run(is_ready(state, cluster)):
                return Ensured.RUNNING
            state.make()
            cluster = _claim(state, cluster.spec, known=cluster)
            changed = write_plan(state=state, cluster=cluster, programs=find_programs())
            _bring_up(state, cluster, changed=changed, progress=progress)
            return Ensured.RESTORED
    except OSError as error:
        raise unwritable(state.root, error) from error


def stop(state: StateDir, *, progress: Progress) -> None:
    """Ends every process of the cluster and keeps its data. Fine when nothing runs."""
    _check_ours(state)
    with _locked(state, progress) as there:
        if there:
            halt(state)


def delete(state: StateDir, *, progress: Progress) -> None:
    """Ends every process, removes the directory and the network's registration. Fine when absent or half-made, or when something is already gone.

    Raises EmbeddedError when something stays: a process that cannot be ended, a socket on the cluster's network, a file that cannot be removed.
    """
    registries, left = {default_directory()}, []
    _check_ours(state)
    try:
        with _locked(state, progress) as there:
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


def _claim(state: StateDir, spec: ClusterSpec, *, known: Cluster | None) -> Cluster:
    """The cluster with its network, registered and recorded. One that was made keeps its network: its objects hold addresses of it."""
    registry = Registry(known.registry if known else default_directory())

    def made(octet: int) -> Cluster:
        return Cluster(spec=spec, network=Network(octet), registry=registry.directory)

    octet = registry.claim(
        state.root,
        wanted=known.network.octet if known else None,
        in_use=lambda octet: bool(listeners_in(Network(octet))),
        commit=lambda octet: save_cluster(state, made(octet)),
    )
    return made(octet)


def _bring_up(state: StateDir, cluster: Cluster, *, changed: bool, progress: Progress) -> None:
    """Has the supervisor run by what is written, started anew if that `changed`, and waits until the cluster is ready."""
    if is_supervised(state) and not changed:
        if not asyncio.run(is_ready(state, cluster)):
            asyncio.run(wait_ready(state, cluster, since=lease_bound(), progress=progress))
        return
    halt(state)
    in_the_way = listeners_in(cluster.network, seconds=RELEASE_SECONDS)
    if in_the_way:
        raise EmbeddedError(
            f"The cluster {cluster.spec.name!r} cannot start: {name_some(in_the_way)} already listens where it would. "
            f"End that process, and start again."
        )
    try:
        since = datetime.datetime.now(datetime.UTC)
        _launch_supervisor(state)
        asyncio.run(wait_ready(state, cluster, since=since, progress=progress))
    except BaseException:
        progress(f"{cluster.spec.name}: stopping what was started")
        halt(state)
        raise


def _launch_supervisor(state: StateDir) -> None:
    """Starts the supervisor as a daemon: its own session, and none of our descriptors, for a caller may wait until our output ends."""
    write_private(state.desired, "running\n")
    log = os.open(state.log("supervisor"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "embedded", "supervise", "--state-dir", str(state.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=child_environment(dict(os.environ)) | {"PYTHONPATH": str(CHECKOUT)},
            start_new_session=True,
        )
        process.write_record(state.record("supervisor"), supervisor.pid)  # it does so itself, later; until then nobody could end it
    finally:
        os.close(log)


@contextmanager
def _locked(state: StateDir, progress: Progress, *, make: bool = False) -> Iterator[bool]:
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


def _check_ours(state: StateDir) -> None:
    """Refuses a directory that holds other things than a cluster: it would be filled, or worse, emptied."""
    foreign = state.foreign_entries()
    if foreign:
        raise EmbeddedError(
            f"{state.root} holds {', '.join(foreign[:5])}, which no embedded cluster puts there. "
            f"Pass an empty directory, or a cluster's, with --state-dir."
        )
