"""What one client has, waits for and refuses, of one resource type on one incremental (delta) stream.

State only, no I/O; it dies with the stream. It never looks at everything: names that may need an answer are queued, and the queues are worked off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from controlplane.xds.nack import Rejection, offenders, readable
from controlplane.xds.resources import Resource, ResourceType
from controlplane.xds.subscription import WILDCARD, Entry

Queue = dict[str, None]
"""A set of names that keeps its order."""

UNKNOWN = ""
"""The key of what a client may have in one version or another, or not at all."""

LATE = (ResourceType.LISTENER, ResourceType.ROUTE)
"""The types that use the others: added to after these, and taken from before these."""


@dataclass(frozen=True)
class Delta:
    """What a response carries: entries by name, and the names of what the client should drop, or wait for no longer."""

    entries: Mapping[str, Entry]
    removed: Collection[str] = ()


@dataclass(frozen=True)
class Source:
    """Where entries come from, by name; None where there is none. `last_good` is the newest that a client of this proxy has accepted."""

    current: Callable[[str], Entry | None]
    last_good: Callable[[str], Entry | None]


@dataclass(frozen=True, slots=True)
class Refused:
    """What a client will not have, and why."""

    key: str
    reason: str


@dataclass
class DeltaSubscription:
    """One resource type on one stream."""

    type: ResourceType
    names: set[str] = field(default_factory=set)
    wildcard: bool = False
    has: dict[str, str] = field(default_factory=dict)
    """Name → key of what the client has: what it accepted, or said that it kept from an earlier stream."""
    waiting: Queue = field(default_factory=dict)
    """Names that the client cannot go on without: answered even when nothing changed, or nothing is there."""
    changed: Queue = field(default_factory=dict)
    """Names whose resource may differ from what the client has."""
    leaving: Queue = field(default_factory=dict)
    """Names that are gone, but that the client may still use."""
    suspects: list[tuple[str, ...]] = field(default_factory=list)
    """Parts of a refused response whose message named none: sent part by part, halved until it is known which resource is bad."""
    refused: dict[str, Refused] = field(default_factory=dict)
    outstanding: dict[str, Delta] = field(default_factory=dict)
    """Nonce → response that the client has not answered."""
    taken_in: bool = True
    """The client is through with what it was sent, though it may owe the answer: Envoy acknowledges clusters only when they are warm."""
    owed: bool = False
    """The client starts from nothing and has had no answer yet: "nothing" is one."""

    def open(self, names: Iterable[str], *, known: Mapping[str, str], everything: Iterable[str]) -> None:
        """The first request of the stream: `known` is what the client has (name → version), `everything` the names that there are."""
        requested = set(names)
        self.wildcard = WILDCARD in requested or (not requested and self.type.full_state)
        self.names = requested - {WILDCARD}
        self.has = {name: version for name, version in known.items() if self.wants(name)}
        self.owed = self.wildcard and not known
        self.waiting.update(dict.fromkeys(sorted(self.names - self.has.keys())))
        self.changed.update(dict.fromkeys(self.has))
        if self.wildcard:
            self.changed.update(dict.fromkeys(everything))

    def subscribe(self, names: Iterable[str], *, everything: Iterable[str]) -> None:
        """The client wants these too. What it had of them it asks for again, and gets it again."""
        for name in names:
            if name == WILDCARD:
                self.wildcard = True
                self.changed.update(dict.fromkeys(everything))
                continue
            if not self.wildcard:
                self._drop(name)
            self.names.add(name)
            self.waiting[name] = None

    def unsubscribe(self, names: Collection[str]) -> None:
        """The client has dropped these by itself; under a wildcard it wants to hear of them again, as a part of everything."""
        self.names.difference_update(names)
        if WILDCARD in names:
            self.wildcard = False
        elif self.wildcard:
            self.waiting.update(dict.fromkeys(names))
        for name in list(self.has) if WILDCARD in names else names:
            if not self.wants(name):
                self._drop(name)

    def _drop(self, name: str) -> None:
        self.has.pop(name, None)
        for queue in (self.waiting, self.changed, self.leaving):
            queue.pop(name, None)

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def look_again(self, names: Iterable[str]) -> None:
        """The resources of these names have changed."""
        self.changed.update((name, None) for name in names if self.wants(name))

    def repeat(self, names: Iterable[str], *, there: Collection[str]) -> None:
        """The client needs these again though they did not change, as far as it wants them and they are there."""
        self.waiting.update((name, None) for name in names if self.wants(name) and name in there)

    def acknowledge(self, nonce: str) -> list[Resource]:
        """An outstanding response was accepted. Returns its resources."""
        delta = self._settle(nonce)
        for name, entry in delta.entries.items():
            if self.wants(name):
                self.has[name] = entry.key
            self.refused.pop(name, None)
        for name in delta.removed:
            self.has.pop(name, None)
        return [entry.resource for entry in delta.entries.values()]

    def refuse(self, nonce: str, message: str) -> list[str]:
        """An outstanding response was refused. Returns the names that are to blame, as far as that can be told.

        Whether the client applied the others cannot be told: Envoy does, except when it cannot even decode one of them. They are sent once more.
        """
        delta = self._settle(nonce)
        blamed = offenders(message, delta.entries)
        for name in blamed:
            self.refused[name] = Refused(key=delta.entries[name].key, reason=readable(message))
        for name in delta.removed:
            self.has.pop(name, None)
        again = tuple(name for name in delta.entries if self.wants(name))
        self.has.update(dict.fromkeys(set(again) - blamed, UNKNOWN))
        if blamed:
            self.changed.update(dict.fromkeys(again))
            if self.type not in LATE:
                self.waiting.update((name, None) for name in again if name not in blamed)
        else:
            middle = len(again) // 2
            self.suspects[:0] = [part for part in (again[:middle], again[middle:]) if part]
        return sorted(blamed)

    def _settle(self, nonce: str) -> Delta:
        delta = self.outstanding.pop(nonce)
        self.taken_in = self.taken_in or not self.outstanding
        return delta

    def due(self, source: Source, *, blocked: bool, limit: int) -> Delta | None:
        """The next response, of at most `limit` resources, or None. `blocked`: only what the client waits for may go."""
        if not self.taken_in:
            return None
        while self.suspects and not blocked:
            if part := {name: entry for name in self.suspects.pop(0) if (entry := self._wanted(name, source)) is not None}:
                return Delta(part)
        entries: dict[str, Entry] = {}
        removed: list[str] = []
        for queue in (self.waiting,) if blocked else (self.waiting, self.changed):
            for name in list(queue):
                if len(entries) + len(removed) >= limit:
                    break
                del queue[name]
                if name in entries or not self.wants(name):
                    continue
                entry = self._wanted(name, source)
                if entry is not None:
                    self.leaving.pop(name, None)
                    if queue is self.waiting or self.told(name) != entry.key:
                        entries[name] = entry
                elif self.told(name) is not None:
                    if source.current(name) is None and self.type not in LATE:
                        self.leaving[name] = None
                    elif source.current(name) is None:
                        removed.append(name)
                elif queue is self.waiting:
                    removed.append(name)
        if entries or removed or (self.owed and not blocked):
            return Delta(entries, removed)
        return None

    def _wanted(self, name: str, source: Source) -> Entry | None:
        """What the client should have: that of the snapshot, or, of what it refuses, the last good one. None: nothing."""
        current = source.current(name)
        refused = self.refused.get(name)
        if refused is None:
            return current
        if current is None or current.key != refused.key:
            del self.refused[name]
            return current
        good = source.last_good(name)
        return None if good is None or good.key == refused.key else good

    def due_to_leave(self) -> Delta | None:
        """What is gone and no longer needed, as a response."""
        if not self.leaving:
            return None
        gone = list(self.leaving)
        self.leaving.clear()
        return Delta({}, gone)

    def send(self, delta: Delta, *, nonce: str) -> None:
        self.outstanding[nonce] = delta
        self.taken_in = self.owed = False

    @property
    def quiet(self) -> bool:
        """The client has answered everything, and nothing waits to be sent (but what is leaving)."""
        return not (self.outstanding or self.waiting or self.changed or self.suspects or self.owed)

    def told(self, name: str) -> str | None:
        """The key of what the client was sent last, accepted or not. None: nothing, or that it is gone."""
        for delta in reversed(self.outstanding.values()):
            if name in delta.entries:
                return delta.entries[name].key
            if name in delta.removed:
                return None
        return self.has.get(name)

    def rejections(self) -> list[Rejection]:
        return [Rejection(type=self.type, name=name, message=refused.reason) for name, refused in self.refused.items()]
