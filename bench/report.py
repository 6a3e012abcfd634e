"""What a benchmark has to say: figures with their spread, goals met or missed, and the machine. As JSON, and as a table for people. No I/O."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One thing measured several times. `subject` is what was measured (`delta`, `static Envoy`), `case` under which circumstances."""

    case: str
    subject: str
    metric: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def quantile(self, share: float) -> float:
        """The smallest value that `share` of all values do not exceed; with few values the largest."""
        ordered = sorted(self.values)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    def to_json(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "subject": self.subject,
            "metric": self.metric,
            "unit": self.unit,
            "count": len(self.values),
            "min": min(self.values),
            "median": self.median,
            "p99": self.quantile(0.99),
            "max": max(self.values),
            "values": [round(value, 4) for value in self.values],
        }


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a figure should be at most."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": round(self.value, 4), "limit": self.limit, "unit": self.unit, "met": self.met}


@dataclass(kw_only=True)
class Report:
    """The result of one benchmark."""

    bench: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)

    def add(self, *, case: str, subject: str, metric: str, unit: str, values: Sequence[float]) -> Figure:
        """Note a figure; it is returned for goals that are about it."""
        figure = Figure(case=case, subject=subject, metric=metric, unit=unit, values=tuple(values))
        self.figures.append(figure)
        return figure

    def to_json(self) -> dict[str, Any]:
        return {
            "bench": self.bench,
            "machine": self.machine,
            "settings": self.settings,
            "figures": [figure.to_json() for figure in self.figures],
            "goals": [goal.to_json() for goal in self.goals],
        }

    def to_text(self) -> str:
        """Tables in Markdown, so that they can be read in a terminal and pasted into a document."""
        machine = ", ".join(f"{name} {value}" for name, value in self.machine.items())
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        rows = [
            (
                *(figure.case, figure.subject, _named(figure), str(len(figure.values))),
                *(_number(value) for value in (min(figure.values), figure.median, figure.quantile(0.99), max(figure.values))),
            )
            for figure in self.figures
        ]
        text = [f"## bench {self.bench}", "", f"Machine: {machine}.", f"Settings: {settings}.", ""]
        text += _table(("case", "subject", "figure", "n", "min", "median", "p99", "max"), rows)
        if self.goals:
            goals = [(goal.name, _number(goal.value), _number(goal.limit), goal.unit, "yes" if goal.met else "NO") for goal in self.goals]
            text += ["", *_table(("goal", "measured", "at most", "unit", "met"), goals)]
        return "\n".join(text) + "\n"


def _named(figure: Figure) -> str:
    return f"{figure.metric}, {figure.unit}" if figure.unit else figure.metric


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in (head, *rows)]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _number(value: float) -> str:
    """Three significant digits, and no exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
