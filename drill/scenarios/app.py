"""The app fails, in every way it can: by its own word, by a signal, in silence, again and again, and before anybody has called it."""

from __future__ import annotations

import random
import time

from drill.containers import make_fresh, wait_until_ready
from drill.processes import freeze, kill, processes, thaw
from drill.record import Objective
from drill.rollout import restart
from drill.scenario import Expected, Scenario
from drill.switch import switch_of
from drill.target import Target
from service_failover.cluster_settings import ClusterKind

FLAPS = 6.0
"""Seconds for which it flaps."""
BETWEEN_FLAPS = (0.1, 0.9)
"""Seconds between two of its changes, at least and at most."""
NO_SIGNALS = "needs a signal to the app's processes; the Kubernetes API has none, and a container's first process cannot be stopped from within"


def fail(target: Target) -> None:
    """The primary reports itself unhealthy."""
    with switch_of(target, target.primary) as switch:
        target.mark(f"{target.primary.color}: POST /healthcheck/fail")
        switch.fail()


def heal(target: Target) -> None:
    """It is healthy again."""
    with switch_of(target, target.primary) as switch:
        target.mark(f"{target.primary.color}: POST /healthcheck/ok")
        switch.heal()


def _prepare_to_kill(target: Target) -> None:
    make_fresh(target, target.primary.envoy)


def _kill(target: Target) -> None:
    if target.embedded:
        kill(target, target.primary.envoy)
        return
    with switch_of(target, target.primary) as switch:
        target.mark(f"{target.primary.color}: POST /quitquitquit")
        switch.quit()


def _wait_for_primary(target: Target) -> None:
    wait_until_ready(target, target.primary.envoy)


def _freeze(target: Target) -> None:
    pids = processes(target, target.primary.envoy, target.primary.echo)
    target.mark(f"{target.primary.color}: SIGSTOP of {len(pids)} processes")
    freeze(*pids)


def _thaw(target: Target) -> None:
    pids = processes(target, target.primary.envoy, target.primary.echo)
    target.mark(f"{target.primary.color}: SIGCONT of {len(pids)} processes")
    thaw(*pids)


def _sicken(target: Target) -> None:
    with switch_of(target, target.primary) as switch:
        target.mark(f"{target.primary.color}: 503 to everything but its health check")
        switch.sicken()


def _cure(target: Target) -> None:
    with switch_of(target, target.primary) as switch:
        target.mark(f"{target.primary.color}: answers again")
        switch.cure()


def _flap(target: Target) -> None:
    """Ends with the app unhealthy."""
    moods = random.Random(5)  # noqa: S311 - the same pauses each time
    with switch_of(target, target.primary) as switch:
        target.mark(f"{target.primary.color}: POST /healthcheck/fail and ok, again and again")
        until = time.monotonic() + FLAPS
        while time.monotonic() < until:
            switch.fail()
            time.sleep(moods.uniform(*BETWEEN_FLAPS))
            switch.heal()
            time.sleep(moods.uniform(*BETWEEN_FLAPS))
        switch.fail()


def _start_gateway_anew(target: Target) -> None:
    restart(target, target.gateway)


UNHEALTHY = Scenario(
    name="app-unhealthy",
    title="The app reports itself unhealthy",
    text="POST /healthcheck/fail at the admin port of the primary's Envoy, as in the guide: its health check fails, and so does every request that "
    "it gets. The request that meets it is sent again, to the standby; later ones go there at once.",
    objective=Objective(detect_within=5),
    expected_during=Expected.GREEN,
    hold=4,
    settle=3,
    break_=fail,
    heal=heal,
)

KILLED = Scenario(
    name="app-killed",
    title="The app is killed",
    text="kill -9 of the primary's Envoy (where pods are no processes of this machine: its POST /quitquitquit). Requests in flight are sent again, "
    "to the standby, which serves until Kubernetes has restarted the container; then the primary serves again by itself, and the switch that is "
    "measured is the one back to it.",
    objective=Objective(switch_within=10),
    expected_during=Expected.BLUE,
    hold=5,
    settle=2,
    prepare=_prepare_to_kill,
    break_=_kill,
    heal=_wait_for_primary,
)

FROZEN = Scenario(
    name="app-frozen",
    title="The app hangs",
    text="SIGSTOP of the primary's Envoy and app: connections stay open, and nothing is answered. A GET that is silent for a second is raced by "
    "another one, to the standby, so those answers are a second late until the health check has timed out.",
    objective=Objective(detect_within=5),
    expected_during=Expected.GREEN,
    hold=5,
    settle=4,
    break_=_freeze,
    heal=_thaw,
    kinds=frozenset({ClusterKind.EMBEDDED}),
    why_not={ClusterKind.KIND: NO_SIGNALS, ClusterKind.EXISTING: NO_SIGNALS},
)

SICK = Scenario(
    name="app-sick",
    title="The app is sick and says that it is healthy",
    text="The primary answers every request with 503 and its health check with 200, so nothing takes it out. Each request that may be "
    "repeated is sent again, to the standby, within milliseconds. A 500 would be passed on: that is an app's own answer.",
    objective=Objective(),
    expected_during=Expected.GREEN,
    hold=4,
    settle=2,
    break_=_sicken,
    heal=_cure,
)

FLAPPING = Scenario(
    name="app-flapping",
    title="The app flaps",
    text=f"The primary reports itself unhealthy and healthy again every {BETWEEN_FLAPS[0] * 1000:.0f} to {BETWEEN_FLAPS[1] * 1000:.0f} ms for "
    f"{FLAPS:g} s, faster than any health check, and stays unhealthy at last.",
    objective=Objective(detect_within=5, switch_within=FLAPS + 5),
    expected_during=Expected.GREEN,
    hold=3,
    settle=3,
    break_=_flap,
    heal=heal,
)

COLD = Scenario(
    name="cold-failure",
    title="The app fails before any traffic",
    text="A new gateway has sent no request yet when the primary reports itself unhealthy. It has to know that by its health check alone: the first "
    "request comes afterwards, and the standby answers it.",
    objective=Objective(detect_within=5),
    expected_during=Expected.GREEN,
    hold=4,
    settle=3,
    prepare=_start_gateway_anew,
    warm_up=False,
    break_=fail,
    heal=heal,
)
