"""`gloo` as a process: one API server, one xDS server, one health endpoint, and the loops between them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from controlplane import process
from controlplane.gloo.discoverer import Discoverer
from controlplane.gloo.inputs import Stores
from controlplane.gloo.kinds import GATEWAY, UPSTREAM, VIRTUAL_SERVICE
from controlplane.gloo.publisher import Publisher
from controlplane.gloo.reporter import Reporter
from controlplane.health import HealthServer
from controlplane.kube.client import KubeClient, config_from_environment
from controlplane.kube.objects import ENDPOINT_SLICE, SECRET, SERVICE, Key, Kind
from controlplane.kube.view import ClusterView
from controlplane.translation.types import Realise
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.server import AdsServer, ServerTls

_SOURCES = (UPSTREAM, GATEWAY, VIRTUAL_SERVICE, SERVICE, ENDPOINT_SLICE, SECRET)


@dataclass(frozen=True)
class Options:
    """`watch_namespaces`: where Services and Gloo's objects are read; empty: in all namespaces. `tls` None: no TLS (tests)."""

    namespace: str
    xds_address: str
    tls: ServerTls | None
    watch_namespaces: tuple[str, ...]
    realise: Realise
    health_address: str | None
    started: float


async def main(options: Options) -> None:
    """Run until cancelled."""
    client = KubeClient(config_from_environment)
    view = watch(client, options, on_change=lambda kind, key: changed(kind, key))
    cache = SnapshotCache()
    reporter = Reporter(view=view, writer=client, namespace=options.namespace)
    discoverer = Discoverer(view=view, writer=client, namespace=options.namespace)
    publisher = Publisher(cache=cache, namespace=options.namespace, stores=lambda: stores(view), report=reporter.report, realise=options.realise)
    server = AdsServer(cache=cache, address=options.xds_address, tls=options.tls)

    def changed(kind: Kind, key: Key) -> None:
        if synced.is_set():
            publisher.changed()
            discoverer.changed(kind, key)

    synced = asyncio.Event()
    health = HealthServer(address=options.health_address, waiting_for=lambda: waiting_for(view, publisher)) if options.health_address else None
    try:
        await server.start()
        if health is not None:
            await health.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(view.run())
            await view.synced()
            synced.set()
            for loop in (publisher, discoverer, reporter):
                group.create_task(loop.run())
            await publisher.published.wait()
            process.ready(seconds=time.monotonic() - options.started)
    finally:
        await server.stop()
        if health is not None:
            await health.stop()
        await client.close()


def watch(client: KubeClient, options: Options, *, on_change: Callable[[Kind, Key], None]) -> ClusterView:
    """Watch what is needed and no more: each namespace by itself when namespaces are given; of the Secrets only TLS ones in our own namespace."""
    view = ClusterView(client, on_change=on_change)
    everywhere: tuple[str | None, ...] = options.watch_namespaces or (None,)
    ours = (*options.watch_namespaces, options.namespace) if options.watch_namespaces else everywhere
    view.watch(UPSTREAM, namespaces=ours, status=False, keep_managers=True)
    view.watch(GATEWAY, namespaces=ours, status=False)
    view.watch(VIRTUAL_SERVICE, namespaces=ours, status=False)
    view.watch(SERVICE, namespaces=everywhere, status=False)
    view.watch(ENDPOINT_SLICE, namespaces=everywhere)
    view.watch(SECRET, namespaces=(options.namespace,), field_selector="type=kubernetes.io/tls")
    return view


def stores(view: ClusterView) -> Stores:
    upstreams, gateways, virtual_services, services, endpoint_slices, secrets = (view.objects(kind) for kind in _SOURCES)
    return Stores(
        upstreams=upstreams, gateways=gateways, virtual_services=virtual_services, services=services, endpoint_slices=endpoint_slices, secrets=secrets
    )


def waiting_for(view: ClusterView, publisher: Publisher) -> list[str]:
    """What is missing until proxies can be served. A lost API server is not: what is known is served on."""
    missing = [f"{plural} from the API server" for plural in view.unsynced()]
    return missing or ([] if publisher.published.is_set() else ["the first translation"])
