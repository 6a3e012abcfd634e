"""A Snapshot: the complete and consistent configuration of one proxy at one moment.

It is immutable, and it knows which of its clusters get their endpoints by EDS, because a route must not be published before the endpoints of its
cluster have arrived. The next snapshot is made from it by the changes alone; what did not change is shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.xds.resources import Resource, ResourceSet, ResourceType, version_of

EMPTY = ResourceSet.of({})

Changes = Mapping[ResourceType, Mapping[str, Resource | None]]
"""By type and name: what is new or may have changed; None for what is gone."""


@dataclass(frozen=True)
class Snapshot:
    """Resources by type. The endpoints are keyed by cluster name: the name asked for by EDS is the cluster's."""

    sets: Mapping[ResourceType, ResourceSet] = field(default_factory=dict)

    def apply(self, changes: Changes) -> Snapshot:
        """The snapshot after `changes`; itself when they change nothing. The cost is that of the changes, and a shallow copy per changed type."""
        sets = {type_: self.of(type_).apply(of_type) for type_, of_type in changes.items()}
        return self if all(found is self.of(type_) for type_, found in sets.items()) else Snapshot(sets={**self.sets, **sets})

    def of(self, type_: ResourceType) -> ResourceSet:
        return self.sets.get(type_, EMPTY)

    @property
    def clusters(self) -> ResourceSet:
        return self.of(ResourceType.CLUSTER)

    @property
    def endpoints(self) -> ResourceSet:
        return self.of(ResourceType.ENDPOINT)

    @property
    def secrets(self) -> ResourceSet:
        return self.of(ResourceType.SECRET)

    @property
    def listeners(self) -> ResourceSet:
        return self.of(ResourceType.LISTENER)

    @property
    def routes(self) -> ResourceSet:
        return self.of(ResourceType.ROUTE)

    @property
    def version(self) -> str:
        return version_of((type_.value, self.of(type_).version) for type_ in ResourceType)
