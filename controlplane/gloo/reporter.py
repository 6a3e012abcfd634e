"""Writes the status of the objects that `gloo` translates: on change only, the newest only, retried until it is written."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from controlplane.gloo import status
from controlplane.gloo.kinds import GATEWAY, UPSTREAM, VIRTUAL_SERVICE
from controlplane.kube.client import Writer
from controlplane.kube.errors import Conflict, NotFound
from controlplane.kube.objects import uid_of
from controlplane.kube.view import ClusterView
from controlplane.kube.workqueue import WorkQueue
from controlplane.translation.types import ObjectRef, Report
from gloo_api.status import EdgeState

log = logging.getLogger(__name__)

_KINDS = {kind.kind: kind for kind in (UPSTREAM, GATEWAY, VIRTUAL_SERVICE)}


class Reporter:
    """`namespace` is that of the control plane: the key under which its report stands in `status.statuses`."""

    def __init__(self, *, view: ClusterView, writer: Writer, namespace: str) -> None:
        self._view = view
        self._writer = writer
        self._namespace = namespace
        self._queue: WorkQueue[ObjectRef] = WorkQueue(self._handle)
        self._reports: Mapping[ObjectRef, Report] = {}
        self._written: dict[ObjectRef, tuple[str, dict[str, Any]]] = {}
        """What was written last, by uid: the watch shows it a little later than it happens."""

    def report(self, reports: Mapping[ObjectRef, Report]) -> None:
        """From now on the objects' status should say this."""
        before, self._reports = self._reports, reports
        for ref, report in reports.items():
            if before.get(ref) != report or not self._is_written(ref):
                self._queue.add(ref)
        self._written = {ref: written for ref, written in self._written.items() if ref in reports}

    def _is_written(self, ref: ObjectRef) -> bool:
        obj = self._view.get(_KINDS[ref.kind], (ref.namespace, ref.name))
        if obj is None:
            return True
        desired = status.status_of(self._reports[ref], namespace=self._namespace)
        return self._written.get(ref) == (uid_of(obj), desired) or status.is_written(obj, desired, namespace=self._namespace)

    async def run(self) -> None:
        await self._queue.run()

    async def _handle(self, ref: ObjectRef) -> None:
        kind, key = _KINDS[ref.kind], (ref.namespace, ref.name)
        report, obj = self._reports.get(ref), self._view.get(kind, key)
        if report is None or obj is None or self._is_written(ref):
            return
        desired = status.status_of(report, namespace=self._namespace)
        uid = uid_of(obj)
        body = {"metadata": {"namespace": ref.namespace, "name": ref.name, "uid": uid}, "status": desired}
        try:
            await self._writer.apply(kind, body, manager=status.REPORTER, force=True, subresource="status")
        except (NotFound, Conflict):
            return  # Gone, or another object by that name: the next translation reports on what is there.
        self._written[ref] = (uid, desired)
        level = logging.INFO if report.state is EdgeState.ACCEPTED else logging.WARNING
        log.log(level, "status", extra={"object": f"{ref.kind} {ref.namespace}/{ref.name}", "state": report.state.value, "reason": report.reason})
