"""Keeps the discovered Upstreams as `discovery` says. Reads a view, writes by server-side apply, works whoever creates an Upstream first."""

from __future__ import annotations

import logging

from controlplane.gloo import discovery
from controlplane.gloo.kinds import UPSTREAM
from controlplane.kube.client import Writer
from controlplane.kube.errors import Conflict, NotFound
from controlplane.kube.objects import SERVICE, Key, Kind, resource_version, uid_of
from controlplane.kube.view import ClusterView
from controlplane.kube.workqueue import WorkQueue

log = logging.getLogger(__name__)

RETURN_SECONDS = 3.0
"""An Upstream that somebody deletes while its Service stays comes back after this time: who deletes it may be waiting to see it gone."""


class Discoverer:
    """`namespace` is where discovered Upstreams are written. Feed it changes; run it once the view is synced."""

    def __init__(self, *, view: ClusterView, writer: Writer, namespace: str) -> None:
        self._view = view
        self._writer = writer
        self._namespace = namespace
        self._queue: WorkQueue[Key] = WorkQueue(self._handle)
        self._targets = discovery.Targets(namespace=namespace)

    @property
    def idle(self) -> bool:
        return self._queue.idle

    def changed(self, kind: Kind, key: Key) -> None:
        """A Service or an Upstream has changed. To be told of every one from the first on, also while another replica writes."""
        if kind == SERVICE:
            for upstream in self._targets.put(key, self._view.get(SERVICE, key)):
                self._queue.add(upstream)
        elif kind == UPSTREAM and key[0] == self._namespace:
            if self._view.get(UPSTREAM, key) is not None:
                self._queue.add(key)
            elif key in self._targets:
                self._queue.add_later(key, seconds=RETURN_SECONDS)

    async def run(self) -> None:
        """One term of writing."""
        for key in [*self._targets, *self._view.keys(UPSTREAM)]:
            if key[0] == self._namespace:
                self._queue.add(key)
        await self._queue.run()

    async def _handle(self, key: Key) -> None:
        target, upstream = self._targets.get(key), self._view.get(UPSTREAM, key)
        action = discovery.decide(target, upstream)
        namespace, name = key
        try:
            if action is discovery.Action.APPLY and target is not None:
                await self._writer.apply(UPSTREAM, discovery.document(key, target), manager=discovery.MANAGER)
                log.info("upstream discovered", extra={"upstream": name, "service": f"{target.namespace}/{target.service}", "port": target.port})
            elif action is discovery.Action.DELETE and upstream is not None:
                # With its version: if somebody has just come to own a field, the Upstream must stay.
                await self._writer.delete(UPSTREAM, namespace=namespace, name=name, uid=uid_of(upstream), version=resource_version(upstream))
                log.info("upstream removed, its service port is gone", extra={"upstream": name})
        except NotFound:
            return
        except Conflict as error:
            # Its owner wants other values than the Service has (or it changed meanwhile, which comes back as a change): theirs win.
            log.warning("upstream left as its owner wants it", extra={"upstream": name, "error": str(error)})
