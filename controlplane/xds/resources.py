"""What xDS moves: typed, named, versioned bytes.

A version is a hash of the canonical bytes. So the same configuration has the same version before and after a restart, in every replica, and
"has it changed" never needs a counter or a clock.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


class Message(Protocol):
    """The one method of a protobuf message that is needed here."""

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...


class ResourceType(enum.Enum):
    """The resource types served, in the order in which they are published (make before break).

    Secrets go before listeners: an Envoy listener that waits for its secret does not open.
    """

    CLUSTER = "envoy.config.cluster.v3.Cluster"
    ENDPOINT = "envoy.config.endpoint.v3.ClusterLoadAssignment"
    SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - the name of a type
    LISTENER = "envoy.config.listener.v3.Listener"
    ROUTE = "envoy.config.route.v3.RouteConfiguration"

    @property
    def url(self) -> str:
        return f"type.googleapis.com/{self.value}"

    @property
    def full_state(self) -> bool:
        """True when a response is the whole state, so that absence deletes (CDS and LDS of the state-of-the-world protocol)."""
        return self in (ResourceType.CLUSTER, ResourceType.LISTENER)

    @classmethod
    def from_url(cls, url: str) -> ResourceType | None:
        return _BY_URL.get(url)


_BY_URL = {each.url: each for each in ResourceType}


def digest(*parts: bytes) -> str:
    """A short, stable hash of byte strings; boundaries between the parts count."""
    hasher = hashlib.blake2b(digest_size=12)
    for part in parts:
        hasher.update(len(part).to_bytes(8, "little"))
        hasher.update(part)
    return hasher.hexdigest()


@dataclass(frozen=True, slots=True)
class Resource:
    """One named resource as it goes on the wire."""

    name: str
    body: bytes
    version: str

    @classmethod
    def pack(cls, name: str, message: Message) -> Resource:
        body = message.SerializeToString(deterministic=True)
        return cls(name=name, body=body, version=digest(body))


@dataclass(frozen=True)
class ResourceSet:
    """All resources of one type in a snapshot. `sum` adds up a hash of each, so that a change costs no look at the others."""

    items: Mapping[str, Resource]
    sum: int

    @classmethod
    def of(cls, items: Mapping[str, Resource]) -> ResourceSet:
        return cls(items=items, sum=sum(_weight(resource) for resource in items.values()) % _MODULUS)

    @property
    def version(self) -> str:
        """Equal for equal contents, whatever the order of the changes that led to them."""
        return f"{self.sum:032x}"

    def apply(self, changes: Mapping[str, Resource | None]) -> ResourceSet:
        """With the resources of `changes` in place of those of the same name; None: without it. Itself when that changes nothing."""
        real = {name: resource for name, resource in changes.items() if _version(resource) != _version(self.items.get(name))}
        if not real:
            return self
        items, total = dict(self.items), self.sum
        for name, resource in real.items():
            before = items.pop(name, None) if resource is None else items.get(name)
            total += (_weight(resource) if resource else 0) - (_weight(before) if before else 0)
            if resource is not None:
                items[name] = resource
        return ResourceSet(items=items, sum=total % _MODULUS)

    def differing(self, other: ResourceSet) -> frozenset[str]:
        """The names whose resources are not the same in both. Looks at everything."""
        names = self.items.keys() | other.items.keys()
        return frozenset(name for name in names if _version(self.items.get(name)) != _version(other.items.get(name)))


_MODULUS = 2**128


def _weight(resource: Resource) -> int:
    return int.from_bytes(hashlib.blake2b(f"{resource.name}={resource.version}".encode(), digest_size=16).digest())


def _version(resource: Resource | None) -> str | None:
    return resource.version if resource else None


def version_of(entries: Iterable[tuple[str, str]]) -> str:
    """The version of a set of (name, version) pairs, whatever their order."""
    return digest(*(f"{name}={version}".encode() for name, version in sorted(entries)))
