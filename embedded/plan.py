"""Writes everything a cluster runs by into its state directory: certificates, kubeconfigs, command lines, the node agent's configuration.

Convergent: a file is written only when it would change, and the caller learns whether one was, because then running parts run by old facts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import toolchain
from embedded.cluster import Cluster
from embedded.errors import EmbeddedError
from embedded.kubeconfig import kubeconfig
from embedded.layout import StateDir, read_text, unwritable, write_json, write_private
from embedded.network import REALISE, Port
from embedded.node_config import Programs, node_agent_config
from embedded.parts import egress_selector, parts
from embedded.pki import ensure_pki, leaves

CHECKOUT = Path(__file__).resolve().parent.parent


def find_programs() -> Programs:
    """Where the programs are. Raises EmbeddedError with the toolchain's own message, which names the next command, when one is missing."""
    try:
        toolchain.require(*toolchain.OF_EMBEDDED_CLUSTERS)
        return Programs(
            kube_node=toolchain.find("kube-node"),
            envoy=toolchain.find("envoy"),
            http_echo=toolchain.find("http-echo"),
            python=Path(sys.executable),
            checkout=CHECKOUT,
        )
    except toolchain.ToolMissing as error:
        raise EmbeddedError(str(error)) from error


def write_plan(*, state: StateDir, cluster: Cluster, programs: Programs) -> bool:
    """Makes `state` hold all that the supervisor needs; True when that changed anything. Raises EmbeddedError when a file cannot be written."""
    spec, network = cluster.spec, cluster.network
    try:
        changed = ensure_pki(state.pki, wanted=leaves(network=network, node_name=spec.node_name))
        for user, certificate in (("admin", "admin"), ("controller-manager",) * 2, ("scheduler",) * 2, ("node-agent", "node-agent-client")):
            changed |= write_private(state.kubeconfig(user), _kubeconfig(state, cluster, user=user, certificate=certificate))
        plan = [part.to_json() for part in parts(state=state, network=network, kube_node=str(programs.kube_node))]
        changed |= write_json(state.parts, plan)
        changed |= write_json(state.egress_selector, egress_selector(state, network))
        changed |= write_json(state.node_agent_config, node_agent_config(spec=spec, state=state, network=network, programs=programs))
    except OSError as error:
        raise unwritable(state.root, error) from error
    return changed


def _kubeconfig(state: StateDir, cluster: Cluster, *, user: str, certificate: str) -> str:
    ca, own, key = (read_text(state.pki / name) or "" for name in ("ca.crt", f"{certificate}.crt", f"{certificate}.key"))
    return kubeconfig(
        cluster=cluster.spec.name,
        context=cluster.spec.context,
        user=f"{cluster.spec.context}-{user}",
        server=cluster.network.url(Port.API_SERVER),
        realise=REALISE,
        ca=ca,
        certificate=own,
        key=key,
    )
