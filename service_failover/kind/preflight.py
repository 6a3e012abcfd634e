"""Whether this machine can have the kind clusters that are wanted: every reason why not, each with what to do. Pure; `machine` finds the facts out.

It runs in every preview and update, before anything is created, and not in a destroy, which runs no program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service_failover.kind.document import LONGEST_NAME, NAME
from service_failover.kind.machine import Machine, Version

KIND_LOWEST = (0, 33)
"""The first kind that can make Kubernetes 1.37."""
DOCKER_LOWEST = (20, 10)
"""What kind itself asks for."""
KUBECTL_LOWEST = (1, 30)
CLUSTER_BYTES = 1 << 30
"""Memory of one cluster with the chain in it."""
INSTANCES_ADVISED, WATCHES_ADVISED = 512, 524288
"""inotify limits that kind's documentation advises."""
INSTANCES_LOWEST, WATCHES_LOWEST = 128, 65536
"""With less, two clusters do not start."""
HOW = "docs/kind.md"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A kind cluster of the configuration."""

    index: int
    """Its place in the list `clusters`."""
    kind_name: str
    owner: str
    host_port: int


def problems(machine: Machine, wanted: Sequence[Wanted]) -> list[str]:
    """Why the clusters cannot be; each with the way out. Empty: they can."""
    return [
        *_names(wanted),
        *_tools(machine),
        *_docker(machine, clusters=len(wanted)),
        *_inotify_too_low(machine),
        *_ports(machine, wanted),
    ]


def warnings(machine: Machine, *, clusters: int) -> list[str]:
    """What may work all the same."""
    found = []
    if machine.kubectl is None or machine.kubectl < KUBECTL_LOWEST:
        have = "is not on PATH" if machine.kubectl is None else f"is {_dotted(machine.kubectl)}"
        found.append(f"kubectl {have}; the stack does not need it, but looking at it does: {_dotted(KUBECTL_LOWEST)} or later. make tools gets one")
    limits = machine.inotify
    if limits and not _inotify_too_low(machine) and clusters > 1 and (limits[0] < INSTANCES_ADVISED or limits[1] < WATCHES_ADVISED):
        found.append(
            f"inotify limits are low for {clusters} kind clusters (instances {limits[0]}, watches {limits[1]}). Should pods end with "
            f'"too many open files": {_raise_limits()}'
        )
    return found


def _names(wanted: Sequence[Wanted]) -> list[str]:
    return [
        f"{each.kind_name!r} cannot be the name of a kind cluster: 1 to {LONGEST_NAME} characters, a-z, 0-9 and inner '-'. "
        f"It is made of kind.clusterPrefix, the name of the stack, and clusters[{each.index}].name: choose shorter or simpler ones"
        for each in wanted
        if not NAME.fullmatch(each.kind_name) or len(each.kind_name) > LONGEST_NAME
    ]


def _tools(machine: Machine) -> list[str]:
    found = []
    if machine.kind is None:
        found.append(f"kind is not on PATH (or does not state its version): install {_dotted(KIND_LOWEST)} or later; {HOW} says how")
    elif machine.kind < KIND_LOWEST:
        found.append(f"kind is {_dotted(machine.kind)}, which is too old: install {_dotted(KIND_LOWEST)} or later; {HOW} says how")
    if machine.experimental_provider not in ("", "docker"):
        found.append(f"KIND_EXPERIMENTAL_PROVIDER is {machine.experimental_provider!r}; only docker is supported: unset KIND_EXPERIMENTAL_PROVIDER")
    return found


def _docker(machine: Machine, *, clusters: int) -> list[str]:
    docker = machine.docker
    if isinstance(docker, str):
        return [f"docker cannot be reached: {docker}. Install or start it, or use clusters without it (clusterKind: embedded); {HOW} says how"]
    found = []
    if docker.version < DOCKER_LOWEST:
        found.append(f"docker is {_dotted(docker.version)}, which is too old: install {_dotted(DOCKER_LOWEST)} or later")
    if not docker.local:
        found.append(
            f"docker runs on another machine ({docker.host}), whose ports on 127.0.0.1 are not this machine's: "
            "use the docker of this machine (unset DOCKER_HOST, or: docker context use default)"
        )
    needed = clusters * CLUSTER_BYTES
    if docker.memory < needed:
        found.append(
            f"docker has {_gibibytes(docker.memory)} of memory; {clusters} clusters need {_gibibytes(needed)}: "
            "give it more (Docker Desktop: Settings, Resources), or configure fewer clusters"
        )
    return found


def _inotify_too_low(machine: Machine) -> list[str]:
    if machine.inotify is None or (machine.inotify[0] >= INSTANCES_LOWEST and machine.inotify[1] >= WATCHES_LOWEST):
        return []
    instances, watches = machine.inotify
    return [f"inotify limits are too low for kind clusters (instances {instances}, watches {watches}): {_raise_limits()}"]


def _ports(machine: Machine, wanted: Sequence[Wanted]) -> list[str]:
    found = []
    for each in wanted:
        ours = [node for node in machine.nodes if node.cluster == each.kind_name and node.owner == each.owner]
        if each.host_port not in machine.taken_ports or any(each.host_port in node.host_ports for node in ours):
            continue
        holder = next((f"the kind cluster {node.cluster}" for node in machine.nodes if each.host_port in node.host_ports), "another program")
        found.append(
            f"port {each.host_port} on 127.0.0.1 is in use by {holder}; the gateway proxy of clusters[{each.index}] was to be there. Choose another: "
            f"pulumi config set --path 'clusters[{each.index}].hostPort' <port>, or for all clusters: pulumi config set proxyPort <port>"
        )
    return found


def _raise_limits() -> str:
    return f"sudo sysctl fs.inotify.max_user_instances={INSTANCES_ADVISED} fs.inotify.max_user_watches={WATCHES_ADVISED}"


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def _gibibytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
