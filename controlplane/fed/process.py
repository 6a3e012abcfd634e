"""`gloo-fed` as a process: the management cluster's API server, those of the registered clusters, and a health endpoint."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from controlplane import process
from controlplane.fed.kinds import FAILOVER_SCHEME, GLOO_INSTANCE, KUBERNETES_CLUSTER
from controlplane.fed.registry import Registry
from controlplane.fed.schemes import Schemes
from controlplane.health import HealthServer
from controlplane.kube.client import KubeClient, config_from_environment
from controlplane.kube.objects import SECRET, Key, Kind
from controlplane.kube.view import ClusterView
from gloo_api.kubernetes_cluster import KUBECONFIG_SECRET_TYPE


@dataclass(frozen=True)
class Options:
    """`namespace`: of the federation's objects, in the management cluster; `gloo_namespace`: of gloo, in every cluster."""

    namespace: str
    gloo_namespace: str
    health_address: str | None
    started: float


async def main(options: Options) -> None:
    """Run until cancelled."""
    client = KubeClient(config_from_environment)
    synced = asyncio.Event()

    def changed(kind: Kind, key: Key) -> None:
        if synced.is_set():
            registry.changed(kind, key)
            schemes.changed(kind, key)

    view = ClusterView(client, on_change=changed)
    for kind in (KUBERNETES_CLUSTER, FAILOVER_SCHEME, GLOO_INSTANCE):
        view.watch(kind, namespaces=(options.namespace,), status=False, keep_managers=kind == GLOO_INSTANCE)
    view.watch(SECRET, namespaces=(options.namespace,), field_selector=f"type={KUBECONFIG_SECRET_TYPE}")
    registry = Registry(
        view=view,
        writer=client,
        namespace=options.namespace,
        gloo_namespace=options.gloo_namespace,
        on_member=lambda cluster, kind: schemes.member_changed(cluster, kind),
    )
    schemes = Schemes(view=view, writer=client, namespace=options.namespace, registry=registry)
    health = HealthServer(address=options.health_address, waiting_for=lambda: waiting_for(view)) if options.health_address else None
    try:
        if health is not None:
            await health.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(view.run())
            await view.synced()
            synced.set()
            group.create_task(registry.run())
            group.create_task(schemes.run())
            process.ready(seconds=time.monotonic() - options.started)
    finally:
        if health is not None:
            await health.stop()
        await client.close()


def waiting_for(view: ClusterView) -> list[str]:
    """Only its own cluster counts: a registered cluster that is lost must not make the federation of the others unready."""
    return [f"{plural} from the management cluster" for plural in view.unsynced()]
