"""Writes `status.failover` of Upstreams, as a field manager of its own: on change only, at once what matters, once a second what only counts.

The rest of the status is the reporter's (`status.statuses`). Neither touches the other's fields.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from controlplane.kube.client import Writer
from controlplane.kube.errors import Conflict, NotFound
from controlplane.kube.objects import Key, Kind, Object, uid_of
from controlplane.kube.view import ClusterView
from controlplane.kube.workqueue import WorkQueue
from gloo_api.serving import FailoverStatus

MANAGER = "gloo-serving"
COUNTS_SECONDS = 1.0
"""Shares of requests are written no oftener than this."""
SHARE_STEP = 3
"""A share counts as changed when it has moved by so many points, or has come to, or from, nothing or everything: noise is not news."""

Body = dict[str, Any]


@dataclass(frozen=True)
class _Written:
    """What an object says, and when this process wrote it."""

    uid: str
    body: Body | None
    at: float


class ServingWriter:
    """`say` what holds from now on, or None when an Upstream has no failover any more."""

    def __init__(self, *, view: ClusterView, writer: Writer, kind: Kind) -> None:
        self._view = view
        self._writer = writer
        self._kind = kind
        self._queue: WorkQueue[Key] = WorkQueue(self._handle)
        self._said: dict[Key, FailoverStatus | None] = {}
        self._written: dict[Key, _Written] = {}

    def forget(self) -> None:
        """Another replica may have written since: what the objects say counts."""
        self._said.clear()
        self._written.clear()

    def before(self, key: Key) -> FailoverStatus | None:
        """What was said last of an Upstream, by this process or as the object has it."""
        if (said := self._said.get(key)) is not None:
            return said
        body = written(self._view.get(self._kind, key))
        try:
            return FailoverStatus.model_validate(body) if body else None
        except ValidationError:
            return None  # From another version: it is replaced.

    def seen(self, key: Key, obj: Object | None) -> None:
        """The object has changed: what was written to another one by that name, or to one that is gone, does not count."""
        if key in self._written and (obj is None or self._written[key].uid != uid_of(obj)):
            del self._written[key]
        if obj is None:
            self._said.pop(key, None)

    def say(self, key: Key, status: FailoverStatus | None) -> None:
        self._said[key] = status
        body = _body(status)
        last = self._written.get(key)
        if last is None:
            obj = self._view.get(self._kind, key)
            if obj is None:
                return
            last = self._written[key] = _Written(uid=uid_of(obj), body=written(obj), at=0.0)
        if body == last.body:
            return
        if body is None or last.body is None or without_counts(body) != without_counts(last.body):
            self._queue.add(key)
        elif counts_differ(last.body, body):
            self._queue.add_later(key, seconds=max(0.0, last.at + COUNTS_SECONDS - time.monotonic()))

    async def run(self) -> None:
        await self._queue.run()

    async def _handle(self, key: Key) -> None:
        obj = self._view.get(self._kind, key)
        if obj is None or key not in self._said:
            self._written.pop(key, None)
            return
        uid, body = uid_of(obj), _body(self._said[key])
        document: Body = {"metadata": {"namespace": key[0], "name": key[1], "uid": uid}, "status": {"failover": body} if body else {}}
        try:
            await self._writer.apply(self._kind, document, manager=MANAGER, force=True, subresource="status")
        except (NotFound, Conflict):
            return  # Gone, or another object by that name: it is judged anew.
        self._written[key] = _Written(uid=uid, body=body, at=time.monotonic())


def _body(status: FailoverStatus | None) -> Body | None:
    return None if status is None else status.to_object()


def written(obj: Object | None) -> Body | None:
    """`status.failover` of an object."""
    status = (obj or {}).get("status") or {}
    found = status.get("failover") if isinstance(status, dict) else None
    return found if isinstance(found, dict) else None


def without_counts(body: Body) -> Body:
    """What is written at once when it changes: all but what follows from counted requests."""
    priorities = [{name: value for name, value in each.items() if name != "requestShare"} for each in body.get("priorities") or ()]
    serving = {name: value for name, value in (body.get("serving") or {}).items() if name != "confirmed"}
    return {**body, "priorities": priorities, "serving": serving}


def counts_differ(before: Body, after: Body) -> bool:
    """Whether what was counted differs by more than noise. Both have the same priorities."""
    confirmed = [(each.get("serving") or {}).get("confirmed") for each in (before, after)]
    pairs = zip(before.get("priorities") or (), after.get("priorities") or (), strict=True)
    return confirmed[0] != confirmed[1] or any(_differ(one.get("requestShare"), other.get("requestShare")) for one, other in pairs)


def _differ(one: int | None, other: int | None) -> bool:
    if one == other:
        return False
    return one is None or other is None or bool({one, other} & {0, 100}) or abs(one - other) >= SHARE_STEP
