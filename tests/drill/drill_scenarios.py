"""Scenarios that break nothing, for tests of what is done with scenarios."""

from __future__ import annotations

from typing import Any

from drill.record import Objective
from drill.scenario import Expected, Scenario
from service_failover.cluster_settings import ClusterKind

EMBEDDED_ONLY = frozenset({ClusterKind.EMBEDDED})


def scenario(name: str, **changes: Any) -> Scenario:
    plan: dict[str, Any] = {"hold": 4.0, "settle": 5.0, "expected_during": Expected.GREEN, "objective": Objective(), **changes}
    return Scenario(**{"name": name, "title": f"title of {name}", "text": "", "break_": lambda _: None, "heal": lambda _: None, **plan})


FROZEN = scenario("frozen", kinds=EMBEDDED_ONLY, why_not={ClusterKind.EXISTING: "no signal reaches a process there"})
KNOWN = {each.name: each for each in (scenario("unhealthy"), FROZEN, scenario("both-down", expected_during=Expected.NOBODY))}
