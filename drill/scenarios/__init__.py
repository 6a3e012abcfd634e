"""Every way in which the drill breaks a stack, by name, in the order in which `--list` shows them and the default set runs them."""

from __future__ import annotations

from drill.scenario import Scenario
from drill.scenarios import app, certificates, control_plane, gateways, pods

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        app.UNHEALTHY,
        app.KILLED,
        app.FROZEN,
        app.SICK,
        app.FLAPPING,
        app.COLD,
        pods.DELETED,
        pods.SCALED_TO_ZERO,
        pods.BOTH_DOWN,
        gateways.FAILOVER_GATEWAY_KILLED,
        gateways.GATEWAY_RESTARTED,
        control_plane.KILLED,
        control_plane.PRIMARY_API_GONE,
        control_plane.STANDBY_API_GONE,
        certificates.ROTATED,
        certificates.EXPIRED,
    )
}
"""Scenario by name."""

DEFAULT: tuple[str, ...] = tuple(SCENARIOS)
"""What runs when nothing is named, as far as the stack's clusters can do it."""
