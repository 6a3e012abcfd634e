"""A registered cluster as `gloo-fed` holds it: a client, a view, and the tasks that keep the view true.

A member that loses its API server, its rights or its token keeps its view and tries again for ever; only its registration's end ends it.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import time
from collections.abc import Callable
from typing import Any

from controlplane.fed.access import Access, Right, examine
from controlplane.fed.instance import Found
from controlplane.fed.kinds import UPSTREAM
from controlplane.kube.client import KubeClient, Writer, config_from_text
from controlplane.kube.guard import GuardedWriter
from controlplane.kube.informer import Lost
from controlplane.kube.leadership import Leadership
from controlplane.kube.objects import DEPLOYMENT, NODE, POD, SERVICE, Key, Kind, Object
from controlplane.kube.view import ClusterView

OnMember = Callable[[str, Kind | None], None]

EXAMINE_SECONDS = 5.0
"""Between two looks at what is allowed; every second while something is missing."""


class Member:
    """`on_change(cluster name, kind)` is called for every change in the cluster, with None when it was synced, lost or found.

    `on_status(cluster name, key)` is called when only the status of an Upstream has changed.
    """

    def __init__(
        self, *, name: str, kubeconfig: str, gloo_namespace: str, leader: Leadership, on_change: OnMember, on_status: Callable[[str, Key], None]
    ) -> None:
        self.name = name
        self.fingerprint = fingerprint(kubeconfig)
        self.client = KubeClient(lambda: config_from_text(kubeconfig))
        self.writer: Writer = GuardedWriter(self.client, leader)
        self.access = Access()
        self._view = ClusterView(self.client, on_change=lambda kind, _: on_change(name, kind), on_lost=lambda: on_change(name, None))
        self._rights = {Right.to("patch", UPSTREAM, namespace=gloo_namespace)}
        self._watch(UPSTREAM, None, status=False, keep_managers=True, on_status=lambda _, key: on_status(name, key))
        for kind in (DEPLOYMENT, SERVICE, POD):
            self._watch(kind, gloo_namespace)
        self._watch(NODE, None)
        self._on_change = on_change
        self._since = 0.0
        self._task: asyncio.Task[None] | None = None

    def _watch(self, kind: Kind, namespace: str | None, **options: Any) -> None:
        self._view.watch(kind, namespaces=(namespace,), **options)
        self._rights |= {Right.to(verb, kind, namespace=namespace) for verb in ("list", "watch")}

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._view.run())
            group.create_task(self._examine())
            await self._view.synced()
            self._on_change(self.name, None)

    async def _examine(self) -> None:
        while True:
            access = await examine(self.client, self._rights)
            if access is not None and access != self.access:
                self._since = self._since if self.access.text else time.time()
                self.access = access
                self._on_change(self.name, None)
            await asyncio.sleep(1.0 if self.access.text else EXAMINE_SECONDS)

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

    @property
    def trouble(self) -> str:
        """Why the cluster is not as it should be, since when, and what to do, for a status; empty when all is well."""
        if text := self.access.text:
            return f"since {_utc(self._since)} {text}"
        if self.lost is not None:
            return f"its API server does not answer since {_utc(self.lost.since)}, the last known state is kept: {self.lost.reason}"
        return ""

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


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
