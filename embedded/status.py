"""What there is of a cluster, for people and for tests. Reads; changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from embedded import process
from embedded.cluster import load_cluster
from embedded.layout import StateDir, read_json
from embedded.network import Port
from embedded.readiness import PART_NAMES, is_ready
from embedded.registry import Registry, default_directory


def status(state: StateDir) -> dict[str, Any]:
    """Name, addresses, readiness and parts of the cluster in `state`; {"made": False} and nothing else to say when there is none."""
    cluster = load_cluster(state)
    if cluster is None:
        return {"stateDir": str(state.root), "made": False, "ready": False}
    network = cluster.network
    return {
        "stateDir": str(state.root),
        "made": True,
        **cluster.spec.to_json(),
        "context": cluster.spec.context,
        "ready": asyncio.run(is_ready(state, cluster)),
        "octet": network.octet,
        "server": network.url(Port.API_SERVER),
        "nodeAddress": network.node_address,
        "podCidr": network.pod_cidr,
        "serviceCidr": network.service_cidr,
        "loadBalancerCidr": network.load_balancer_cidr,
        "parts": [_part(state, name) for name in ("supervisor", "watcher", *PART_NAMES)],
    }


def registered() -> list[StateDir]:
    """State directories of this user's clusters."""
    return [StateDir(root) for root in Registry(default_directory()).entries().values()]


def describe(document: dict[str, Any]) -> str:
    """A status as lines to read."""
    if not document["made"]:
        return f"No cluster was made in {document['stateDir']}."
    word = "ready" if document["ready"] else "not ready"
    lines = [f"{document['name']} ({document['region']}, {document['zone']}): {word}, {document['server']}, {document['stateDir']}"]
    for part in document["parts"]:
        running = f"pid {part['pid']}" if part["alive"] else "does not run"
        lines.append(f"  {part['name']:24} {running}, {part['restarts']} restarts")
    return "\n".join(lines)


def _part(state: StateDir, name: str) -> dict[str, Any]:
    record = process.read_record(state.record(name))
    alive = record is not None and process.is_alive(record)
    return {
        "name": name,
        "pid": record.pid if record and alive else None,
        "alive": alive,
        "restarts": (read_json(state.record(name)) or {}).get("restarts", 0),
    }
