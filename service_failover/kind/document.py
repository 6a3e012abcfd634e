"""What a cluster is to be: the document for `kind create cluster --config -`, and the marks by which it is known again. Pure.

A cluster belongs to the stack that made it. That is written on its node as two marks: mounts, since these docker shows from the first moment of a
container to its last, whether anything in it runs or not. A Kubernetes label could be read only where an API server answers.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from service_failover.names import PROXY_NODE_PORT

LONGEST_NAME = 49
"""Its node is called `<name>-control-plane`, which is a host name: 63 characters."""
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
API_PORT = 6443

OWNER_MARK = "/kind/service-failover/owner/"
"""Where a node has a mount that is named after the stack that made it."""
GENERATION_MARK = "/kind/service-failover/generation/"
"""Where a node has a mount that is named after the cluster's generation: another word each time that it is made because it was not there."""


def kind_name(*, prefix: str, stack: str, cluster: str) -> str:
    """What kind calls the cluster `cluster` of `stack`. Two stacks side by side have different ones."""
    return f"{prefix}-{stack}-{cluster}"


def owner_of(stack: str, directory: Path) -> str:
    """Who makes the clusters of `stack`.

    `directory` is where the stack keeps its state: another checkout may have a stack of the same name.
    """
    return f"{stack}-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"


def node_of(kind_name: str) -> str:
    """Name of the node of a cluster: a container, and a host name on kind's network."""
    return f"{kind_name}-control-plane"


def internal_address(kind_name: str) -> str:
    """URL of the API server for other clusters: by name, since a restart of docker may give the node another IP. The certificate holds the name."""
    return f"https://{node_of(kind_name)}:{API_PORT}"


def document(*, owner: str, generation: str, region: str, zone: str, host_port: int) -> dict[str, Any]:
    """The configuration of a cluster of one node. The gateway proxy's port of the node is `host_port` of this machine, on loopback only."""
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [
            {
                "role": "control-plane",
                "labels": {
                    "topology.kubernetes.io/region": region,
                    "topology.kubernetes.io/zone": zone,
                    "service-failover/owner": owner,
                },
                "extraPortMappings": [
                    {"containerPort": PROXY_NODE_PORT, "hostPort": host_port, "listenAddress": "127.0.0.1", "protocol": "TCP"},
                ],
                # kind mounts this directory into each node anyway, so that it can be mounted wherever kind works, Docker Desktop too.
                "extraMounts": [
                    {"hostPath": "/lib/modules", "containerPath": f"{mark}{name}", "readOnly": True}
                    for mark, name in ((OWNER_MARK, owner), (GENERATION_MARK, generation))
                ],
            }
        ],
    }
