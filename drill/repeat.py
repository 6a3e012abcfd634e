"""What several runs of one scenario say together: the median of each measure, and how far the runs lie apart. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

MEASURES: dict[str, str] = {
    "failed": "requests",
    "failback_failed": "requests",
    "first_affected": "s",
    "detect": "s",
    "switch": "s",
    "recover": "s",
    "latency_before_p99": "s",
    "latency_during_p99": "s",
    "latency_after_p99": "s",
    "slowest": "s",
    "lag_p99": "s",
}
"""What is compared between runs, with its unit. Of each, less is better."""


def figures(measures: Mapping[str, Any]) -> dict[str, float | None]:
    """These measures of one run, out of the run's `measures` in a document."""
    latency = {phase: (part["latency"] or {}).get("p99") for phase, part in measures["phases"].items()}
    return {
        "failed": measures["failed"],
        "failback_failed": measures["failback_failed"],
        "first_affected": measures["first_affected"],
        "detect": measures["detect"],
        "switch": measures["switch"],
        "recover": measures["recover"],
        **{f"latency_{phase}_p99": value for phase, value in latency.items()},
        "slowest": (measures["total"]["latency"] or {}).get("max"),
        "lag_p99": (measures["lag"] or {}).get("p99"),
    }


def spread(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Measure to `{"unit", "count", "median", "min", "max", "stdev"}` over the `measures` of runs. `count`: of how many runs it is known; a run in
    which it did not happen is none of them, and median, least and largest are None when there is none at all."""
    each = [figures(measures) for measures in runs]
    return {name: _spread([run[name] for run in each], unit) for name, unit in MEASURES.items()}


def _spread(values: Sequence[float | None], unit: str) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    if not known:
        return {"unit": unit, "count": 0, "median": None, "min": None, "max": None, "stdev": None}
    return {
        "unit": unit,
        "count": len(known),
        "median": round(statistics.median(known), 5),
        "min": min(known),
        "max": max(known),
        "stdev": round(statistics.stdev(known), 5) if len(known) > 1 else None,
    }
