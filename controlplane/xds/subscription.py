"""What one client has asked for, was sent, has accepted and has refused, of one resource type on one stream.

State only, no I/O; it dies with the stream, as its nonces do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from controlplane.xds.nack import Rejection, offenders, readable
from controlplane.xds.resources import Resource, ResourceType

WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource as a client gets it. `key` decides whether it must be sent again: mostly the resource's version, see Stream for endpoints."""

    resource: Resource
    key: str


Entries = dict[str, Entry]


@dataclass
class Subscription:
    """One resource type on one stream."""

    type: ResourceType
    resumed: bool
    """The client came with a version from an earlier stream: it serves configuration that is not known here."""
    names: frozenset[str] = frozenset()
    wildcard: bool = False
    nonce: str = ""
    confirmed: bool = False
    """The client has accepted something of this type, be it "nothing"."""
    sent_epoch: int = 0
    sent: Entries = field(default_factory=dict)
    accepted: Entries = field(default_factory=dict)
    awaiting: Entries | None = None
    rejected: dict[tuple[str, str], str] = field(default_factory=dict)
    """(name, version) → Envoy's reason, of resources known to be refused."""
    suspects: set[str] = field(default_factory=set)
    """Names of a refused response whose message names none: sent one by one from then on, until it is known which one is bad."""
    held: tuple[frozenset[tuple[str, str]], str] | None = None
    """A full state that was refused for an unknown reason: it is not sent again before it changes."""

    @property
    def answered(self) -> bool:
        return self.nonce != ""

    def ask(self, names: Iterable[str]) -> bool:
        """Take the names of a request; true when they differ from those of the last one."""
        requested = frozenset(names)
        # An empty first request means "everything", until a name has been given (the legacy wildcard of CDS and LDS).
        wildcard = self.type.full_state and (WILDCARD in requested or (not requested and not self.names and (self.wildcard or not self.answered)))
        requested -= {WILDCARD}
        changed = (requested, wildcard) != (self.names, self.wildcard)
        self.names, self.wildcard = requested, wildcard
        if not wildcard:
            self.forget(set(self.sent) - requested)
        return changed

    def forget(self, names: Iterable[str]) -> None:
        """What the client no longer wants is sent again when it asks again."""
        for name in names:
            self.sent.pop(name, None)
            self.accepted.pop(name, None)

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names

    def acknowledge(self) -> Entries:
        """The outstanding response was accepted. Returns its entries."""
        entries, self.awaiting = self.awaiting or {}, None
        if self.type.full_state:
            self.accepted = dict(entries)
        else:
            self.accepted.update((name, entry) for name, entry in entries.items() if self.wants(name))
        self.suspects -= entries.keys()
        self.held = None
        self.confirmed = True
        return entries

    def refuse(self, message: str, *, last_good: Mapping[str, Resource]) -> None:
        """The outstanding response was refused as a whole: find out what is to blame, and never send that again."""
        entries, self.awaiting = self.awaiting or {}, None
        new = [name for name, entry in entries.items() if self.accepted.get(name) != entry]
        blamed = offenders(message, new)
        reason = readable(message)
        self.sent = dict(self.accepted)
        unknown_in_use = self.type.full_state and self.resumed and any(name not in self.accepted and name not in last_good for name in blamed)
        if blamed and not unknown_in_use:
            self.rejected.update(((name, entries[name].resource.version), reason) for name in blamed)
        elif self.type.full_state:
            # Leaving out what is refused would delete what the client may still serve by that name: keep everything as it is.
            self.held = (keys(entries), reason)
        else:
            self.suspects.update(new)

    def due(self, wanted: Entries, *, blocked: bool) -> Entries | None:
        """What to send now, or None. `blocked`: an earlier type is not settled, so only what the client newly asks for may go."""
        if self.awaiting is not None:
            return None
        if blocked and self.resumed and not self.answered:
            return None  # It serves what it has; new content comes in order.
        if self.type.full_state:
            if blocked or (self.confirmed and keys(wanted) == keys(self.sent)) or self.is_held(wanted):
                return None
            return wanted
        new = {name: entry for name, entry in wanted.items() if name not in self.sent or (not blocked and self.sent[name].key != entry.key)}
        suspect = next((name for name in new if name in self.suspects), None)
        if suspect is not None:
            return {suspect: new[suspect]}
        return new or None

    def send(self, entries: Entries, *, nonce: str, epoch: int) -> None:
        self.awaiting, self.nonce, self.sent_epoch = dict(entries), nonce, epoch
        self.sent = dict(entries) if self.type.full_state else self.sent | entries

    def is_held(self, wanted: Entries) -> bool:
        return self.held is not None and self.held[0] == keys(wanted)

    def settled(self, wanted: Entries) -> bool:
        """The client has accepted all that it should have, and refuses nothing."""
        if self.awaiting is not None or self.rejected or self.is_held(wanted):
            return False
        return all(self.accepted.get(name) == entry for name, entry in wanted.items())

    def prune(self, current: Mapping[str, Resource]) -> None:
        """Forget refusals of resources that are no longer part of the configuration."""
        self.rejected = {
            (name, version): text for (name, version), text in self.rejected.items() if name in current and current[name].version == version
        }

    def rejections(self) -> list[Rejection]:
        named = [Rejection(type=self.type, name=name, message=message) for (name, _), message in self.rejected.items()]
        return [*named, Rejection(type=self.type, name=None, message=self.held[1])] if self.held else named


def keys(entries: Entries) -> frozenset[tuple[str, str]]:
    return frozenset((name, entry.key) for name, entry in entries.items())
