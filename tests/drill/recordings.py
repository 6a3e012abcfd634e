"""Recordings made up by hand, for tests of what is said about them: requests every 5 ms, each answered as a table says."""

from __future__ import annotations

from functools import cache
from typing import Any

from drill.record import Event, EventKind, Objective, Recording
from drill.results import Kind, Result

STARTED = 1000.0
RATE = 200.0
BLUE, GREEN = "blue-pod", "green-pod"

Stretch = tuple[float, str | Kind, float]
"""Seconds it lasts, who answers (or how requests fail), and how long each takes."""

FAILOVER: tuple[Stretch, ...] = ((2.0, BLUE, 0.002), (1.0, Kind.STATUS, 0.003), (2.0, GREEN, 0.004), (0.5, GREEN, 0.004), (2.5, BLUE, 0.002))
"""Blue, a second of failures from the break at 2 s on, green, the heal at 5 s, and blue again half a second later."""
EVENTS = (
    Event(STARTED, EventKind.HEALTH, "priority 0 healthy", 0, True),
    Event(STARTED, EventKind.HEALTH, "priority 1 healthy", 1, True),
    Event(STARTED + 2.0, EventKind.BREAK, "blue: POST /healthcheck/fail"),
    Event(STARTED + 2.75, EventKind.HEALTH, "priority 0 unhealthy", 0, False),
    Event(STARTED + 5.0, EventKind.HEAL, "blue: POST /healthcheck/ok"),
    Event(STARTED + 5.25, EventKind.HEALTH, "priority 0 healthy", 0, True),
)


@cache
def results(stretches: tuple[Stretch, ...]) -> tuple[Result, ...]:
    made: list[Result] = []
    begin = 0.0
    for seconds, who, took in stretches:
        for _ in range(round(seconds * RATE)):
            at = STARTED + len(made) / RATE
            kind = who if isinstance(who, Kind) else Kind.OK
            status = {Kind.OK: 200, Kind.STATUS: 503}.get(kind, 0)
            server = who if kind is Kind.OK else "no healthy upstream" if kind is Kind.STATUS else ""
            made.append(Result(len(made), at, at + 0.0001, took, kind, status, str(server), "" if status else f"{kind}!"))
        begin += seconds
    return tuple(made)


def recording(stretches: tuple[Stretch, ...] = FAILOVER, **values: Any) -> Recording:
    """The failover above, or another one; `values` replace fields."""
    return Recording(
        **{
            "scenario": "app-unhealthy",
            "title": "The app reports itself unhealthy",
            "text": "Blue answers its health check with 503 and goes on serving. Nothing may be lost.",
            "stack": "embedded",
            "started_at": "2026-11-26T02:00:00+00:00",
            "rate": RATE,
            "request": "GET http://127.77.229.50:8080",
            "expected": (BLUE, GREEN, BLUE),
            "objective": Objective(),
            "started": STARTED,
            "results": results(stretches),
            "events": EVENTS,
            "causes": (),
            **values,
        }
    )
