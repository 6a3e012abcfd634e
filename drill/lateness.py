"""What makes a stack late, by its configuration: a health check that is slow to notice or slow to trust, and a route that lets requests wait. Pure.

Late is what takes longer than a scenario promises where it says nothing else (drill.record).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drill.record import Objective
from drill.words import duration
from gloo_api.meta import parse_duration

NOTICED_WITHIN = 5.0
"""Seconds in which the scenarios want a failure to be noticed."""
TRUSTED_WITHIN = Objective().recover_within or 0.0
"""Seconds in which an app that is healthy again is to serve."""
ANSWERED_WITHIN = 15.0
"""Seconds that the gateway gives a request where the route says nothing else."""


def late_health(upstream: Mapping[str, Any], *, title: str) -> Iterator[str]:
    """Health checks of an Upstream that take longer than that."""
    for index, check in enumerate(upstream["spec"].get("healthChecks") or []):
        place, interval = f"spec.healthChecks[{index}]", _seconds(check.get("interval"))
        bad, good = int(check.get("unhealthyThreshold") or 1), int(check.get("healthyThreshold") or 1)
        pause = _seconds(check.get("unhealthyInterval")) or interval
        if (trusted := good * pause) > TRUSTED_WITHIN:
            yield (
                f"{title} is held for healthy only after {good} good answers, {duration(pause)} apart ({place}: healthyThreshold, unhealthyInterval "
                f"or interval): it serves again {duration(trusted)} after it is"
            )
        if (noticed := bad * (interval + _seconds(check.get("timeout")))) > NOTICED_WITHIN:
            yield (
                f"{title} is held for unhealthy only after {bad} checks without an answer ({place}: unhealthyThreshold, interval, timeout): an app "
                f"that is silent is noticed after up to {duration(noticed)}"
            )


def late_routes(resource: Mapping[str, Any], *, title: str) -> Iterator[str]:
    """Routes of a VirtualService or RouteTable that let a request wait longer than that."""
    spec = resource["spec"]
    for index, route in enumerate((spec.get("virtualHost") or spec).get("routes", [])):
        timeout = (route.get("options") or {}).get("timeout")
        if timeout == "0s" or _seconds(timeout) > ANSWERED_WITHIN:
            longest = "for ever" if timeout == "0s" else duration(_seconds(timeout))
            yield f"{title} lets a request wait {longest} where nobody answers (routes[{index}].options.timeout: {timeout})"


def _seconds(value: object) -> float:
    """0 for what is not there, or no duration; an object with one is refused by gloo, which is a cause of its own."""
    try:
        return parse_duration(value).total_seconds()
    except ValueError:
        return 0.0
