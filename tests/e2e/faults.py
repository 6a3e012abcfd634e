"""Ways to break a running stack that tests need beyond those of the drill, and the drill's own by the names of the session's stack.

Nothing here waits longer than the breaking takes, so that a test decides when what happens.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from cli.traffic import ADMIN_PORT
from drill import gateway, processes
from drill.containers import Container, pid_of, pods, remove_oldest_pod, running
from drill.gateway import Host
from drill.roles import App
from drill.switch import Switch, switch_of
from service_failover.addressing import EMBEDDED
from service_failover.addressing import realised as realised_by
from tests.e2e.conftest import LiveStack, until

__all__ = ["ADMIN_PORT", "Container", "Host", "Switch", "pid_of", "pods", "remove_oldest_pod"]

BLUE, GREEN = App(cluster="local", color="blue"), App(cluster="remote", color="green")
BLUE_ENVOY, BLUE_ECHO, GREEN_ENVOY = BLUE.envoy, BLUE.echo, GREEN.envoy
GLOO = Container(cluster="local", namespace="gloo-system", app="gloo", name="gloo")
GLOO_FED = Container(cluster="local", namespace="gloo-fed", app="gloo-fed", name="gloo-fed")
GATEWAY = Container(cluster="local", namespace="gloo-system", app="gateway-proxy", name="envoy")
FAILOVER_GATEWAY = Container(cluster="remote", namespace="gloo-system", app="gateway-proxy", name="envoy")
PRIMARY = "default-service-blue-10000_gloo-system"
"""Envoy's name for blue, and for green behind it."""


def realised(address: str) -> str:
    """Where an address of an embedded cluster is on this machine."""
    return realised_by(address, EMBEDDED["realise"])


def blue_switch(stack: LiveStack) -> Switch:
    """The health check filter of the blue app, as the guide operates it, without the second that a port-forward takes."""
    with switch_of(stack.target, BLUE) as switch:
        return switch


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


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Processes that keep their connections and answer nothing, for as long as the context lasts."""
    processes.freeze(*pids)
    try:
        yield
    finally:
        processes.thaw(*pids)


def api_server(stack: LiveStack, cluster: str) -> int:
    """Pid of a cluster's API server; 0 when none runs."""
    return processes.api_server(stack.target, cluster)


def kill_api_server(stack: LiveStack, cluster: str) -> None:
    """kill -9 the API server, and wait until another one answers."""
    pid = api_server(stack, cluster)
    os.kill(pid, signal.SIGKILL)
    until(f"the API server of {cluster} is back", lambda: api_server(stack, cluster) not in (0, pid) and stack.cluster_status(cluster)["ready"])


def hosts(stack: LiveStack) -> list[Host]:
    """The hosts behind the gateway's route: blue with priority 0, green with 1. Empty while the gateway has none."""
    return gateway.hosts(stack.target)


def counted(stack: LiveStack, container: Container, suffix: str) -> int:
    """What a gateway's newest Envoy has counted under the names that end so, all together."""
    with stack.target.admin_ports(container, newest=True) as urls:
        return gateway.counted_at(urls, suffix)


def settled(stack: LiveStack) -> None:
    """Wait until blue and green are healthy in the gateway's eyes, so that the next failure is the only one."""
    until("both apps are healthy", lambda: sorted((host.priority, host.healthy) for host in hosts(stack)) == [(0, True), (1, True)], seconds=60)
