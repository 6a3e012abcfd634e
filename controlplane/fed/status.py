"""Statuses as `gloo-fed` writes them. The time in them says when something changed, so it does not count when two are compared."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.fed.kinds import MANAGER
from controlplane.kube.objects import Object
from gloo_api.status import FedState


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


def is_written(obj: Object, desired: Mapping[str, Any]) -> bool:
    """True when the object's status says the same, whenever that was written."""
    return _timeless(obj.get("status") or {}) == _timeless(desired)


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _timeless(inner) for name, inner in value.items() if name != "processingTime"}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value
