"""A Snapshot: the complete and consistent configuration of one proxy at one moment.

It is immutable. It is made in one step from the messages of a translation, and it knows which of its clusters get their endpoints by EDS, because
a route must not be published before the endpoints of its cluster have arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from controlplane.xds.resources import Message, ResourceSet, ResourceType, version_of

EMPTY = ResourceSet(items={})


@dataclass(frozen=True)
class Snapshot:
    """Resources by type. `endpoints` is keyed by cluster name: the name asked for by EDS is the cluster's."""

    clusters: ResourceSet = EMPTY
    endpoints: ResourceSet = EMPTY
    secrets: ResourceSet = EMPTY
    listeners: ResourceSet = EMPTY
    routes: ResourceSet = EMPTY

    @classmethod
    def pack(
        cls,
        *,
        clusters: Mapping[str, Message],
        endpoints: Mapping[str, Message],
        secrets: Mapping[str, Message],
        listeners: Mapping[str, Message],
        routes: Mapping[str, Message],
        previous: Snapshot | None = None,
    ) -> Snapshot:
        """Serialise the messages of one translation; bytes that did not change are shared with `previous`."""
        before = previous or cls()
        return cls(
            clusters=ResourceSet.pack(clusters, previous=before.clusters),
            endpoints=ResourceSet.pack(endpoints, previous=before.endpoints),
            secrets=ResourceSet.pack(secrets, previous=before.secrets),
            listeners=ResourceSet.pack(listeners, previous=before.listeners),
            routes=ResourceSet.pack(routes, previous=before.routes),
        )

    def of(self, type_: ResourceType) -> ResourceSet:
        return self._by_type[type_]

    @cached_property
    def _by_type(self) -> dict[ResourceType, ResourceSet]:
        return {
            ResourceType.CLUSTER: self.clusters,
            ResourceType.ENDPOINT: self.endpoints,
            ResourceType.SECRET: self.secrets,
            ResourceType.LISTENER: self.listeners,
            ResourceType.ROUTE: self.routes,
        }

    @cached_property
    def version(self) -> str:
        return version_of((type_.value, self.of(type_).version) for type_ in ResourceType)
