"""The timeline of a run as shapes: where everything stands in a drawing. Pure; drill/report.html.j2 makes SVG of it.

From top to bottom: marks of what was done, how long each step took, requests by who answered, failures by kind, what the gateway said of each
priority, and latency. All share one axis of time, in seconds since the first request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from drill.axis import Axis
from drill.marks import LANE, Lane, Mark, Step, lanes, marks, steps
from drill.plots import FAILURES, LATENCY, REQUESTS, Panel, failures, latency, requests
from drill.words import duration

_MARKS, _STEPS, _TITLE, _GAP, _AXIS = 42, 54, 22, 16, 30
"""Heights: of the rows above the plots, of a title, between plots, of the axis."""
_MOST_CELLS = 200
STRIP = 200
"""Width of a strip, in its own units."""
_STYLES = 8
"""How many styles for servers there are."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Everything that is drawn of a run, and where."""

    height: float
    bottom: float
    """Where the axis of time is."""
    ticks: tuple[tuple[float, str], ...]
    broken: tuple[float, float] | None
    """Where the time begins and ends in which it was broken."""
    marks: tuple[Mark, ...]
    steps: tuple[Step, ...]
    panels: tuple[Panel, ...]
    lanes: tuple[Lane, ...]
    lanes_title: float
    cells: tuple[tuple[float, float, str], ...]
    """Place, width and words of each part of the time, for who points at it."""


def styles(scenario: Mapping[str, Any]) -> dict[str, str]:
    """A style for each server that answered in any run, `s1` to `s8`: first who is expected to serve, then the others by name."""
    answered = {server for run in scenario["runs"] for server in run["timeline"]["answered"]}
    expected = [server for server in scenario["expected"].values() if server]
    return {server: f"s{min(index, _STYLES)}" for index, server in enumerate(dict.fromkeys([*expected, *sorted(answered)]), start=1)}


def chart(run: Mapping[str, Any], *, styles: Mapping[str, str]) -> Chart:
    """The drawing of a run of a document, with what `styles` of its scenario says."""
    timeline, measures = run["timeline"], run["measures"]
    broken, healed = measures["broken"], measures["healed"]
    begin = min(0.0, broken or 0.0)
    axis = Axis(begin=begin, end=max(timeline["width"] * len(timeline["max"]), healed or 0.0))
    y: float = _MARKS + _STEPS + _TITLE
    panels = [requests(timeline, axis=axis, top=y, styles=styles)]
    y += REQUESTS + _GAP + _TITLE
    if failed := tuple(failures(timeline, axis=axis, top=y)):
        panels += failed
        y += FAILURES * len(failed) + _GAP + _TITLE
    found, lanes_title = tuple(lanes(run["events"], axis=axis, top=y)), y
    if found:
        y += LANE * len(found) + _GAP + _TITLE
    panels.append(latency(timeline, axis=axis, top=y))
    y += LATENCY
    return Chart(
        height=y + _AXIS,
        bottom=y,
        ticks=axis.ticks(),
        broken=None if broken is None else (axis.x(broken), axis.x(axis.end if healed is None else healed)),
        marks=tuple(marks(run["events"], axis=axis)),
        steps=tuple(steps(measures, axis=axis, top=_MARKS)),
        panels=tuple(panels),
        lanes=found,
        lanes_title=lanes_title,
        cells=tuple(_cells(timeline, axis=axis)),
    )


def strip(run: Mapping[str, Any], *, styles: Mapping[str, str]) -> tuple[tuple[float, float, str], ...]:
    """Who answered most in each part of a run, as a row of `(x, width, style)`; `bad` where anything failed, `none` where nothing was sent."""
    timeline = run["timeline"]
    spans = len(timeline["max"])
    scale, found = STRIP / spans, []
    for style, group in groupby(range(spans), key=lambda index: _seen(timeline, index, styles)):
        indexes = list(group)
        found.append((round(indexes[0] * scale, 1), round(max(1.0, len(indexes) * scale), 1), style))
    return tuple(found)


def seconds(timeline: Mapping[str, Any], width: float) -> Iterator[dict[str, Any]]:
    """The timeline in rows of about `width` seconds: `{"at", "answered": {server: count}, "failed": {kind: count}, "p50", "p99", "max"}`;
    of the times the largest."""
    spans = max(1, round(width / timeline["width"]))
    for begin in range(0, len(timeline["max"]), spans):
        part = slice(begin, begin + spans)
        known = {name: [value for value in timeline[name][part] if value is not None] for name in ("p50", "p99", "max")}
        answered = {name: number for name, values in timeline["answered"].items() if (number := sum(values[part]))}
        failed = {kind: number for kind, values in timeline["failed"].items() if (number := sum(values[part]))}
        yield {
            "at": begin * timeline["width"],
            "answered": answered,
            "failed": failed,
            **{name: max(each, default=None) for name, each in known.items()},
        }


def _cells(timeline: Mapping[str, Any], *, axis: Axis) -> Iterator[tuple[float, float, str]]:
    length = timeline["width"] * max(1, -(-len(timeline["max"]) // _MOST_CELLS))
    for row in seconds(timeline, length):
        x = axis.x(row["at"])
        who = ", ".join(f"{name} {number}" for name, number in row["answered"].items()) or "nobody"
        failed = ", ".join(f"{number} {kind}" for kind, number in row["failed"].items()) or "0"
        times = f"p50 {duration(row['p50'])}, p99 {duration(row['p99'])}, max {duration(row['max'])}"
        yield x, round(axis.x(row["at"] + length) - x, 1), f"{row['at']:.1f} s\nanswered: {who}\nfailed: {failed}\n{times}"


def _seen(timeline: Mapping[str, Any], index: int, styles: Mapping[str, str]) -> str:
    if any(values[index] for values in timeline["failed"].values()):
        return "bad"
    numbers = {name: values[index] for name, values in timeline["answered"].items() if values[index]}
    return styles[max(numbers, key=lambda name: numbers[name])] if numbers else "none"
