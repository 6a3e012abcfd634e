"""What xDS moves: typed, named, versioned bytes.

A version is a hash of the canonical bytes. So the same configuration has the same version before and after a restart, in every replica, and
"has it changed" never needs a counter or a clock.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
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
    """All resources of one type in a snapshot."""

    items: Mapping[str, Resource]

    @classmethod
    def pack(cls, messages: Mapping[str, Message], *, previous: ResourceSet | None = None) -> ResourceSet:
        """Serialise `messages`; a resource equal to one of `previous` is shared with it, so that unchanged bytes are held once."""
        items: dict[str, Resource] = {}
        for name, message in messages.items():
            resource = Resource.pack(name, message)
            before = previous.items.get(name) if previous else None
            items[name] = before if before is not None and before.version == resource.version else resource
        return cls(items=items)

    @cached_property
    def version(self) -> str:
        return version_of((resource.name, resource.version) for resource in self.items.values())


def version_of(entries: Iterable[tuple[str, str]]) -> str:
    """The version of a set of (name, version) pairs, whatever their order."""
    return digest(*(f"{name}={version}".encode() for name, version in sorted(entries)))
