"""Who serves, as `make status` prints it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from cli.serving import described

pytestmark = pytest.mark.unit

NOW = datetime.datetime(2026, 11, 24, 21, 1, 5, tzinfo=datetime.UTC)


def scheme(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "failover-scheme"}, "status": {"state": "ACCEPTED", **status}}


SERVING = {"name": "tier 1 (remote)", "since": "2026-11-24T21:00:00.123Z", "message": "priority 0: 10.0.0.1:80 failed its health check"}


def test_a_failover_is_told_with_its_time_and_reason() -> None:
    lines = described(
        scheme(
            serving=SERVING,
            tiers=[
                {"priority": 0, "clusters": ["local"], "healthy": 0, "total": 1, "requestShare": 0},
                {"priority": 1, "clusters": ["remote"], "healthy": 1, "total": 1, "requestShare": 100, "proven": True},
            ],
        ),
        now=NOW,
    )
    assert lines == [
        "failover-scheme: tier 1 (remote) serves since 2026-11-24T21:00:00.123Z (0h01m04s): priority 0: 10.0.0.1:80 failed its health check",
        "  primary (local)  0 of 1 healthy, 0 % of the requests",
        "  tier 1 (remote)  1 of 1 healthy, 100 % of the requests, standby proven",
    ], "who, since when, why, and how each tier is"


def test_a_standby_that_would_not_work_is_not_overlooked() -> None:
    tier = {"priority": 1, "clusters": ["remote"], "total": 1, "proven": False, "unprovenReason": "10.0.1.1:15443 failed its health check"}
    (_, line) = described(scheme(serving=SERVING, tiers=[tier]), now=NOW)
    assert line.endswith("0 of 1 healthy, no requests lately, STANDBY NOT PROVEN: 10.0.1.1:15443 failed its health check"), "in capitals"


def test_what_is_old_says_so() -> None:
    lines = described(scheme(serving={**SERVING, "stale": "cluster local: lost"}), now=NOW)
    assert lines[1] == "  this may be old: cluster local: lost", "before anybody relies on it"


def test_before_anything_is_known_the_state_is_shown() -> None:
    assert described(scheme(state="INVALID", message="spec.primary: no such cluster"), now=NOW) == [
        "failover-scheme: INVALID, and not known yet who serves. spec.primary: no such cluster"
    ], "why it is not known"
