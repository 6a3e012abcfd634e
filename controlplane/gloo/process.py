"""`gloo` as a process: one API server, one xDS server, one health endpoint, and the loops between them.

Every replica reads, translates and serves; those that write (Upstreams, statuses) do so while they lead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from controlplane import process
from controlplane.gloo.certificates import CertificateExpiry
from controlplane.gloo.discoverer import Discoverer
from controlplane.gloo.kinds import GATEWAY, ROUTE_TABLE, UPSTREAM, VIRTUAL_SERVICE
from controlplane.gloo.publisher import Publisher
from controlplane.gloo.reporter import Reporter
from controlplane.gloo.serving.service import ServingService
from controlplane.health import HealthServer
from controlplane.kube.client import KubeClient, config_from_environment
from controlplane.kube.guard import GuardedWriter
from controlplane.kube.objects import ENDPOINT_SLICE, SECRET, SERVICE, Key, Kind
from controlplane.kube.view import ClusterView
from controlplane.translation.types import Realise
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.server import AdsServer, ServerTls

LEASE_NAME = "gloo"
"""In gloo's own namespace."""


@dataclass(frozen=True)
class Options:
    """`watch_namespaces`: where Services and Gloo's objects are read; empty: in all namespaces. `tls` None: no TLS (tests).

    `named` is the inverse of `realise`. `identity`: by which this replica contends for writing; None: it is the only one.
    """

    namespace: str
    xds_address: str
    tls: ServerTls | None
    watch_namespaces: tuple[str, ...]
    realise: Realise
    health_address: str | None
    started: float
    identity: str | None = None
    named: Realise = str


async def main(options: Options) -> None:
    """Run until cancelled."""
    client = KubeClient(config_from_environment)
    view = watch(client, options, on_change=lambda kind, key: changed(kind, key))
    cache = SnapshotCache()
    leader = process.election(client, namespace=options.namespace, name=LEASE_NAME, identity=options.identity)
    writer = GuardedWriter(client, leader)
    reporter = Reporter(view=view, writer=writer, namespace=options.namespace)
    discoverer = Discoverer(view=view, writer=writer, namespace=options.namespace)
    publisher = Publisher(cache=cache, namespace=options.namespace, get=view.get, report=reporter.report, realise=options.realise)
    serving = ServingService(
        source=client, view=view, writer=writer, namespace=options.namespace, tls=options.tls, realise=options.realise, named=options.named
    )
    server = AdsServer(cache=cache, address=options.xds_address, tls=options.tls)

    def changed(kind: Kind, key: Key) -> None:
        publisher.changed(kind, key)
        discoverer.changed(kind, key)
        if synced.is_set():
            serving.changed(kind, key)

    synced = asyncio.Event()
    CertificateExpiry(lambda: view.objects(SECRET))
    health = HealthServer(address=options.health_address, waiting_for=lambda: waiting_for(view, publisher)) if options.health_address else None
    try:
        await server.start()
        if health is not None:
            await health.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(view.run())
            await view.synced()
            synced.set()
            for loop in (publisher.run(), leader.run(), leader.while_leading(discoverer.run, reporter.run, serving.run)):
                group.create_task(loop)
            await publisher.published.wait()
            process.ready(seconds=time.monotonic() - options.started)
    finally:
        await leader.release()
        await server.stop()
        if health is not None:
            await health.stop()
        await client.close()


def watch(client: KubeClient, options: Options, *, on_change: Callable[[Kind, Key], None]) -> ClusterView:
    """Watch what is needed and no more: each namespace by itself when namespaces are given; of the Secrets only TLS ones in our own namespace."""
    view = ClusterView(client, on_change=on_change)
    everywhere: tuple[str | None, ...] = options.watch_namespaces or (None,)
    ours = (*options.watch_namespaces, options.namespace) if options.watch_namespaces else everywhere
    view.watch(UPSTREAM, namespaces=ours, status=False, keep_managers=True, packed=True)
    view.watch(GATEWAY, namespaces=ours, status=False)
    view.watch(VIRTUAL_SERVICE, namespaces=ours, status=False, packed=True)
    view.watch(ROUTE_TABLE, namespaces=ours, status=False, packed=True)
    view.watch(SERVICE, namespaces=everywhere, status=False, packed=True)
    view.watch(ENDPOINT_SLICE, namespaces=everywhere, packed=True)
    view.watch(SECRET, namespaces=(options.namespace,), field_selector="type=kubernetes.io/tls")
    return view


def waiting_for(view: ClusterView, publisher: Publisher) -> list[str]:
    """What is missing until proxies can be served. A lost API server is not: what is known is served on."""
    missing = [f"{plural} from the API server" for plural in view.unsynced()]
    return missing or ([] if publisher.published.is_set() else ["the first translation"])
