"""What one run of one scenario saw and what was promised of it: plain values between who breaks, who measures and who judges. No I/O.

Points in time are those of `time.monotonic()`, as in drill.results, unless a field says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from drill.results import Result


class EventKind(StrEnum):
    """What an event is about."""

    WARM = "warm"
    """The warm-up has begun."""
    BREAK = "break"
    HEAL = "heal"
    HEALTH = "health"
    """The gateway has changed its mind about a priority."""
    SERVING = "serving"
    """The stack says that another tier serves."""
    NOTE = "note"


class Event(NamedTuple):
    """Something that happened during a run."""

    at: float
    kind: EventKind
    text: str
    """As a person would say it: "blue: POST /healthcheck/fail", "priority 0 unhealthy", "tier 1 (remote) serves"."""
    priority: int | None = None
    """Of HEALTH and SERVING: which priority it is about."""
    healthy: bool | None = None
    """Of HEALTH: whether it is healthy now."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What a scenario promises. None: not judged."""

    failed: int | None = 0
    """Requests that may fail, all together."""
    failed_reason: str = ""
    """Why that is not 0, for the report."""
    failed_beyond_in_flight: int | None = None
    """Instead of `failed`: failures beyond what was in flight at the break."""
    failed_only_until: float | None = None
    """Seconds after the break after which no request that is sent may fail."""
    detect_within: float | None = None
    """Seconds from the break until the gateway or the status of the FailoverScheme notices. Retries may hide from clients that nobody does."""
    switch_within: float | None = 5.0
    """Seconds from the break to the first answer of the expected server after which no other one answers."""
    recover_within: float | None = 10.0
    """Seconds from the heal to the same for the server of before."""
    failback_failed: int | None = 0
    """Of `failed`: those that were sent after the heal."""
    answered_within: float | None = None
    """Seconds from its place in the schedule within which every request ends, failed or not."""
    only_status: bool = False
    """Whether requests may fail only with a complete answer, such as 503."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Everything that one run of one scenario saw."""

    scenario: str
    title: str
    text: str
    stack: str
    started_at: str
    """ISO 8601, UTC."""
    rate: float
    """Requests a second."""
    request: str
    """Method and URL, such as "GET http://..."."""
    expected: tuple[str, str | None, str]
    """Who serves before, during and after: "blue-pod", "green-pod", "blue-pod". None: nobody can."""
    objective: Objective
    started: float
    """When the first request was scheduled."""
    results: tuple[Result, ...]
    events: tuple[Event, ...]
    causes: tuple[str, ...]
    """What is wrong with the stack, in sentences, by drill.causes; () when nothing is."""
    interrupted: bool = False
    """Somebody stopped it before its end."""
    despite: str = ""
    """What would have kept it from starting, had it not been told to start all the same; "" when nothing would."""
