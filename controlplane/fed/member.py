"""A registered cluster as `gloo-fed` holds it: a client, a view, and the task that keeps the view true.

A member that loses its API server keeps its view and tries again for ever; only its registration's end ends it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from controlplane.fed.instance import Found
from controlplane.fed.kinds import UPSTREAM
from controlplane.kube.client import KubeClient, config_from_text
from controlplane.kube.informer import Lost
from controlplane.kube.objects import DEPLOYMENT, NODE, POD, SERVICE, Key, Kind, Object
from controlplane.kube.view import ClusterView

OnMember = Callable[[str, Kind | None], None]


class Member:
    """`on_change(cluster name, kind)` is called for every change in the cluster, with None when it was synced, lost or found."""

    def __init__(self, *, name: str, kubeconfig: str, gloo_namespace: str, on_change: OnMember) -> None:
        self.name = name
        self.fingerprint = fingerprint(kubeconfig)
        self.client = KubeClient(lambda: config_from_text(kubeconfig))
        self._view = ClusterView(self.client, on_change=lambda kind, _: on_change(name, kind), on_lost=lambda: on_change(name, None))
        self._view.watch(UPSTREAM, status=False, keep_managers=True)
        for kind in (DEPLOYMENT, SERVICE, POD):
            self._view.watch(kind, namespaces=(gloo_namespace,))
        self._view.watch(NODE)
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._view.run())
            await self._view.synced()
            self._on_change(self.name, None)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self.client.close()

    @property
    def synced(self) -> bool:
        """Everything has been read once, so absence means absence."""
        return not self._view.unsynced()

    @property
    def lost(self) -> Lost | None:
        return self._view.lost

    def upstream(self, key: Key) -> Object | None:
        return self._view.get(UPSTREAM, key)

    def upstreams(self) -> dict[Key, Object]:
        return self._view.objects(UPSTREAM)

    def found(self) -> Found:
        """What its GlooInstance is made from."""
        deployments, services, pods, nodes = (self._view.objects(kind).values() for kind in (DEPLOYMENT, SERVICE, POD, NODE))
        return Found(deployments=deployments, services=services, pods=pods, nodes=nodes)


def fingerprint(kubeconfig: str) -> str:
    """Tells whether a kubeconfig has changed, without keeping it."""
    return hashlib.sha256(kubeconfig.encode()).hexdigest()
