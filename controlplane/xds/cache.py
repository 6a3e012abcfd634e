"""The SnapshotCache: the newest Snapshot of each proxy, what of it each client has not looked at yet, and what its Envoys refuse.

A proxy without a snapshot gets no answer at all. That is the gate of a restart: until everything watched has been read once, nothing is published,
so that no Envoy ever sees half a configuration and drops the other half.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from controlplane.xds.nack import Rejection
from controlplane.xds.resources import Resource, ResourceType
from controlplane.xds.snapshot import Changes, Snapshot


@dataclass(frozen=True, order=True)
class ProxyKey:
    """Clients with equal keys get the same configuration."""

    role: str
    """`<namespace>~<proxy>`, from the node's metadata."""
    bind_address: str = ""
    """Where the listeners of this client bind instead of the wildcard address; empty: no difference."""


@dataclass(eq=False)
class Session:
    """One connected client: woken when its snapshot changes."""

    key: ProxyKey
    node: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    rejections: tuple[Rejection, ...] = ()
    _changed: dict[ResourceType, set[str]] = field(default_factory=dict)

    def notify(self, changed: Mapping[ResourceType, Iterable[str]]) -> None:
        """These names differ from what the client was last shown; many changes of one name are one."""
        for type_, names in changed.items():
            self._changed.setdefault(type_, set()).update(names)
        self.wake.set()

    def take(self) -> dict[ResourceType, set[str]]:
        """What has changed since this was last called."""
        changed, self._changed = self._changed, {}
        return changed


@dataclass
class _Slot:
    snapshot: Snapshot | None = None
    last_good: dict[tuple[ResourceType, str], Resource] = field(default_factory=dict)
    sessions: set[Session] = field(default_factory=set)
    idle_since: float = 0.0


class SnapshotCache:
    """Snapshots by ProxyKey. Belongs to one event loop.

    `on_interest` is called when a client connects whose key has no snapshot, `on_rejections` when what clients refuse has changed.
    """

    def __init__(self, *, on_interest: Callable[[], None] = lambda: None, on_rejections: Callable[[], None] = lambda: None) -> None:
        self.on_interest = on_interest
        self.on_rejections = on_rejections
        self._slots: dict[ProxyKey, _Slot] = {}

    def keys(self) -> list[ProxyKey]:
        """The keys of all clients that are, or lately were, connected."""
        return sorted(self._slots)

    def snapshot(self, key: ProxyKey) -> Snapshot | None:
        slot = self._slots.get(key)
        return slot.snapshot if slot else None

    def publish(self, key: ProxyKey, snapshot: Snapshot) -> bool:
        """Make `snapshot`, which is complete, the newest one and wake its clients; false when it equals the one before."""
        slot = self._slots.setdefault(key, _Slot(idle_since=time.monotonic()))
        before = slot.snapshot or Snapshot()
        if slot.snapshot is not None and before.version == snapshot.version:
            return False
        self._replace(slot, snapshot, {type_: before.of(type_).differing(snapshot.of(type_)) for type_ in ResourceType})
        return True

    def apply(self, key: ProxyKey, changes: Changes) -> bool:
        """Change the newest snapshot and wake its clients, at the cost of the changes; false when they change nothing.

        LookupError when there is no snapshot: a part alone would be taken for the whole, so publish a complete one.
        """
        slot = self._slots.get(key)
        if slot is None or slot.snapshot is None:
            raise LookupError(f"proxy {key.role} has no snapshot that could be changed: publish a complete one first")
        after = slot.snapshot.apply(changes)
        if after is slot.snapshot:
            return False
        self._replace(slot, after, {type_: of_type.keys() for type_, of_type in changes.items()})
        return True

    def _replace(self, slot: _Slot, snapshot: Snapshot, changed: Mapping[ResourceType, Iterable[str]]) -> None:
        slot.snapshot = snapshot
        for type_, names in changed.items():
            for name in names:
                if name not in snapshot.of(type_).items:
                    slot.last_good.pop((type_, name), None)
        for session in slot.sessions:
            session.notify(changed)

    def prune(self, *, idle_seconds: float) -> None:
        """Forget what belongs to clients that have been gone for longer than `idle_seconds`."""
        deadline = time.monotonic() - idle_seconds
        for key in [key for key, slot in self._slots.items() if not slot.sessions and slot.idle_since < deadline]:
            del self._slots[key]

    @contextmanager
    def session(self, key: ProxyKey, *, node: str) -> Iterator[Session]:
        """Register a client for as long as its stream lives."""
        slot = self._slots.setdefault(key, _Slot())
        session = Session(key=key, node=node)
        slot.sessions.add(session)
        if slot.snapshot is None:
            self.on_interest()
        try:
            yield session
        finally:
            slot.sessions.discard(session)
            slot.idle_since = time.monotonic()
            if session.rejections:
                self.on_rejections()

    def last_good(self, key: ProxyKey) -> Mapping[tuple[ResourceType, str], Resource]:
        """The newest accepted version of each resource of the configuration, kept over reconnects."""
        return self._slots[key].last_good

    def accepted(self, key: ProxyKey, type_: ResourceType, resources: Iterable[Resource]) -> None:
        slot = self._slots[key]
        current = slot.snapshot.of(type_).items if slot.snapshot else {}
        slot.last_good.update(((type_, resource.name), resource) for resource in resources if resource.name in current)

    def set_rejections(self, session: Session, rejections: Iterable[Rejection]) -> None:
        """What the client of `session` refuses from now on."""
        current = tuple(rejections)
        if current != session.rejections:
            session.rejections = current
            self.on_rejections()

    def rejections(self) -> dict[ProxyKey, frozenset[Rejection]]:
        """What is refused at present, by key."""
        return {key: found for key, slot in self._slots.items() if (found := frozenset(r for session in slot.sessions for r in session.rejections))}

    def sessions(self) -> int:
        """How many clients are connected."""
        return sum(len(slot.sessions) for slot in self._slots.values())
