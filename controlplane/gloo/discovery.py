"""Which Upstreams stand for the Services of a cluster, and what to do about each. Pure: stores in, one decision out.

Discovery owns `spec.kube` and one label, nothing else: health checks, failover and the rest belong to whoever sets them, before or after. It takes
away only an Upstream that it made, whose Service port is gone, and in which nobody else owns a field.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.kube.objects import Key, Object, key_of, managers, owns
from gloo_api import names

MANAGER = "gloo-discovery"
LABELS = {"discovered_by": "kubernetesplugin"}


@dataclass(frozen=True)
class Target:
    """A TCP port of a Service."""

    service: str
    namespace: str
    port: int

    @property
    def spec(self) -> dict[str, Any]:
        """The value of `spec.kube`."""
        return {"serviceName": self.service, "serviceNamespace": self.namespace, "servicePort": self.port}


class Action(enum.Enum):
    KEEP = "keep"
    APPLY = "apply"
    DELETE = "delete"


def targets(services: Iterable[Object], *, namespace: str) -> dict[Key, Target]:
    """The Upstreams (in `namespace`) that the Services ask for. Of two Services that yield one name, the first by namespace and name has it."""
    found: dict[Key, Target] = {}
    for service in sorted(services, key=key_of):
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            continue
        service_namespace, service_name = key_of(service)
        for port in spec.get("ports") or ():
            if port.get("protocol", "TCP") == "TCP":
                target = Target(service=service_name, namespace=service_namespace, port=port["port"])
                found.setdefault((namespace, names.discovered_upstream_name(service_namespace, service_name, target.port)), target)
    return found


def decide(target: Target | None, upstream: Object | None) -> Action:
    """What to do about one Upstream, given the port that it should stand for and the object as it is."""
    if target is not None:
        return Action.KEEP if upstream is not None and _is_applied(target, upstream) else Action.APPLY
    if upstream is None or not owns(upstream, MANAGER, "spec", "kube"):
        return Action.KEEP
    return Action.DELETE if managers(upstream) == {MANAGER} else Action.KEEP


def _is_applied(target: Target, upstream: Object) -> bool:
    kube = (upstream.get("spec") or {}).get("kube") or {}
    return _contains(kube, target.spec) and _contains(upstream["metadata"].get("labels") or {}, LABELS) and owns(upstream, MANAGER, "spec", "kube")


def _contains(whole: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return all(whole.get(name) == value for name, value in part.items())


def document(key: Key, target: Target) -> dict[str, Any]:
    """What is applied."""
    return {"metadata": {"namespace": key[0], "name": key[1], "labels": dict(LABELS)}, "spec": {"kube": target.spec}}
