"""Starts and restores a cluster. Each command is convergent, and serialised with the others on the same state directory.

What runs is the supervisor's business; a command decides what should run, starts or ends the supervisor, and looks at the API until that is so.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import subprocess
import sys
from enum import StrEnum

from embedded import process
from embedded.cluster import Cluster, load_cluster, save_cluster
from embedded.errors import EmbeddedError
from embedded.halt import RELEASE_SECONDS, halt, is_supervised, listeners_in, name_some
from embedded.layout import StateDir, read_text, unwritable, write_private
from embedded.network import Network
from embedded.plan import CHECKOUT, find_programs, write_plan
from embedded.readiness import is_ready, lease_bound, wait_ready
from embedded.registry import Registry, default_directory
from embedded.removal import Progress, check_ours, locked
from embedded.spec import ClusterSpec
from embedded.supervisor import child_environment


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
    check_ours(state)
    try:
        with locked(state, progress, make=True):
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
        with locked(state, progress) as there:
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
