"""The clusters of a stack: what each is and where, read from the configuration and checked together. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from service_failover.apps import LONGEST_CLUSTER_NAME
from service_failover.names import NODE_IMAGE
from service_failover.reading import DNS_LABEL, IMAGE, LABEL_VALUE, Section, shown

ANYTHING = re.compile(r"\S(.*\S)?")
SERVER_URL = re.compile(r"https://[^\s/]+/?")


class ClusterKind(StrEnum):
    """Where a cluster runs."""

    EMBEDDED = "embedded"
    KIND = "kind"
    EXISTING = "existing"


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """One Kubernetes cluster."""

    name: str
    kind: ClusterKind
    management: bool
    """Whether Gloo Federation runs in it."""
    region: str = ""
    """Topology label of the nodes, as is `zone`. Of clusters that are made here; those that exist have labels of their own."""
    zone: str = ""
    host_port: int = 0
    """Of a kind cluster: the port on 127.0.0.1 that leads to its gateway proxy."""
    context: str = ""
    """Of a cluster that exists: its context in the kubeconfig."""
    kubeconfig: str = ""
    """Of a cluster that exists: the kubeconfig file; "" is what kubectl would use."""
    server: str = ""
    """Of a cluster that exists: URL of its API server as other clusters reach it; "" is the one in the kubeconfig."""


@dataclass(frozen=True, kw_only=True)
class KindSettings:
    """What all kind clusters of a stack have in common."""

    cluster_prefix: str
    """Their names begin with it; the stack's name and the cluster's follow."""
    node_image: str
    base_image: str
    """Base of the image of the control plane that is built for them; "": the one that its Dockerfile names, by digest."""


def read_kind(section: Section) -> KindSettings:
    """The section `kind`."""
    image = "an image, such as " + NODE_IMAGE.partition("@")[0]
    return KindSettings(
        cluster_prefix=section.text("clusterPrefix", pattern=DNS_LABEL, longest=20, allowed="1 to 20 characters: a-z, 0-9 and inner '-'"),
        node_image=section.text("nodeImage", pattern=IMAGE, longest=255, allowed=image),
        base_image=section.optional_text("baseImage", pattern=IMAGE, longest=255, allowed=image),
    )


def read_cluster(section: Section, *, default: ClusterKind) -> ClusterSettings:
    """An entry of `clusters`; `default` is its kind when it does not say."""
    name = section.text(
        "name", pattern=DNS_LABEL, longest=LONGEST_CLUSTER_NAME, allowed=f"1 to {LONGEST_CLUSTER_NAME} characters: a-z, 0-9 and inner '-'"
    )
    kind = section.choice("kind", ClusterKind, absent=default)
    management = section.flag("management")
    if kind is ClusterKind.EXISTING:
        return ClusterSettings(
            name=name,
            kind=kind,
            management=management,
            context=section.optional_text("context", pattern=ANYTHING, allowed="the name of a context in the kubeconfig") or name,
            kubeconfig=section.optional_text("kubeconfig", pattern=ANYTHING, allowed="the path of a kubeconfig file"),
            server=section.optional_text("server", pattern=SERVER_URL, allowed="the URL of the API server, such as https://10.0.0.1:6443"),
        )
    label = "1 to 63 characters: letters, digits and inner '-', '_' or '.'"
    host_port = section.optional_integer("hostPort", lowest=1, highest=65535) if kind is ClusterKind.KIND else None
    return ClusterSettings(
        name=name,
        kind=kind,
        management=management,
        host_port=host_port or 0,
        region=section.text("region", pattern=LABEL_VALUE, longest=63, allowed=label),
        zone=section.text("zone", pattern=LABEL_VALUE, longest=63, allowed=label),
    )


def with_host_ports(clusters: tuple[ClusterSettings, ...], *, first: int) -> tuple[ClusterSettings, ...]:
    """The clusters with a host port for each kind cluster that names none: `first`, and one more for each place further down the list."""
    return tuple(
        replace(cluster, host_port=first + index) if cluster.kind is ClusterKind.KIND and not cluster.host_port else cluster
        for index, cluster in enumerate(clusters)
    )


def host_port_problems(clusters: tuple[ClusterSettings, ...]) -> list[str]:
    """Host ports that two clusters share, or that are no ports. The clusters have theirs (`with_host_ports`)."""
    problems = []
    first: dict[int, int] = {}
    for index, cluster in enumerate(clusters):
        if not cluster.host_port:
            continue
        where = f"clusters[{index}].hostPort (default: proxyPort, and one more for each place in the list)"
        if cluster.host_port > 65535:
            problems.append(f"{where}: {cluster.host_port} is not allowed; allowed: a whole number from 1 to 65535")
        elif first.setdefault(cluster.host_port, index) != index:
            problems.append(f"{where}: {cluster.host_port} is used twice, by clusters[{first[cluster.host_port]}] too; each needs its own")
    return problems


def cluster_problems(clusters: tuple[ClusterSettings, ...], *, sound: bool) -> list[str]:
    """What is wrong with the clusters together. Unless each is `sound` by itself, what would only follow from that is left out."""
    problems = []
    first: dict[str, int] = {}
    for index, cluster in enumerate(clusters):
        if cluster.name and first.setdefault(cluster.name, index) != index:
            problems.append(
                f"clusters[{index}].name: {shown(cluster.name)} is used twice, by clusters[{first[cluster.name]}] too; each needs its own"
            )
    managers = [cluster.name for cluster in clusters if cluster.management]
    if sound and len(managers) != 1:
        problems.append(f"clusters: management is true for {shown(managers)}; it must be for exactly one cluster, where Gloo Federation is to run")
    return problems
