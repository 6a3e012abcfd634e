"""Keeps each FailoverScheme's status saying who serves, as the gloo of its primary's cluster says it.

Apart from `schemes`, which decides what a scheme does: a share of requests that moves must not have every scheme planned again. Its fields have a
field manager of their own, so neither side touches the other's.
"""

from __future__ import annotations

import logging
from typing import Any

from pydantic import ValidationError

from controlplane import metrics
from controlplane.fed.kinds import FAILOVER_SCHEME, UPSTREAM
from controlplane.fed.primaries import Primary, primary_of
from controlplane.fed.registry import Registry
from controlplane.fed.serving import scheme_serving
from controlplane.kube.client import Writer
from controlplane.kube.errors import Conflict, NotFound
from controlplane.kube.objects import Key, Kind, Object, deleting, uid_of
from controlplane.kube.view import ClusterView
from controlplane.kube.workqueue import WorkQueue
from gloo_api.failover_scheme import FailoverScheme
from gloo_api.meta import InvalidResource
from gloo_api.serving import FailoverStatus
from gloo_api.status import FedState

log = logging.getLogger(__name__)

MANAGER = "gloo-fed-serving"
_FIELDS = ("serving", "standbyProven", "tiers")
_METRICS = (metrics.SCHEME_SERVING_PRIORITY, metrics.SCHEME_STANDBY_PROVEN, metrics.SCHEME_STALE)


class Mirror:
    """`view` and `writer` are those of the management cluster."""

    def __init__(self, *, view: ClusterView, writer: Writer, registry: Registry) -> None:
        self._view = view
        self._writer = writer
        self._registry = registry
        self._queue: WorkQueue[Key] = WorkQueue(self._handle)
        self._primaries: dict[Key, Primary] = {}
        self._schemes: dict[Primary, set[Key]] = {}
        self._written: dict[Key, tuple[str, dict[str, Any]]] = {}
        """What was written last, with the uid: the watch shows it a little later than it happens."""

    def changed(self, kind: Kind, key: Key) -> None:
        """An object of the management cluster, or its status, has changed."""
        if kind == FAILOVER_SCHEME:
            self._index(key)
            self._queue.add(key)

    def member_changed(self, cluster: str, kind: Kind | None) -> None:
        """Something in a registered cluster has changed; with None, the cluster itself."""
        if kind in (None, UPSTREAM):
            for key, primary in self._primaries.items():
                if primary.cluster == cluster:
                    self._queue.add(key)

    def status_changed(self, cluster: str, key: Key) -> None:
        """The status of an Upstream in a registered cluster has changed."""
        for scheme in self._schemes.get(Primary(cluster, key), ()):
            self._queue.add(scheme)

    async def run(self) -> None:
        """One term of writing. Needs a synced view."""
        self._written.clear()
        for key in list(self._view.keys(FAILOVER_SCHEME)):
            self.changed(FAILOVER_SCHEME, key)
        try:
            await self._queue.run()
        finally:
            # Another replica says it from now on.
            for metric in _METRICS:
                metric.clear()

    def _index(self, key: Key) -> None:
        obj = self._view.get(FAILOVER_SCHEME, key)
        primary = primary_of(obj) if obj is not None else None
        before = self._primaries.pop(key, None)
        if before is not None:
            self._schemes[before].discard(key)
        if primary is not None:
            self._primaries[key] = primary
            self._schemes.setdefault(primary, set()).add(key)

    async def _handle(self, key: Key) -> None:
        obj = self._view.get(FAILOVER_SCHEME, key)
        if obj is None or deleting(obj):
            self._written.pop(key, None)
            _forget(key)
            return
        body = self._desired(obj, self._primaries.get(key))
        if body is None:
            return
        _measure(key, body)
        uid, status = uid_of(obj), obj.get("status") or {}
        known, written = self._written.get(key, ("", {}))
        if (written if known == uid else {name: status[name] for name in _FIELDS if name in status}) == body:
            return
        document = {"metadata": {"namespace": key[0], "name": key[1], "uid": uid}, "status": body}
        try:
            await self._writer.apply(FAILOVER_SCHEME, document, manager=MANAGER, force=True, subresource="status")
        except (NotFound, Conflict):
            return  # Gone, or another object by that name.
        self._written[key] = (uid, body)
        _log_switch(key, written.get("serving") or {}, body.get("serving") or {})

    def _desired(self, obj: Object, primary: Primary | None) -> dict[str, Any] | None:
        """What the scheme should say; None when what it says is to stay, because nothing is known that would make it wrong."""
        member = self._registry.members.get(primary.cluster) if primary is not None else None
        if (obj.get("status") or {}).get("state") == FedState.INVALID or primary is None:
            return {}
        upstream = member.upstream(primary.key) if member is not None else None
        if upstream is None:
            return None if member is None or not member.synced else {}
        try:
            scheme = FailoverScheme.parse(dict(obj))
            failover = (upstream.get("status") or {}).get("failover")
            observed = FailoverStatus.model_validate(failover) if failover else None
        except (InvalidResource, ValidationError):
            return {}  # `state` says so of the scheme; a status that cannot be read is from another version.
        return scheme_serving(scheme, observed, trouble=member.trouble if member is not None else "")


def _measure(key: Key, body: dict[str, Any]) -> None:
    serving = body.get("serving")
    if serving is None:
        _forget(key)
        return
    priority = serving.get("priority")
    metrics.SCHEME_SERVING_PRIORITY.labels(*key).set(-1 if priority is None else priority)
    metrics.SCHEME_STANDBY_PROVEN.labels(*key).set(bool(body.get("standbyProven")))
    metrics.SCHEME_STALE.labels(*key).set(bool(serving.get("stale")))


def _log_switch(key: Key, before: dict[str, Any], serving: dict[str, Any]) -> None:
    if serving and before.get("since") != serving.get("since"):
        extra = {name: serving.get(name) for name in ("name", "since", "reason")}
        log.info("scheme", extra={"scheme": f"{key[0]}/{key[1]}", "serving": extra.pop("name"), **extra, "why": serving.get("message")})


def _forget(key: Key) -> None:
    labels = {"namespace": key[0], "scheme": key[1]}
    for metric in _METRICS:
        metric.remove_by_labels(labels)
