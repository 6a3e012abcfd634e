"""What stands above and below the plots of a timeline: marks of what was done, how long each step took, what the gateway said. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drill.axis import RIGHT, Axis
from drill.words import duration

LANE = 20
_ROOM = 24
"""Marks that are nearer to each other share a label."""
_WORDS = 6.4
"""Width of a letter."""
_DONE = ("warm", "break", "heal", "note")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that was done, or several things close together."""

    x: float
    kind: str
    label: str
    """Its number in the list of events; `3–5` of several; "break" and "heal" by name."""
    text: str
    left: bool = False
    """The label stands left of the line."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """How long something took: a bar with a label at its end."""

    x: float
    width: float
    y: float
    text: str
    left: bool
    """The label stands left of the bar, for want of room."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A state, and for how long."""

    x: float
    width: float
    state: str
    """Of a priority: ok or bad. Of who serves: serving, or other when it is a standby."""
    text: str
    label: str
    """The same, if there is room for it."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What the gateway said of one priority, or who it says serves."""

    title: str
    y: float
    segments: tuple[Segment, ...]


def numbered(events: Iterable[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Every event with its number as text, from 1; that number is its mark in the drawing."""
    return [(str(number), event) for number, event in enumerate(events, start=1)]


def marks(events: Sequence[Mapping[str, Any]], *, axis: Axis) -> Iterator[Mark]:
    """The marks of what was done, from left to right. The gateway's words have lanes of their own."""
    group: list[tuple[str, Mapping[str, Any]]] = []
    for number, event in numbered(events):
        if event["kind"] in ("break", "heal"):
            yield Mark(x=axis.x(event["at"]), kind=event["kind"], label=event["kind"], text=_said(number, event), left=event["kind"] == "break")
        elif event["kind"] in _DONE:
            if group and axis.x(event["at"]) - axis.x(group[0][1]["at"]) > _ROOM:
                yield _together(group, axis=axis)
                group = []
            group.append((number, event))
    if group:
        yield _together(group, axis=axis)


def steps(measures: Mapping[str, Any], *, axis: Axis, top: float) -> Iterator[Step]:
    """A row for each step that there was."""
    for row, (name, since) in enumerate((("detect", "broken"), ("switch", "broken"), ("recover", "healed"))):
        if measures[name] is None or measures[since] is None:
            continue
        start = max(measures[since], 0.0) if name == "switch" else measures[since]
        x, end = axis.x(start), axis.x(start + measures[name])
        text = f"{name} {duration(measures[name])}"
        yield Step(x=x, width=max(2.0, round(end - x, 1)), y=top + row * 17, text=text, left=end + len(text) * _WORDS > RIGHT)


def lanes(events: Sequence[Mapping[str, Any]], *, axis: Axis, top: float) -> Iterator[Lane]:
    """A lane for each priority of which the gateway said anything, and one for who it says serves. Before its first word nothing is drawn."""
    health = [event for event in events if event["kind"] == "health"]
    titles = {f"priority {priority}": priority for priority in sorted({event["priority"] or 0 for event in health})}
    found = [(title, [event for event in health if (event["priority"] or 0) == priority]) for title, priority in titles.items()]
    found += [("serving", serving)] if (serving := [event for event in events if event["kind"] == "serving"]) else []
    for row, (title, said) in enumerate(found):
        yield Lane(title=title, y=top + row * LANE, segments=tuple(_segments(said, axis=axis)))


def _segments(said: Sequence[Mapping[str, Any]], *, axis: Axis) -> Iterator[Segment]:
    for event, following in zip(said, [*said[1:], None], strict=True):
        x, end = axis.x(event["at"]), axis.x(following["at"] if following else axis.end)
        if event["kind"] == "serving":
            state, words = "other" if event["priority"] else "serving", event["text"]
        else:
            state, words = ("ok", "healthy") if event["healthy"] else ("bad", "unhealthy")
        width = round(max(1.5, end - x), 1)
        text = f"{event['text']}, from {event['at']:.2f} s on"
        yield Segment(x=x, width=width, state=state, text=text, label=words if len(words) * _WORDS + 8 < width else "")


def _together(group: Sequence[tuple[str, Mapping[str, Any]]], *, axis: Axis) -> Mark:
    first, last = group[0][0], group[-1][0]
    label = first if first == last else f"{first}–{last}"
    return Mark(x=axis.x(group[0][1]["at"]), kind=group[0][1]["kind"], label=label, text="\n".join(_said(number, event) for number, event in group))


def _said(number: str, event: Mapping[str, Any]) -> str:
    return f"{number}: {event['at']:.2f} s, {event['kind']}: {event['text']}"
