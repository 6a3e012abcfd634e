"""Containers of a stack's Deployments: which pods they run in, as which process on an embedded cluster, and how to make their pods anew."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from drill.waiting import wait_for

READY_WITHIN = 60.0
"""Seconds in which a pod is ready: it takes one or two, and longer on a busy machine."""
_PROC = Path("/proc")
_EMBEDDED_ID = "process://"
"""What the ids of an embedded cluster's containers begin with."""


class Clusters(Protocol):
    """The clusters of a stack, by name."""

    def kubectl(self, cluster: str, *arguments: str, stdin: str = "") -> str:
        """Run kubectl on one cluster; what it printed."""

    def get(self, cluster: str, *arguments: str) -> Any:
        """`kubectl get -o json`, parsed."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container of a Deployment's pods."""

    cluster: str
    namespace: str
    app: str
    """Name of the Deployment."""
    name: str


def pods(clusters: Clusters, container: Container) -> list[Any]:
    """The pods of its Deployment that are not on their way out, the oldest first."""
    return [pod for pod in _all_pods(clusters, container) if "deletionTimestamp" not in pod["metadata"]]


def leaving(clusters: Clusters, container: Container) -> list[Any]:
    """Those that are on their way out, the oldest first."""
    return [pod for pod in _all_pods(clusters, container) if "deletionTimestamp" in pod["metadata"]]


def _all_pods(clusters: Clusters, container: Container) -> list[Any]:
    items = clusters.get(container.cluster, "pods", "-n", container.namespace)["items"]
    own = (item for item in items if is_of(container, item))
    return sorted(own, key=lambda item: item["metadata"]["creationTimestamp"])


def is_of(container: Container, pod: Any) -> bool:
    """Whether a pod of its namespace is one of its Deployment."""
    return str(pod["metadata"]["name"]).startswith(container.app + "-")


def running(clusters: Clusters, container: Container) -> tuple[int, int]:
    """(process id, restart count) on an embedded cluster, of the oldest one that is ready; zeros when there is none."""
    for pod in pods(clusters, container):
        for status in pod["status"].get("containerStatuses", []):
            if status["name"] == container.name and "running" in status["state"] and status["ready"]:
                return process_of(status["containerID"]), int(status["restartCount"])
    return 0, 0


def process_of(container_id: str) -> int:
    """Process id of a container's first process; 0 when it has none. The node agent writes the container's id into its environment."""
    mark = container_id.removeprefix(_EMBEDDED_ID).encode()
    pids = []
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes():
                pids.append(int(process.name))
    return min(pids, default=0)


def pid_of(clusters: Clusters, container: Container) -> int:
    """Its process id on an embedded cluster, once it is ready."""
    return wait_for(f"{container.app}/{container.name} is ready", lambda: running(clusters, container)[0], seconds=READY_WITHIN)


def ready(clusters: Clusters, container: Container) -> bool:
    """Whether as many of the Deployment's pods are ready, of its present template, as it is to have, and one at least."""
    deployment = clusters.get(container.cluster, "deployment", "-n", container.namespace, container.app)
    wanted, status = deployment["spec"]["replicas"], deployment["status"]
    counts = [status.get(name, 0) for name in ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas")]
    return wanted > 0 and counts == [wanted] * 4 and status.get("observedGeneration") == deployment["metadata"]["generation"]


def wait_until_ready(clusters: Clusters, container: Container) -> None:
    """Wait until all of its Deployment's pods are."""
    wait_for(f"all pods of {container.app} in {container.cluster} are ready", lambda: ready(clusters, container), seconds=READY_WITHIN)


def remove_oldest_pod(clusters: Clusters, container: Container, *options: str) -> None:
    """Delete it, within the time that its Deployment gives it; the Deployment makes another one."""
    clusters.kubectl(
        container.cluster, "delete", "pod", "-n", container.namespace, *options, pods(clusters, container)[0]["metadata"]["name"]
    )  # fmt: skip


def restarted_before(clusters: Clusters, container: Container) -> bool:
    """Whether a container of its pods has been restarted: the next time Kubernetes takes its time, by its back-off."""
    return any(status["restartCount"] for pod in pods(clusters, container) for status in pod["status"].get("containerStatuses", []))


def make_fresh(clusters: Clusters, container: Container) -> None:
    """Give it pods that were never restarted, so that Kubernetes restarts them at once, and wait until they are ready."""
    while restarted_before(clusters, container):
        remove_oldest_pod(clusters, container)
        wait_until_ready(clusters, container)
