"""Writes the status of the objects that `gloo` translates: on change only, the newest only, retried until it is written."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from controlplane import metrics
from controlplane.gloo import status
from controlplane.gloo.kinds import REPORTED
from controlplane.kube.client import Writer
from controlplane.kube.errors import Conflict, NotFound
from controlplane.kube.objects import uid_of
from controlplane.kube.view import ClusterView
from controlplane.kube.workqueue import WorkQueue
from controlplane.translation.types import ObjectRef, Report
from gloo_api.status import EdgeState

log = logging.getLogger(__name__)


class Reporter:
    """`namespace` is that of the control plane: the key under which its report stands in `status.statuses`."""

    def __init__(self, *, view: ClusterView, writer: Writer, namespace: str) -> None:
        self._view = view
        self._writer = writer
        self._namespace = namespace
        self._queue: WorkQueue[ObjectRef] = WorkQueue(self._handle)
        self._reports: dict[ObjectRef, Report] = {}
        self._written: dict[ObjectRef, tuple[str, Report]] = {}
        """What was written last, by uid: the watch shows it a little later than it happens."""

    def report(self, reports: Mapping[ObjectRef, Report | None]) -> None:
        """From now on the status of these objects should say this; None: the object is gone."""
        for ref, report in reports.items():
            before = self._reports.pop(ref, None)
            if before is not None:
                metrics.OBJECTS.labels(kind=ref.kind, state=before.state.value).dec()
            if report is None:
                self._written.pop(ref, None)
                continue
            self._reports[ref] = report
            metrics.OBJECTS.labels(kind=ref.kind, state=report.state.value).inc()
            if before != report or not self._is_written(ref):
                self._queue.add(ref)

    def _is_written(self, ref: ObjectRef) -> bool:
        obj = self._view.get(REPORTED[ref.kind], (ref.namespace, ref.name))
        if obj is None:
            return True
        report = self._reports[ref]
        desired = status.status_of(report, namespace=self._namespace)
        return self._written.get(ref) == (uid_of(obj), report) or status.is_written(obj, desired, namespace=self._namespace)

    async def run(self) -> None:
        """One term of writing: another replica may have written since this one did, so nothing is taken for written."""
        self._written.clear()
        for ref in self._reports:
            self._queue.add(ref)
        await self._queue.run()

    async def _handle(self, ref: ObjectRef) -> None:
        kind, key = REPORTED[ref.kind], (ref.namespace, ref.name)
        report, obj = self._reports.get(ref), self._view.get(kind, key)
        if report is None or obj is None or self._is_written(ref):
            return
        uid = uid_of(obj)
        body = {
            "metadata": {"namespace": ref.namespace, "name": ref.name, "uid": uid},
            "status": status.status_of(report, namespace=self._namespace),
        }
        try:
            await self._writer.apply(kind, body, manager=status.REPORTER, force=True, subresource="status")
        except (NotFound, Conflict):
            return  # Gone, or another object by that name: the next translation reports on what is there.
        self._written[ref] = (uid, report)
        level = logging.INFO if report.state is EdgeState.ACCEPTED else logging.WARNING
        log.log(level, "status", extra={"object": f"{ref.kind} {ref.namespace}/{ref.name}", "state": report.state.value, "reason": report.reason})
