"""Which Upstreams stand for the Services of a cluster, and what to do about each. Pure: stores in, one decision out.

Discovery owns `spec.kube` and one label, nothing else: health checks, failover and the rest belong to whoever sets them, before or after. It takes
away only an Upstream that it made, whose Service port is gone, and in which nobody else owns a field.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.kube.objects import Key, Object, key_of, managers, owns
from gloo_api import names

MANAGER = "gloo-discovery"


@dataclass(frozen=True, slots=True)
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


class Targets(Mapping[Key, Target]):
    """The Upstreams (in `namespace`) that the Services ask for, kept up to date Service by Service.

    Of two Services that yield one name, the first by namespace and name has it.
    """

    def __init__(self, *, namespace: str) -> None:
        self._namespace = namespace
        self._wanted: dict[Key, tuple[Key, ...]] = {}
        """By Service: the Upstreams that it asks for."""
        self._claims: dict[Key, dict[Key, Target]] = {}
        """By Upstream and Service."""

    def __getitem__(self, key: Key) -> Target:
        claims = self._claims[key]
        return claims[min(claims)]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    def put(self, service: Key, obj: Object | None) -> set[Key]:
        """Take a Service, None when it is gone. Returns the Upstreams for which there is another target now, or none."""
        wanted = {} if obj is None else _targets(obj, namespace=self._namespace)
        touched = wanted.keys() | set(self._wanted.pop(service, ()))
        before = {key: self.get(key) for key in touched}
        for key in touched:
            claims = self._claims.setdefault(key, {})
            claims.pop(service, None)
            if key in wanted:
                claims[service] = wanted[key]
            if not claims:
                del self._claims[key]
        if wanted:
            self._wanted[service] = tuple(wanted)
        return {key for key in touched if self.get(key) != before[key]}


def _targets(service: Object, *, namespace: str) -> dict[Key, Target]:
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return {}
    service_namespace, service_name = key_of(service)
    ports = [port["port"] for port in spec.get("ports") or () if port.get("protocol", "TCP") == "TCP"]
    return {
        (namespace, names.discovered_upstream_name(service_namespace, service_name, port)): Target(
            service=service_name, namespace=service_namespace, port=port
        )
        for port in ports
    }


def decide(target: Target | None, upstream: Object | None) -> Action:
    """What to do about one Upstream, given the port that it should stand for and the object as it is."""
    if target is not None:
        return Action.KEEP if upstream is not None and _is_applied(target, upstream) else Action.APPLY
    if upstream is None or not owns(upstream, MANAGER, "spec", "kube"):
        return Action.KEEP
    return Action.DELETE if managers(upstream) == {MANAGER} else Action.KEEP


def _is_applied(target: Target, upstream: Object) -> bool:
    kube = (upstream.get("spec") or {}).get("kube") or {}
    return (
        _contains(kube, target.spec)
        and _contains(upstream["metadata"].get("labels") or {}, names.DISCOVERED_BY)
        and owns(upstream, MANAGER, "spec", "kube")
    )


def _contains(whole: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return all(whole.get(name) == value for name, value in part.items())


def document(key: Key, target: Target) -> dict[str, Any]:
    """What is applied."""
    return {"metadata": {"namespace": key[0], "name": key[1], "labels": dict(names.DISCOVERED_BY)}, "spec": {"kube": target.spec}}
