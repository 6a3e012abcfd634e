"""Who serves, as a duty of gloo's leader: the parts put together, the log of every switch, and the metrics."""

from __future__ import annotations

import asyncio
import datetime
import logging
from itertools import product
from typing import Any

from controlplane import metrics
from controlplane.gloo.kinds import UPSTREAM
from controlplane.gloo.serving.poller import Poller
from controlplane.gloo.serving.proxies import ProxyClient, Target, targets
from controlplane.gloo.serving.watched import Watched, watched
from controlplane.gloo.serving.writer import ServingWriter, written
from controlplane.kube.client import Writer
from controlplane.kube.informer import Source
from controlplane.kube.objects import ENDPOINT_SLICE, Key, Kind
from controlplane.kube.view import ClusterView
from controlplane.peer_tls import client_context
from controlplane.translation.types import Realise
from controlplane.xds.server import ServerTls
from gloo_api import names
from gloo_api.serving import FailoverStatus, Serving

log = logging.getLogger(__name__)

_OF_A_PRIORITY = (metrics.ENDPOINTS, metrics.ENDPOINTS_HEALTHY, metrics.REQUEST_SHARE, metrics.STANDBY_PROVEN)


class ServingService:
    """`view` holds the Upstreams; the proxies' addresses are watched here, in the control plane's `namespace`.

    `realise` and `named`: addresses as Kubernetes has them to those that a socket opens, and back.
    `tls`: as gloo serves xDS, which is also how the proxies know it when it asks them; None: plain text, for tests on loopback.
    """

    def __init__(
        self, *, source: Source, view: ClusterView, writer: Writer, namespace: str, tls: ServerTls | None, realise: Realise, named: Realise
    ) -> None:
        self._view = view
        self._tls = client_context(certificate=tls.certificate, key=tls.key, ca=tls.client_ca) if tls is not None else None
        self._server_name = min(tls.client_names, default="") if tls is not None else ""
        self._realise = realise
        self._named = named
        self._proxies = ClusterView(source, on_change=self._proxies_changed)
        self._proxies.watch(ENDPOINT_SLICE, namespaces=(namespace,))
        self._statuses = ServingWriter(view=view, writer=writer, kind=UPSTREAM)
        self._watched: dict[str, Watched] = {}
        self._targets: frozenset[Target] = frozenset()

    def changed(self, kind: Kind, key: Key) -> None:
        """An object of the view has changed."""
        if kind == UPSTREAM:
            self._heed(key)

    def _heed(self, key: Key) -> None:
        obj = self._view.get(UPSTREAM, key)
        self._statuses.seen(key, obj)
        found = watched(obj) if obj is not None else None
        cluster = names.cluster_name(key[1], key[0])
        before = self._watched.get(cluster)
        if found is not None and found != before:
            self._watched[cluster] = found
        elif found is None and (before is not None or written(obj) is not None):
            self._watched.pop(cluster, None)
            _forget(key)
            self._statuses.say(key, None)

    def _proxies_changed(self, kind: Kind, key: Key) -> None:
        self._targets = targets(self._proxies.objects(ENDPOINT_SLICE).values(), realise=self._realise)

    async def run(self) -> None:
        """A term: look at everything anew, then until cancelled."""
        self._statuses.forget()
        self._watched.clear()
        for key in list(self._view.keys(UPSTREAM)):
            self._heed(key)
        client = ProxyClient(tls=self._tls, server_name=self._server_name, named=self._named)
        poller = Poller(
            client=client,
            upstreams=lambda: self._watched,
            targets=lambda: self._targets,
            before=self._statuses.before,
            said=self._say,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._proxies.run())
                group.create_task(self._statuses.run())
                await self._proxies.synced()
                group.create_task(poller.run())
        finally:
            await client.close()
            for each in self._watched.values():
                _forget(each.key)

    def _say(self, key: Key, status: FailoverStatus) -> None:
        before = self._statuses.before(key)
        if status.serving is not None and (before is None or before.serving is None or before.serving.since != status.serving.since):
            _log_switch(key, before.serving if before else None, status.serving)
        _measure(key, status)
        if before is not None:
            _forget_priorities(key, {each.priority for each in before.priorities} - {each.priority for each in status.priorities})
        self._statuses.say(key, status)


def _log_switch(key: Key, before: Serving | None, now: Serving) -> None:
    namespace, name = key
    extra: dict[str, Any] = {
        "upstream": f"{namespace}/{name}",
        "from_priority": before.priority if before else None,
        "to_priority": now.priority,
        "since": now.since,
        "reason": now.reason.value,
        "why": now.message,
    }
    if before is None:
        log.info("serving", extra=extra)
    else:
        metrics.SWITCHES.labels(namespace, name, now.reason.value).inc()
        log.warning("another priority serves", extra=extra)


def _measure(key: Key, status: FailoverStatus) -> None:
    if status.serving is not None:
        metrics.SERVING_PRIORITY.labels(*key).set(-1 if status.serving.priority is None else status.serving.priority)
        if status.serving.since:
            metrics.SERVING_SINCE.labels(*key).set(datetime.datetime.fromisoformat(status.serving.since).timestamp())
    for each in status.priorities:
        labels = (*key, str(each.priority))
        metrics.ENDPOINTS.labels(*labels).set(each.total)
        metrics.ENDPOINTS_HEALTHY.labels(*labels).set(each.healthy)
        metrics.REQUEST_SHARE.labels(*labels).set(each.request_share if each.request_share is not None else float("nan"))
        if each.proven is not None:
            metrics.STANDBY_PROVEN.labels(*labels).set(each.proven)


def _forget(key: Key) -> None:
    for metric in (metrics.SERVING_PRIORITY, metrics.SERVING_SINCE, metrics.SWITCHES, *_OF_A_PRIORITY):
        metric.remove_by_labels({"namespace": key[0], "upstream": key[1]})


def _forget_priorities(key: Key, gone: set[int]) -> None:
    for metric, priority in product(_OF_A_PRIORITY, gone):
        metric.remove_by_labels({"namespace": key[0], "upstream": key[1], "priority": str(priority)})
