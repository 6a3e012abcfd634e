"""Numbers as a person reads them, the same in a terminal, in a comparison and on the page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = "–"
"""For what did not happen, or is not known."""

TITLES: dict[str, str] = {
    "failed": "failed requests",
    "failback_failed": "failed after the heal",
    "first_affected": "first affected",
    "detect": "time to detect",
    "switch": "time to switch",
    "recover": "time to recover",
    "latency_before_p99": "p99 before",
    "latency_during_p99": "p99 during",
    "latency_after_p99": "p99 after",
    "slowest": "slowest request",
    "lag_p99": "probe's own delay, p99",
}
"""Of each measure in drill.repeat."""


def duration(seconds: float | None) -> str:
    """Three significant digits, in milliseconds below a second."""
    if seconds is None:
        return NOTHING
    if abs(seconds) < 1:
        value = seconds * 1000
        return f"{value:.2f} ms" if 0 < abs(value) < 1 else f"{value:.1f} ms" if 0 < abs(value) < 10 else f"{value:.0f} ms"
    return f"{seconds:.2f} s" if abs(seconds) < 10 else f"{seconds:.1f} s"


def count(number: float) -> str:
    """With separators between thousands; a half, such as a median may be, with a digit after the point."""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def amount(value: float | str | None, unit: str) -> str:
    """A value with its unit, as the documents have them: "s", "requests", or "" for words."""
    if value is None or isinstance(value, str):
        return value or NOTHING
    return duration(value) if unit == "s" else count(value)


def spread(values: Mapping[str, Any]) -> str:
    """The median of a spread, as it is in a document, and its range where there is one: `0.45 s (0.40 s to 0.52 s)`."""
    median, least, most = (amount(values[name], values["unit"]) for name in ("median", "min", "max"))
    return median if values["min"] == values["max"] else f"{median} ({least} to {most})"
