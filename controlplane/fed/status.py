"""Statuses as `gloo-fed` writes them. The time in them says when something changed, so it does not count when two are compared."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.fed.kinds import MANAGER
from controlplane.kube.client import Writer
from controlplane.kube.errors import Conflict, NotFound
from controlplane.kube.objects import Kind, Object, key_of, uid_of
from gloo_api.status import FedState

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What is to be said about an object."""

    state: FedState
    message: str = ""


def now() -> str:
    """RFC 3339, UTC, seconds."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def scheme_status(outcome: Outcome, *, generation: int, namespace: str, time: str) -> dict[str, Any]:
    """Status of a FailoverScheme: flat, and the same under the namespace of the writer."""
    flat = {"state": outcome.state.value, "message": outcome.message, "observedGeneration": generation, "processingTime": time}
    return {**flat, "namespacedStatuses": {namespace: dict(flat)}}


def cluster_status(outcome: Outcome, *, generation: int, namespace: str, time: str) -> dict[str, Any]:
    """Status of a KubernetesCluster."""
    entry = {"state": outcome.state.value, "message": outcome.message, "observedGeneration": generation, "processingTime": time, "owner": MANAGER}
    return {"status": [entry], "namespace": namespace}


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """True when two statuses say the same, whenever that was written."""
    return bool(_timeless(one) == _timeless(other))


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _timeless(inner) for name, inner in value.items() if name != "processingTime"}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


class StatusWriter:
    """Writes a status when it says something new."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._written: dict[str, Mapping[str, Any]] = {}
        """What was written last, by uid: the watch shows it a little later than it happens."""

    def forget(self) -> None:
        """Take nothing for written: another replica may have written since."""
        self._written.clear()

    async def write(self, kind: Kind, obj: Object, desired: Mapping[str, Any], outcome: Outcome) -> None:
        namespace, name = key_of(obj)
        uid = uid_of(obj)
        if is_same(self._written.get(uid, obj.get("status") or {}), desired):
            return
        body = {"metadata": {"namespace": namespace, "name": name, "uid": uid}, "status": desired}
        try:
            await self._writer.apply(kind, body, manager=MANAGER, force=True, subresource="status")
        except (NotFound, Conflict):
            self._written.pop(uid, None)
            return  # Gone, or another object by that name.
        self._written[uid] = desired
        level = logging.WARNING if outcome.state in (FedState.INVALID, FedState.FAILED) else logging.INFO
        log.log(level, "status", extra={"object": f"{kind} {namespace}/{name}", "state": outcome.state.value, "reason": outcome.message})
