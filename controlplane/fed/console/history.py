"""What has happened in the last hour, told by the difference between what is and what was. In memory, bounded, and only since this process watches.

It asks nobody: whoever sees an object or a cluster tells it. Times are those that the objects state where they state one, else when it was told.
"""

from __future__ import annotations

import datetime
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

KEPT = 1000
HOUR = datetime.timedelta(hours=1)


class EventKind(StrEnum):
    """What an event is about."""

    SWITCH = "switch"
    HEALTH = "health"
    STANDBY = "standby"
    SCHEME = "scheme"
    CLUSTER = "cluster"


class Level(StrEnum):
    """How good it is."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that has changed. `at`: RFC 3339, UTC, milliseconds. `id` grows by one from event to event of a process."""

    id: int
    at: str
    kind: EventKind
    level: Level
    subject: str
    text: str

    def to_object(self) -> dict[str, Any]:
        return asdict(self)


def utc(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def current() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class History:
    """`begin` is called when everything has been told once: what is told before that is how things are, and no event."""

    def __init__(self, *, now: Callable[[], datetime.datetime] = current) -> None:
        self.since = utc(now())
        self._now = now
        self._begun = False
        self._next = 1
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._schemes: dict[str, Mapping[str, Any]] = {}
        self._clusters: dict[str, tuple[str, str]] = {}

    def begin(self) -> None:
        self._begun = True
        self.since = utc(self._now())

    def recent(self) -> list[Event]:
        """The events of the last hour that are kept, newest first."""
        oldest = utc(self._now() - HOUR)
        return sorted((event for event in self._events if event.at >= oldest), key=lambda event: (event.at, event.id), reverse=True)

    def scheme(self, name: str, scheme: Mapping[str, Any] | None) -> None:
        """A scheme as `state` describes it, or None when it is gone."""
        before = self._schemes.get(name)
        if scheme is None:
            if self._schemes.pop(name, None) is not None:
                self._add(EventKind.SCHEME, Level.WARN, name, "the FailoverScheme is deleted")
            return
        self._schemes[name] = scheme
        if before is None:
            self._add(EventKind.SCHEME, Level.GOOD, name, "the FailoverScheme is new")
            return
        if (before["state"], before["message"]) != (scheme["state"], scheme["message"]):
            level = Level.GOOD if scheme["state"] == "ACCEPTED" else Level.WARN if scheme["state"] in ("PENDING", "PROCESSING") else Level.BAD
            self._add(EventKind.SCHEME, level, name, ": ".join(filter(None, [f"its state is {scheme['state']}", scheme["message"]])))
        self._serving(name, before["serving"] or {}, scheme["serving"] or {})
        for old, new in _pairs(before["tiers"], scheme["tiers"]):
            self._tier(name, old, new)

    def cluster(self, name: str, state: str | None, trouble: str = "") -> None:
        """How a registered cluster is connected (`state.Connection`), or None when it is no longer registered."""
        before = self._clusters.get(name)
        if state is None:
            if self._clusters.pop(name, None) is not None:
                self._add(EventKind.CLUSTER, Level.WARN, name, "the cluster is no longer registered")
            return
        self._clusters[name] = (state, trouble)
        if before is None:
            self._add(EventKind.CLUSTER, Level.GOOD, name, "the cluster is registered")
        elif before[0] == state:
            return
        elif state == "connected":
            # To be read at first is no news of a cluster that was there before this process.
            again = "is read" if before[0] == "reading" else "is connected again"
            self._add(EventKind.CLUSTER, Level.GOOD, name, f"the cluster {again}")
        elif state != "reading":
            self._add(EventKind.CLUSTER, Level.BAD, name, trouble or f"the cluster is {state}")

    def _serving(self, name: str, before: Mapping[str, Any], serving: Mapping[str, Any]) -> None:
        if serving and (before.get("name"), before.get("since")) != (serving.get("name"), serving.get("since")):
            level = Level.BAD if serving.get("priority") is None else Level.WARN if serving["priority"] else Level.GOOD
            who = f"{serving.get('name') or '?'} serves"
            was = f", before it {before['name']}" if before.get("name") and before["name"] != serving.get("name") else ""
            text = f"{who}{was}. {serving.get('reason', '')}: {serving.get('message', '')}".rstrip(": ")
            self._add(EventKind.SWITCH, level, name, text, at=serving.get("since"))
        if before.get("stale", "") != serving.get("stale", ""):
            text = f"what it says of who serves is old: {serving['stale']}" if serving.get("stale") else "what it says of who serves is fresh again"
            self._add(EventKind.SCHEME, Level.WARN if serving.get("stale") else Level.GOOD, name, text)

    def _tier(self, name: str, before: Mapping[str, Any], tier: Mapping[str, Any]) -> None:
        healthy, total = tier["healthy"], tier["total"]
        if (healthy, total) != (before["healthy"], before["total"]) and healthy is not None:
            level = Level.BAD if not healthy else Level.WARN if healthy < total else Level.GOOD
            was = "" if before["healthy"] is None else f", before {before['healthy']} of {before['total']}"
            self._add(EventKind.HEALTH, level, name, f"{tier['name']}: {healthy} of {total} endpoints healthy{was}")
        if tier["proven"] is not None and tier["proven"] != before["proven"]:
            text = "the standby is proven" if tier["proven"] else f"the standby is not proven: {tier['unprovenReason']}"
            self._add(EventKind.STANDBY, Level.GOOD if tier["proven"] else Level.WARN, name, f"{tier['name']}: {text}", at=tier.get("unprovenSince"))

    def _add(self, kind: EventKind, level: Level, subject: str, text: str, *, at: str | None = None) -> None:
        if self._begun:
            self._events.append(Event(id=self._next, at=_normal(at) or utc(self._now()), kind=kind, level=level, subject=subject, text=text))
            self._next += 1


def _pairs(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The tiers that there were and are."""
    old = {tier["name"]: tier for tier in before}
    return ((old[tier["name"]], tier) for tier in after if tier["name"] in old)


def _normal(moment: str | None) -> str:
    """A time of a status in the form of `Event.at`, so that they sort; "" when it is none."""
    try:
        parsed = datetime.datetime.fromisoformat(moment or "")
    except ValueError:
        return ""
    return utc(parsed) if parsed.tzinfo is not None else ""
