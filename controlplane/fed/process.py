"""`gloo-fed` as a process: the management cluster's API server, those of the registered clusters, a health endpoint and the console.

Every replica reads all clusters, so that a new leader has nothing to learn; only the leader writes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from controlplane import metrics, process
from controlplane.fed import farewell
from controlplane.fed.console.console import Console
from controlplane.fed.kinds import FAILOVER_SCHEME, GLOO_INSTANCE, KUBERNETES_CLUSTER
from controlplane.fed.mirror import Mirror
from controlplane.fed.registry import Registry
from controlplane.fed.schemes import Schemes
from controlplane.health import HealthServer
from controlplane.kube.client import KubeClient, config_from_environment
from controlplane.kube.guard import GuardedWriter
from controlplane.kube.objects import SECRET, Key, Kind
from controlplane.kube.view import ClusterView
from gloo_api.kubernetes_cluster import KUBECONFIG_SECRET_TYPE

LEASE_NAME = "gloo-fed"
"""In the federation's namespace."""


@dataclass(frozen=True)
class Options:
    """`namespace`: of the federation's objects, in the management cluster; `gloo_namespace`: of gloo, in every cluster.

    `identity`: by which this replica contends for writing; None: it is the only one.
    """

    namespace: str
    gloo_namespace: str
    health_address: str | None
    started: float
    identity: str | None = None
    console_address: str | None = None


async def main(options: Options) -> None:
    """Run until cancelled."""
    client = KubeClient(config_from_environment)
    synced = asyncio.Event()

    def changed(kind: Kind, key: Key) -> None:
        if synced.is_set():
            registry.changed(kind, key)
            schemes.changed(kind, key)
            mirror.changed(kind, key)
            if console is not None:
                console.changed(kind, key)

    def member_changed(cluster: str, kind: Kind | None) -> None:
        schemes.member_changed(cluster, kind)
        mirror.member_changed(cluster, kind)
        if console is not None:
            console.member_changed(cluster, kind)
        if kind is None:
            member = registry.members.get(cluster)
            if member is None:
                metrics.CLUSTER_CONNECTED.remove_by_labels({"cluster": cluster})
            else:
                metrics.CLUSTER_CONNECTED.labels(cluster).set(member.synced and member.lost is None)

    def status_changed(kind: Kind, key: Key) -> None:
        if synced.is_set():
            mirror.changed(kind, key)
            if console is not None:
                console.changed(kind, key)

    def member_status_changed(cluster: str, key: Key) -> None:
        mirror.status_changed(cluster, key)

    view = ClusterView(client, on_change=changed)
    for kind in (KUBERNETES_CLUSTER, FAILOVER_SCHEME, GLOO_INSTANCE):
        keep = kind == GLOO_INSTANCE
        view.watch(kind, namespaces=(options.namespace,), status=False, keep_managers=keep, on_status=status_changed)
    view.watch(SECRET, namespaces=(options.namespace,), field_selector=f"type={KUBECONFIG_SECRET_TYPE}")
    leader = process.election(client, namespace=options.namespace, name=LEASE_NAME, identity=options.identity)
    writer = GuardedWriter(client, leader)
    registry = Registry(
        view=view,
        writer=writer,
        leader=leader,
        namespace=options.namespace,
        gloo_namespace=options.gloo_namespace,
        on_member=member_changed,
        on_status=member_status_changed,
    )
    schemes = Schemes(view=view, writer=writer, namespace=options.namespace, registry=registry)
    mirror = Mirror(view=view, writer=writer, registry=registry)
    console = (
        Console(
            address=options.console_address,
            view=view,
            registry=registry,
            leader=leader,
            namespace=options.namespace,
            name=options.identity or process.identity(given=None),
        )
        if options.console_address
        else None
    )
    health = HealthServer(address=options.health_address, waiting_for=lambda: waiting_for(view)) if options.health_address else None
    try:
        if health is not None:
            await health.start()
        if console is not None:
            await console.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(view.run())
            await view.synced()
            synced.set()
            if console is not None:
                console.begin()
            for loop in (registry.run(), leader.run(), leader.while_leading(registry.lead, schemes.run, mirror.run)):
                group.create_task(loop)
            process.ready(seconds=time.monotonic() - options.started)
    finally:
        if leader.is_leader and await farewell.is_final(client, namespace=options.namespace):
            await schemes.let_go(client)
        await leader.release()
        if health is not None:
            await health.stop()
        if console is not None:
            await console.stop()
        await client.close()


def waiting_for(view: ClusterView) -> list[str]:
    """Only its own cluster counts: a registered cluster that is lost must not make the federation of the others unready."""
    return [f"{plural} from the management cluster" for plural in view.unsynced()]
