"""Each part is killed with kill -9 while clients call the gateway: it comes back by itself, and clients are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import LiveStack, until
from tests.e2e.load import load

pytestmark = pytest.mark.e2e


def container_process(stack: LiveStack, cluster: str, namespace: str, app: str, container: str) -> tuple[int, int]:
    """(pid, restart count) of the running container of a Deployment's pod, from its status."""
    for pod in stack.get(cluster, "pods", "-n", namespace)["items"]:
        if pod["metadata"]["name"].startswith(app + "-"):
            for status in pod["status"].get("containerStatuses", []):
                if status["name"] == container and "running" in status["state"] and status["ready"]:
                    return process_of(status["containerID"]), int(status["restartCount"])
    return 0, 0


def process_of(container_id: str) -> int:
    """Pid of a container's first process: the node agent writes the container's id into its environment."""
    mark = container_id.removeprefix("process://").encode()
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes():
                pids.append(int(process.name))
    return min(pids, default=0)


def kill_container(stack: LiveStack, cluster: str, namespace: str, app: str, container: str) -> None:
    """kill -9 it, and wait until its successor is ready."""

    def running() -> tuple[int, int]:
        return container_process(stack, cluster, namespace, app, container)

    pid, restarts = until(f"{app}/{container} is ready", lambda: running()[0] and running())
    os.kill(pid, signal.SIGKILL)
    until(f"{app}/{container} is ready again", lambda: running()[1] > restarts and running()[0] != pid)


def kill_api_server(stack: LiveStack, cluster: str) -> None:
    """kill -9 the API server, and wait until another one answers."""

    def server() -> int:
        return int(next(part["pid"] or 0 for part in stack.cluster_status(cluster)["parts"] if part["name"] == "kube-apiserver"))

    pid = server()
    os.kill(pid, signal.SIGKILL)
    until(f"the API server of {cluster} is back", lambda: server() not in (0, pid) and stack.cluster_status(cluster)["ready"])


WITHOUT_LOSS: dict[str, Callable[[LiveStack], None]] = {
    "blue's app": lambda stack: kill_container(stack, "local", "default", "echo-blue", "envoy"),
    "gloo": lambda stack: kill_container(stack, "local", "gloo-system", "gloo", "gloo"),
    "gloo-fed": lambda stack: kill_container(stack, "local", "gloo-fed", "gloo-fed", "gloo-fed"),
    "the local API server": lambda stack: kill_api_server(stack, "local"),
    "the remote API server": lambda stack: kill_api_server(stack, "remote"),
}


@pytest.mark.parametrize("part", WITHOUT_LOSS)
async def test_a_killed_part_heals_and_no_request_is_lost(stack: LiveStack, part: str) -> None:
    async with load(stack.url, rate=50, most=3000) as traffic:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(WITHOUT_LOSS[part], stack)
        await asyncio.sleep(1)
    assert traffic.failures == [], f"clients do not notice that {part} was killed"
    assert set(traffic.servers) <= {"blue-pod", "green-pod"}, "one of the two apps answers"


async def test_a_killed_gateway_comes_back_with_its_configuration(stack: LiveStack) -> None:
    await asyncio.to_thread(kill_container, stack, "local", "gloo-system", "gateway-proxy", "envoy")
    url = stack.url
    async with load(url, rate=50, most=100) as traffic:
        await asyncio.sleep(2)
    assert traffic.failures == [], "once ready again, the gateway serves every request"


async def test_failover_works_while_both_control_plane_processes_are_down_or_coming_back(stack: LiveStack) -> None:
    async with load(stack.url, rate=50, most=3000) as traffic:
        for namespace, app in (("gloo-system", "gloo"), ("gloo-fed", "gloo-fed")):
            os.kill(container_process(stack, "local", namespace, app, app)[0], signal.SIGKILL)
        failed = await asyncio.to_thread(stack.cli, "fail")
        await asyncio.sleep(1.5)
        healed = await asyncio.to_thread(stack.cli, "heal")
        await asyncio.sleep(2.5)
    assert failed.returncode == healed.returncode == 0, "the app's switch needs no control plane"
    assert traffic.failures == [], "and neither does failover"
    assert "green-pod" in traffic.servers, "green took over"
