"""What the layers of a translation give: values that can be compared, so that a change which changes nothing goes no further.

Messages are packed as soon as they are made (`R` is whatever the caller's `pack` returns), because thousands of protobuf messages are large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from controlplane.translation.route import Destination
from controlplane.translation.types import Key, ObjectRef, ProxyRef, Report

R = TypeVar("R")


class ClusterKey(NamedTuple):
    """An Upstream as the proxies need it: `by_tcp` when a TCP listener can reach it."""

    upstream: Key
    by_tcp: bool


class GatewayKey(NamedTuple):
    """A Gateway at one of its proxies."""

    proxy: ProxyRef
    gateway: Key


@dataclass(frozen=True, slots=True)
class ClusterEntry(Generic[R]):
    """An Upstream's cluster, called `name`, and its endpoints where they come by EDS. No `cluster`: it has none."""

    name: str
    cluster: R | None
    assignment: R | None
    destination: Destination | None
    secrets: tuple[Key, ...]
    report: Report


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A VirtualService's virtual host, serialised. The reports are on itself and on what it delegates to."""

    host: bytes | None
    reports: Mapping[ObjectRef, Report]


@dataclass(frozen=True, slots=True)
class GatewayEntry(Generic[R]):
    """A Gateway's listener and routes, by resource name."""

    listeners: Mapping[str, R]
    routes: Mapping[str, R]
    secrets: tuple[Key, ...]
    reports: Mapping[ObjectRef, Report]


@dataclass
class Resources(Generic[R]):
    """Resources of one proxy by type and name; in a set of changes None says that one is gone."""

    clusters: dict[str, R | None] = field(default_factory=dict)
    endpoints: dict[str, R | None] = field(default_factory=dict)
    secrets: dict[str, R | None] = field(default_factory=dict, repr=False)
    listeners: dict[str, R | None] = field(default_factory=dict)
    routes: dict[str, R | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.clusters or self.endpoints or self.secrets or self.listeners or self.routes)

    def update(self, later: Resources[R]) -> None:
        """Add changes that came later."""
        self.clusters.update(later.clusters)
        self.endpoints.update(later.endpoints)
        self.secrets.update(later.secrets)
        self.listeners.update(later.listeners)
        self.routes.update(later.routes)
