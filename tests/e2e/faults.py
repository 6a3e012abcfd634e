"""Ways to break a running stack, each as the world does it: a signal to a process, a write to the API, a word to an admin port.

Nothing here waits longer than the breaking takes, so that a test decides when what happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from tests.e2e.conftest import LiveStack, until

ADMIN_PORT = 19000


@dataclass(frozen=True, kw_only=True)
class Container:
    """A container of a Deployment's pod."""

    cluster: str
    namespace: str
    app: str
    name: str


BLUE_ENVOY = Container(cluster="local", namespace="default", app="echo-blue", name="envoy")
BLUE_ECHO = Container(cluster="local", namespace="default", app="echo-blue", name="echo")
GLOO = Container(cluster="local", namespace="gloo-system", app="gloo", name="gloo")
GLOO_FED = Container(cluster="local", namespace="gloo-fed", app="gloo-fed", name="gloo-fed")
GATEWAY = Container(cluster="local", namespace="gloo-system", app="gateway-proxy", name="envoy")
FAILOVER_GATEWAY = Container(cluster="remote", namespace="gloo-system", app="gateway-proxy", name="envoy")
GREEN_ENVOY = Container(cluster="remote", namespace="default", app="echo-green", name="envoy")
PRIMARY = "default-service-blue-10000_gloo-system"
"""Envoy's name for blue, and for green behind it."""


def realised(address: str) -> str:
    """Where an address of an embedded cluster is on this machine."""
    return "127." + address.split(".", 1)[1]


def pods(stack: LiveStack, container: Container) -> list[Any]:
    """The pods of a container's Deployment that are not on their way out, the oldest first."""
    items = stack.get(container.cluster, "pods", "-n", container.namespace)["items"]
    own = [item for item in items if item["metadata"]["name"].startswith(container.app + "-") and "deletionTimestamp" not in item["metadata"]]
    return sorted(own, key=lambda item: item["metadata"]["creationTimestamp"])


def running(stack: LiveStack, container: Container) -> tuple[int, int]:
    """(pid, restart count) of a container that is ready; zeros when there is none."""
    for pod in pods(stack, container):
        for status in pod["status"].get("containerStatuses", []):
            if status["name"] == container.name and "running" in status["state"] and status["ready"]:
                return _process_of(status["containerID"]), int(status["restartCount"])
    return 0, 0


def _process_of(container_id: str) -> int:
    """Pid of a container's first process: the node agent writes the container's id into its environment."""
    mark = container_id.removeprefix("process://").encode()
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes():
                pids.append(int(process.name))
    return min(pids, default=0)


def pid_of(stack: LiveStack, container: Container) -> int:
    """Pid of a container, once it is ready."""
    return int(until(f"{container.app}/{container.name} is ready", lambda: running(stack, container)[0], seconds=60))


def remove_oldest_pod(stack: LiveStack, app: Container) -> None:
    """Delete it, at once as its Deployment says; the Deployment makes another one."""
    stack.kubectl(app.cluster, "delete", "pod", "-n", app.namespace, pods(stack, app)[0]["metadata"]["name"])


def fresh_pid_of(stack: LiveStack, container: Container) -> int:
    """Pid of a container in a new pod: one that was killed before would be restarted late, with back-off."""
    remove_oldest_pod(stack, container)
    return pid_of(stack, container)


def kill_container(stack: LiveStack, container: Container) -> None:
    """kill -9 it, and wait until its successor is ready."""
    pid, restarts = until(
        f"{container.app}/{container.name} is ready", lambda: running(stack, container)[0] and running(stack, container), seconds=60
    )
    os.kill(pid, signal.SIGKILL)

    def succeeded() -> bool:
        now, count = running(stack, container)
        return count > restarts and now not in (0, pid)

    until(f"{container.app}/{container.name} is ready again", succeeded, seconds=60)


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """SIGSTOP processes: they keep their connections and answer nothing. SIGCONT at the end."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def api_server(stack: LiveStack, cluster: str) -> int:
    """Pid of a cluster's API server; 0 when none runs."""
    return int(next(part["pid"] or 0 for part in stack.cluster_status(cluster)["parts"] if part["name"] == "kube-apiserver"))


def kill_api_server(stack: LiveStack, cluster: str) -> None:
    """kill -9 the API server, and wait until another one answers."""
    pid = api_server(stack, cluster)
    os.kill(pid, signal.SIGKILL)
    until(f"the API server of {cluster} is back", lambda: api_server(stack, cluster) not in (0, pid) and stack.cluster_status(cluster)["ready"])


class Switch:
    """The health check filter of the blue app, as the guide operates it, without the second that a port-forward takes."""

    def __init__(self, stack: LiveStack) -> None:
        self._urls = [f"http://{realised(pod['status']['podIP'])}:{ADMIN_PORT}/healthcheck" for pod in pods(stack, BLUE_ENVOY)]

    def fail(self) -> float:
        """The app reports itself unhealthy. Returns when."""
        return self._post("fail")

    def heal(self) -> float:
        """The app is healthy again. Returns when."""
        return self._post("ok")

    def _post(self, word: str) -> float:
        now = time.monotonic()
        for url in self._urls:
            assert httpx.post(f"{url}/{word}", timeout=5).status_code == 200, f"the admin port takes {word}"
        return now


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host of the primary's cluster, as the gateway's Envoy sees it."""

    priority: int
    healthy: bool
    requests: int


def hosts(stack: LiveStack) -> list[Host]:
    """The hosts behind the gateway's route: blue with priority 0, green with 1. Empty while the gateway has none."""
    answer = admin(stack, GATEWAY, "clusters?format=json")
    clusters = json.loads(answer).get("cluster_statuses", []) if answer else []
    found = []
    for host in next((cluster.get("host_statuses", []) for cluster in clusters if cluster["name"] == PRIMARY), []):
        counted = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
        healthy = host["health_status"] == {"eds_health_status": "HEALTHY"}
        found.append(Host(priority=host.get("priority", 0), healthy=healthy, requests=counted["rq_total"]))
    return found


def counted(stack: LiveStack, gateway: Container, suffix: str) -> int:
    """What a gateway's Envoy has counted under the names that end so, all together."""
    lines = admin(stack, gateway, "stats").splitlines()
    return sum(int(value) for name, _, value in (line.partition(": ") for line in lines) if name.endswith(suffix))


def admin(stack: LiveStack, gateway: Container, path: str) -> str:
    """What the admin port of the newest pod of a gateway answers; "" while it does not."""
    for pod in pods(stack, gateway)[-1:]:
        if "podIP" in pod["status"]:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"http://{realised(pod['status']['podIP'])}:{ADMIN_PORT}/{path}", timeout=5).text
    return ""


def settled(stack: LiveStack) -> None:
    """Wait until blue and green are healthy in the gateway's eyes, so that the next failure is the only one."""
    until("both apps are healthy", lambda: sorted((host.priority, host.healthy) for host in hosts(stack)) == [(0, True), (1, True)], seconds=60)
