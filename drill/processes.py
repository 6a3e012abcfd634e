"""Signals to the processes that the parts of an embedded stack are: killed as by the kernel, or stopped as a machine that hangs."""

from __future__ import annotations

import contextlib
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from drill.containers import Container, pid_of, pods, process_of
from embedded import process
from embedded.layout import StateDir
from embedded.parts import API_SERVER

if TYPE_CHECKING:
    from drill.target import Target

WITHOUT_GRACE = ("--force", "--grace-period=0", "--wait=false")


def kill(target: Target, *containers: Container) -> None:
    """kill -9, all at once; where they are no processes of this machine, delete their pods without grace.

    The target is told when, after what it takes to find them.
    """
    names = ", ".join(f"{container.app} in {container.cluster}" for container in containers)
    if target.embedded:
        for container in containers:
            pid_of(target, container)  # waits until there is one that is ready
        pids = processes(target, *containers)
        target.mark(f"kill -9 of {names}")
        for pid in pids:
            signal_to(pid, signal.SIGKILL)
        return
    found = [(container, [pod["metadata"]["name"] for pod in pods(target, container)]) for container in containers]
    target.mark(f"the pods are deleted without grace: {names}")
    with ThreadPoolExecutor(len(found)) as pool:  # one after the other they would take a second and more
        deleted = [
            pool.submit(target.kubectl, container.cluster, "delete", "pod", "-n", container.namespace, *WITHOUT_GRACE, *pod_names)
            for container, pod_names in found
        ]
    for each in deleted:
        each.result()


def processes(target: Target, *containers: Container) -> list[int]:
    """Process ids of the containers in all of their Deployments' pods, ready or not."""
    statuses = [
        status
        for container in containers
        for pod in pods(target, container)
        for status in pod["status"].get("containerStatuses", [])
        if status["name"] == container.name and "running" in status["state"]
    ]
    return [pid for status in statuses if (pid := process_of(status["containerID"]))]


def freeze(*pids: int) -> None:
    """They keep their connections and answer nothing."""
    for pid in pids:
        signal_to(pid, signal.SIGSTOP)


def thaw(*pids: int) -> None:
    """They go on. Nothing happens to one that was not frozen, or has ended."""
    for pid in pids:
        signal_to(pid, signal.SIGCONT)


def signal_to(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, if there is one (0 is none) and it is still there."""
    if not pid:
        return  # to the system 0 is the sender's own process group
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def api_server(target: Target, cluster: str) -> int:
    """Process id of an embedded cluster's API server; 0 when none runs. Asked of the supervisor's record, as the API server may not answer."""
    directory = target.stack.workspace.clusters(target.stack.name) / cluster
    record = process.read_record(StateDir(directory).record(API_SERVER))
    return record.pid if record and process.is_alive(record) else 0
