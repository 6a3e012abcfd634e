"""What the node agent is told: its identity, its addresses, and which images this node can run. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.layout import StateDir
from embedded.network import REALISE, Network, Port
from embedded.spec import ClusterSpec

CAPACITY = {"cpu": "8", "memory": "16Gi", "pods": "110"}
"""Promised, not enforced: the scheduler needs a node with room, and processes share the machine as they like."""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The programs that stand behind a node's images, and the node itself."""

    kube_node: Path
    envoy: Path
    http_echo: Path
    python: Path
    checkout: Path
    """Directory that holds the package `controlplane`."""


def images(programs: Programs) -> dict[str, Any]:
    """Image repository to the command that runs in place of its container."""
    return {
        "envoyproxy/envoy": {"entrypoint": [str(programs.envoy)]},
        "hashicorp/http-echo": {"entrypoint": [str(programs.http_echo)]},
        "servicefailover/controlplane": {
            "entrypoint": [str(programs.python), "-m", "controlplane"],
            "env": {"PYTHONPATH": str(programs.checkout)},
        },
    }


def node_agent_config(*, spec: ClusterSpec, state: StateDir, network: Network, programs: Programs) -> dict[str, Any]:
    """The node agent's configuration file. Its API takes only the API server's client certificate, which has an authority of its own."""
    pki = state.pki
    return {
        "clusterName": spec.name,
        "nodeName": spec.node_name,
        "kubeconfig": str(state.kubeconfig("node-agent")),
        "stateDir": str(state.node),
        "apiServer": network.url(Port.API_SERVER),
        "caFile": str(pki / "ca.crt"),
        "realise": REALISE,
        "nodeAddress": network.node_address,
        "podCidr": network.pod_cidr,
        "loadBalancerCidr": network.load_balancer_cidr,
        "listen": network.at(Port.NODE_AGENT),
        "servingCert": str(pki / "node-agent.crt"),
        "servingKey": str(pki / "node-agent.key"),
        "clientCaFile": str(pki / "node-agent-client-ca.crt"),
        "labels": spec.topology_labels,
        "capacity": CAPACITY,
        "images": images(programs),
    }
