"""Whether a cluster is ready, asked of its API: the server itself, the node's lease, the node, and the default ServiceAccount."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable

from embedded import process
from embedded.cluster import Cluster
from embedded.errors import EmbeddedError
from embedded.https import UNREACHABLE, request
from embedded.layout import StateDir, read_json, read_text
from embedded.parts import API_SERVER, CONTROLLER_MANAGER, ETCD, NODE_AGENT, SCHEDULER, api_endpoint

PART_NAMES = (ETCD, API_SERVER, CONTROLLER_MANAGER, SCHEDULER, NODE_AGENT)
READY_SECONDS = 90.0
"""For a start, on a machine that does much else; two clusters at once take about 5 s on two free cores."""
LEASE_SECONDS = 40
"""A node that has not renewed its lease for so long is not there, by Kubernetes' own rule."""
SUPERVISOR_SECONDS = 5.0
"""A supervisor has recorded itself by then."""
TOO_MANY_RESTARTS = 4
"""A part that ended so often in one start will not come up by itself."""
INTERVAL = 0.1


async def is_ready(state: StateDir, cluster: Cluster) -> bool:
    """Whether every part runs, and the API says that the cluster is ready."""
    return await what_is_missing(state, cluster, since=lease_bound()) is None


async def wait_ready(state: StateDir, cluster: Cluster, *, since: datetime.datetime, progress: Callable[[str], None]) -> None:
    """Waits until the cluster is ready by signs given after `since`. Raises EmbeddedError when a part ends again and again, or time is up."""
    started, missing = time.monotonic(), ""
    while True:
        now_missing = await what_is_missing(state, cluster, since=since)
        seconds = time.monotonic() - started
        if now_missing is None:
            progress(f"{cluster.spec.name}: ready after {seconds:.1f} s at https://{cluster.network.host}:6443")
            return
        if now_missing != missing:
            progress(f"{cluster.spec.name}: {seconds:.1f} s, waiting for {now_missing}")
            missing = now_missing
        for name in PART_NAMES:
            if ((read_json(state.record(name)) or {}).get("restarts") or 0) >= TOO_MANY_RESTARTS:
                raise EmbeddedError(f"{name} of the cluster {cluster.spec.name!r} ends each time it is started. {_last_words(state, name)}")
        if seconds > SUPERVISOR_SECONDS and not any(_runs(state, name) for name in ("supervisor", "watcher")):
            raise EmbeddedError(f"The supervisor of the cluster {cluster.spec.name!r} does not run. {_last_words(state, 'supervisor')}")
        if seconds > READY_SECONDS:
            raise EmbeddedError(
                f"The cluster {cluster.spec.name!r} is not ready after {seconds:.0f} s: it waits for {missing}. {_last_words(state, 'supervisor')}"
            )
        await asyncio.sleep(INTERVAL)


async def what_is_missing(state: StateDir, cluster: Cluster, *, since: datetime.datetime) -> str | None:
    """The first thing that is not ready; None when all is. The node's lease must be newer than `since`: its status may be from before a crash."""
    api = api_endpoint(state, cluster.network)
    node = cluster.spec.node_name
    try:
        if not (await request(api, "/readyz")).ok:
            return "the API server"
        stopped = next((name for name in PART_NAMES if not _runs(state, name)), None)
        if stopped:
            return stopped
        lease = await request(api, f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}")
        if not lease.ok or datetime.datetime.fromisoformat(lease.json()["spec"]["renewTime"]) < since:
            return f"the node agent of {node}"
        status = await request(api, f"/api/v1/nodes/{node}")
        conditions = status.json()["status"].get("conditions", []) if status.ok else []
        if not any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions):
            return f"the node {node} to be Ready"
        if not (await request(api, "/api/v1/namespaces/default/serviceaccounts/default")).ok:
            return "the ServiceAccount default/default"
    except UNREACHABLE:
        return "the API server"
    return None


def _runs(state: StateDir, name: str) -> bool:
    record = process.read_record(state.record(name))
    return record is not None and process.is_alive(record)


def _last_words(state: StateDir, name: str) -> str:
    log = state.log(name)
    lines = (read_text(log) or "").strip().splitlines()
    return f"Its log {log} ends: {lines[-1]}" if lines else f"Its log {log} is empty."


def lease_bound() -> datetime.datetime:
    """The lease of a node that is there is newer than this moment."""
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=LEASE_SECONDS)
