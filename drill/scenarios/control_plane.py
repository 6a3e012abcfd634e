"""Nothing but Envoy is needed for a failover: the control plane is killed, or an API server goes away, and then the app fails."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from dataclasses import replace

from cli.workspace import CommandFailed
from drill.containers import make_fresh, wait_until_ready
from drill.processes import api_server, freeze, kill, signal_to, thaw
from drill.record import Objective
from drill.scenario import Expected, Scenario
from drill.scenarios import app
from drill.switch import Switch, switch_of
from drill.target import Target
from drill.waiting import wait_for
from service_failover.cluster_settings import ClusterKind

STARTED_WITHIN = 30.0
"""Seconds in which an API server that was killed is started again."""
ANSWERS_WITHIN = 60.0
ADMIN_PORTS = "admin ports of the primary"
"""Name of the note that keeps them while the API server cannot be asked."""
NO_API_SERVER = "an API server cannot take itself away; stop it where it runs, with drill.probe running beside it"


def _prepare_control_plane(target: Target) -> None:
    for container in (target.gloo, target.standby_gloo, target.gloo_fed):
        make_fresh(target, container)


def _kill_control_plane(target: Target) -> None:
    with switch_of(target, target.primary) as switch:
        kill(target, target.gloo, target.standby_gloo, target.gloo_fed)
        target.mark(f"{target.primary.color}: POST /healthcheck/fail")
        switch.fail()


def _heal_control_plane(target: Target) -> None:
    app.heal(target)
    for container in (target.gloo, target.standby_gloo, target.gloo_fed):
        wait_until_ready(target, container)


def _taken_away(cluster_of: Callable[[Target], str]) -> Callable[[Target], None]:
    def take_away(target: Target) -> None:
        cluster = cluster_of(target)
        with switch_of(target, target.primary) as switch:
            target.notes.keep(ADMIN_PORTS, list(switch.urls))
            pid = api_server(target, cluster)
            target.mark(f"the API server of {cluster}: kill -9; {target.primary.color}: POST /healthcheck/fail")
            signal_to(pid, signal.SIGKILL)
            switch.fail()
            freeze(_next(target, cluster, after=pid))
            target.mark(f"the API server of {cluster}, started again: SIGSTOP")

    return take_away


def _next(target: Target, cluster: str, *, after: int) -> int:
    return wait_for(
        f"the API server of {cluster} is started again",
        lambda: found if (found := api_server(target, cluster)) != after else 0,
        seconds=STARTED_WITHIN,
    )


def _given_back(cluster_of: Callable[[Target], str]) -> Callable[[Target], None]:
    def give_back(target: Target) -> None:
        cluster = cluster_of(target)
        target.mark(f"the API server of {cluster}: SIGCONT; {target.primary.color}: POST /healthcheck/ok")
        thaw(api_server(target, cluster))
        # The API server needs some seconds before it can say where the app is.
        with contextlib.suppress(CommandFailed):
            Switch(urls=target.notes.get(ADMIN_PORTS) or ()).heal()
        _thaw_until_it_answers(target, cluster)
        app.heal(target)  # whatever pods it has by now
        target.notes.drop(ADMIN_PORTS)

    return give_back


def _thaw_until_it_answers(target: Target, cluster: str) -> None:
    """Whoever is the API server now goes on: the supervisor may have made a new one meanwhile."""

    def answers() -> bool:
        thaw(api_server(target, cluster))
        return target.kubectl(cluster, "get", "--raw", "/readyz", "--request-timeout=2s").strip() == "ok"

    wait_for(f"the API server of {cluster} answers", answers, seconds=ANSWERS_WITHIN)


def _primary(target: Target) -> str:
    return target.primary.cluster


def _standby(target: Target) -> str:
    return target.standby.cluster


KILLED = Scenario(
    name="control-plane-killed",
    title="The control plane is killed, and then the app fails",
    text="kill -9 of gloo in both clusters and of gloo-fed (where pods are no processes of this machine: their pods are deleted without grace), and "
    "at once the primary reports itself unhealthy. Envoy needs none of them.",
    objective=Objective(),
    expected_during=Expected.GREEN,
    hold=4,
    settle=3,
    prepare=_prepare_control_plane,
    break_=_kill_control_plane,
    heal=_heal_control_plane,
)

PRIMARY_API_GONE = Scenario(
    name="primary-api-gone",
    title="The API server of the primary's cluster is gone, and the app fails",
    text="kill -9 of the API server, and SIGSTOP of the one that is started in its place: it takes connections and answers nothing. At the "
    "same moment the primary reports itself unhealthy. The proxies go on with what they know.",
    objective=Objective(detect_within=5),
    expected_during=Expected.GREEN,
    hold=4,
    settle=3,
    break_=_taken_away(_primary),
    heal=_given_back(_primary),
    kinds=frozenset({ClusterKind.EMBEDDED}),
    why_not={ClusterKind.KIND: NO_API_SERVER, ClusterKind.EXISTING: NO_API_SERVER},
)

STANDBY_API_GONE = replace(
    PRIMARY_API_GONE,
    name="standby-api-gone",
    title="The API server of the standby's cluster is gone, and the app fails",
    text="The same in the other cluster: the last known way to the standby stays, and it serves.",
    break_=_taken_away(_standby),
    heal=_given_back(_standby),
)
