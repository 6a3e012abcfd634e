"""The nodes of kind clusters that docker has, whoever made them, and starting those of ours that were stopped."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from service_failover.kind.document import GENERATION_MARK, OWNER_MARK

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
DOCKER_SECONDS = 20.0
"""How long docker may take to answer."""
START_SECONDS = 90.0
"""How long the API server of a node that was stopped may take to answer again."""
UNFINISHED = 9
READY = f"""
test -e /kind/service-failover/made || exit {UNFINISHED}
exec kubectl --kubeconfig=/etc/kubernetes/admin.conf --request-timeout=5s get --raw /readyz >/dev/null
"""


class DockerFailed(Exception):
    """docker is not there, does not answer, or refuses. The message is docker's own."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """The container of a node."""

    name: str
    cluster: str
    """What kind calls its cluster."""
    running: bool
    owner: str
    """Which stack made it, as its mark says; "": none of this project."""
    generation: str
    """The other mark."""
    host_ports: frozenset[int]
    """Ports of this machine that lead to it."""


def parse_node(inspected: dict[str, Any]) -> Node:
    """A node from what `docker inspect` says of its container."""
    mounts = [str(mount.get("Destination", "")) for mount in inspected.get("Mounts") or ()]
    bindings = (inspected.get("HostConfig") or {}).get("PortBindings") or {}
    return Node(
        name=inspected["Name"].removeprefix("/"),
        cluster=inspected["Config"]["Labels"][CLUSTER_LABEL],
        running=bool(inspected["State"]["Running"]),
        owner=_marked(mounts, OWNER_MARK),
        generation=_marked(mounts, GENERATION_MARK),
        host_ports=frozenset(int(each["HostPort"]) for bound in bindings.values() for each in bound or () if each.get("HostPort")),
    )


def list_nodes() -> tuple[Node, ...]:
    """All nodes of kind clusters. Raises DockerFailed."""
    ids = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={CLUSTER_LABEL}").split()
    if not ids:
        return ()
    try:
        return tuple(parse_node(each) for each in json.loads(docker("inspect", *ids)))
    except DockerFailed as error:
        if "No such object" not in str(error):
            raise
        return list_nodes()  # one of them was deleted meanwhile


def start(nodes: Iterable[Node]) -> None:
    """Start those that are stopped, and return when the API servers of all answer; at once when nothing was wrong. Raises DockerFailed.

    A node whose making was not finished is left as it is: it has no API server to wait for, and is made anew.
    """
    nodes = list(nodes)
    for node in nodes:
        if not node.running:
            docker("start", node.name)
    deadline = time.monotonic() + START_SECONDS
    for node in nodes:
        while not _answers(node):
            if time.monotonic() > deadline:
                raise DockerFailed(
                    f"{node.name} runs, but its API server does not answer within {START_SECONDS:g} s. See why: docker logs {node.name}\n"
                    f"To make it anew: kind delete cluster --name {node.cluster}, then the same again"
                )
            time.sleep(0.5)


def lacking(node: Node, definitions: Sequence[str]) -> list[str]:
    """Those of `definitions` (full names) that the cluster of this node, which runs, does not have. Raises DockerFailed."""
    found = docker("exec", node.name, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "customresourcedefinitions", "--output=name")
    there = {line.rpartition("/")[2] for line in found.split()}
    return [each for each in definitions if each not in there]


def docker(*arguments: str) -> str:
    """What `docker` prints. Raises DockerFailed."""
    done = _run(arguments)
    if done.returncode:
        raise DockerFailed(done.stderr.strip() or f"docker {arguments[0]} ended with exit code {done.returncode}")
    return done.stdout


def _answers(node: Node) -> bool:
    return _run(("exec", node.name, "sh", "-c", READY)).returncode in (0, UNFINISHED)


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=DOCKER_SECONDS, check=False)
    except FileNotFoundError:
        raise DockerFailed("docker is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise DockerFailed(f"docker {arguments[0]} gives no answer within {DOCKER_SECONDS:g} s") from None


def _marked(mounts: Iterable[str], mark: str) -> str:
    return next((PurePosixPath(mount).name for mount in mounts if mount.startswith(mark)), "")
