"""Kinds, keys and the few facts about any Kubernetes object that informers and writers need. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
"""A Kubernetes object as JSON."""

Key = tuple[str, str]
"""(namespace, name); the namespace of a cluster-scoped object is empty."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of the Kubernetes API, enough to build its URLs."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of a collection, an object or a subresource; without a namespace the collection spans all of them."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)

    def __str__(self) -> str:
        return self.kind


SERVICE = Kind(group="", version="v1", kind="Service", plural="services")
SECRET = Kind(group="", version="v1", kind="Secret", plural="secrets")
NODE = Kind(group="", version="v1", kind="Node", plural="nodes", namespaced=False)
POD = Kind(group="", version="v1", kind="Pod", plural="pods")
EVENT = Kind(group="", version="v1", kind="Event", plural="events")
ENDPOINT_SLICE = Kind(group="discovery.k8s.io", version="v1", kind="EndpointSlice", plural="endpointslices")
DEPLOYMENT = Kind(group="apps", version="v1", kind="Deployment", plural="deployments")


def key_of(obj: Object) -> Key:
    meta = obj["metadata"]
    return (meta.get("namespace", ""), meta["name"])


def uid_of(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))


def resource_version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def generation(obj: Object) -> int:
    return int(obj["metadata"].get("generation", 0))


def deleting(obj: Object) -> bool:
    return obj["metadata"].get("deletionTimestamp") is not None


def managers(obj: Object, *, subresource: str = "") -> frozenset[str]:
    """Who owns fields of the object (server-side apply's managedFields), of the object itself or of one subresource."""
    entries = obj["metadata"].get("managedFields") or ()
    return frozenset(entry.get("manager", "") for entry in entries if (entry.get("subresource") or "") == subresource)


def owns(obj: Object, manager: str, *path: str) -> bool:
    """True when `manager` owns the field at `path` (or something below it)."""
    for entry in obj["metadata"].get("managedFields") or ():
        if entry.get("manager") != manager or entry.get("subresource"):
            continue
        fields: Any = entry.get("fieldsV1") or {}
        for step in path:
            fields = fields.get(f"f:{step}") if isinstance(fields, Mapping) else None
        if fields is not None:
            return True
    return False


def content(obj: Object, *, status: bool) -> dict[str, Any]:
    """What of an object matters to its readers: without what the API server writes about it, and with or without its status.

    Two objects of equal content are the same to every reader, so that a controller's own status write never wakes it.
    """
    ignored = {"resourceVersion", "managedFields", "generation"}
    meta = {name: value for name, value in obj["metadata"].items() if name not in ignored}
    rest = {name: value for name, value in obj.items() if name != "metadata" and (status or name != "status")}
    return {"metadata": meta, **rest}


def covers(observed: Any, desired: Any) -> bool:
    """True when `observed` says all that `desired` says; fields that only the API server knows (defaults, others' fields) do not count."""
    if isinstance(desired, Mapping):
        return isinstance(observed, Mapping) and all(name in observed and covers(observed[name], value) for name, value in desired.items())
    if isinstance(desired, list | tuple):
        return isinstance(observed, list | tuple) and len(observed) == len(desired) and all(map(covers, observed, desired))
    return bool(observed == desired)
