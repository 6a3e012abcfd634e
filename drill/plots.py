"""The plots of a timeline: requests by who answered, failures by kind, latency. Pure: columns of a document to paths of SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drill.axis import Axis
from drill.words import count, duration

REQUESTS, FAILURES, LATENCY = 120, 26, 120
"""Heights: of the plot, of each row, of the plot."""
_LOWEST_BAR = 5.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """An area or a line: how it looks, where it is, what it is."""

    style: str
    path: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A plot with its title above it, and lines with labels across it."""

    title: str
    top: float
    height: float
    shapes: tuple[Shape, ...]
    grid: tuple[tuple[float, str], ...]


def requests(timeline: Mapping[str, Any], *, axis: Axis, top: float, styles: Mapping[str, str]) -> Panel:
    """Stacked areas: who answered from the bottom up, in the order of `styles`, and failures on top. `styles`: a style for each server."""
    columns = [(name, styles[name], timeline["answered"][name]) for name in styles if name in timeline["answered"]]
    columns += [(f"failed: {kind}", "bad", values) for kind, values in timeline["failed"].items()]
    most = max((sum(values) for values in zip(*(values for _, _, values in columns), strict=True)), default=0) or 1
    below = [0.0] * len(timeline["max"])
    shapes = []
    for name, style, values in columns:
        above = [low + value for low, value in zip(below, values, strict=True)]
        path = _between(below, above, width=timeline["width"], axis=axis, y=lambda value: round(top + REQUESTS * (1 - value / most), 1))
        shapes.append(Shape(style=style, path=path, text=f"{name}: {count(sum(values))} requests"))
        below = above
    rate = most / timeline["width"]
    grid = tuple((round(top + REQUESTS * (1 - share), 1), count(round(rate * share))) for share in (0, 0.5, 1))
    return Panel(title="Requests per second, by who answered", top=top, height=REQUESTS, shapes=tuple(shapes), grid=grid)


def failures(timeline: Mapping[str, Any], *, axis: Axis, top: float) -> Iterator[Panel]:
    """A row for each kind, all on one scale. A bar is never too low to be seen: one request of a thousand stands out."""
    columns = timeline["failed"]
    most = max((max(values) for values in columns.values()), default=1)
    for row, (kind, values) in enumerate(columns.items()):
        base = top + FAILURES * (row + 1) - 4
        heights = [max(_LOWEST_BAR, (FAILURES - 6) * value / most) if value else 0.0 for value in values]
        path = _between([0.0] * len(values), heights, width=timeline["width"], axis=axis, y=_up_from(base))
        text = f"{kind}: {count(sum(values))} requests, at most {count(max(values))} within {duration(timeline['width'])}"
        grid = ((base, f"{count(sum(values))} {kind}"),)
        title = "" if row else "Failed requests, by kind"
        yield Panel(title=title, top=top + FAILURES * row, height=FAILURES, shapes=(Shape(style="bad", path=path, text=text),), grid=grid)


def latency(timeline: Mapping[str, Any], *, axis: Axis, top: float) -> Panel:
    """Lines of p50, p99, max and the probe's own delay, on a logarithmic scale of whole decades."""
    known = [value for name in ("p50", "max") for value in timeline[name] if value]
    low = math.floor(math.log10(max(min(known, default=0.001), 1e-5)))
    high = max(low + 1, math.ceil(math.log10(max(known, default=0.01)) - 1e-9))

    def y(seconds: float) -> float:
        return round(top + LATENCY * (1 - (math.log10(max(seconds, 10**low)) - low) / (high - low)), 1)

    texts = {"lag": "the probe's own delay", **{name: f"{name} of the latency" for name in ("max", "p99", "p50")}}
    shapes = tuple(Shape(style=name, path=_line(timeline[name], width=timeline["width"], axis=axis, y=y), text=text) for name, text in texts.items())
    grid = tuple((y(10.0**exponent), f"{10.0 ** (exponent + 3):g} ms" if exponent < 0 else f"{10**exponent} s") for exponent in range(low, high + 1))
    return Panel(title="Latency, from the schedule to the end", top=top, height=LATENCY, shapes=shapes, grid=grid)


def _up_from(base: float) -> Callable[[float], float]:
    return lambda value: round(base - value, 1)


def _between(low: Sequence[float], high: Sequence[float], *, width: float, axis: Axis, y: Callable[[float], float]) -> str:
    """The area between two columns, in steps; a part of it for each stretch in which there is anything."""
    parts, index = [], 0
    while index < len(high):
        if high[index] <= low[index]:
            index += 1
            continue
        end = next((later for later in range(index, len(high)) if high[later] <= low[later]), len(high))
        above, below = _steps(high, index, end, width=width, axis=axis, y=y), _steps(low, index, end, width=width, axis=axis, y=y)
        points = above + below[::-1]
        parts.append("M" + "L".join(f"{x:g} {level:g}" for x, level in points) + "Z")
        index = end
    return "".join(parts)


def _steps(values: Sequence[float], begin: int, end: int, *, width: float, axis: Axis, y: Callable[[float], float]) -> list[tuple[float, float]]:
    """The corners of a staircase, from left to right."""
    corners: list[tuple[float, float]] = [(axis.x(begin * width), y(values[begin]))]
    for index in range(begin + 1, end):
        if values[index] != values[index - 1]:
            corners += [(axis.x(index * width), y(values[index - 1])), (axis.x(index * width), y(values[index]))]
    return [*corners, (axis.x(end * width), y(values[end - 1]))]


def _line(values: Sequence[float | None], *, width: float, axis: Axis, y: Callable[[float], float]) -> str:
    """A level for each span of time; interrupted where nothing is known."""
    parts, pen = [], False
    for index, value in enumerate(values):
        if value is None:
            pen = False
            continue
        parts.append(f"{'L' if pen else 'M'}{axis.x(index * width):g} {y(value):g}H{axis.x((index + 1) * width):g}")
        pen = True
    return "".join(parts)
