"""The proxies: the standby's failover gateway is killed, and the gateway that clients call is restarted."""

from __future__ import annotations

from drill.containers import make_fresh, wait_until_ready
from drill.processes import kill
from drill.record import Objective
from drill.rollout import begin_restart, wait_until_over
from drill.scenario import Expected, Scenario
from drill.settled import settle
from drill.target import Target


def _prepare_failover_gateway(target: Target) -> None:
    make_fresh(target, target.failover_gateway)


def _kill_failover_gateway(target: Target) -> None:
    kill(target, target.failover_gateway)


def _wait_for_failover_gateway(target: Target) -> None:
    wait_until_ready(target, target.failover_gateway)
    settle(target)


def _restart_gateway(target: Target) -> None:
    target.mark("kubectl rollout restart deployment gateway-proxy")
    begin_restart(target, target.gateway)


def _wait_for_gateway(target: Target) -> None:
    wait_until_over(target, target.gateway)
    settle(target)


FAILOVER_GATEWAY_KILLED = Scenario(
    name="failover-gateway-killed",
    title="The failover gateway of the standby's cluster is killed",
    text="kill -9 of the proxy through which the standby is reached (where pods are no processes of this machine: its pods are deleted without "
    "grace). The primary serves all the while; the health check finds the standby unreachable until the proxy is back.",
    objective=Objective(),
    expected_during=Expected.BLUE,
    hold=4,
    settle=2,
    prepare=_prepare_failover_gateway,
    break_=_kill_failover_gateway,
    heal=_wait_for_failover_gateway,
)

GATEWAY_RESTARTED = Scenario(
    name="gateway-restarted",
    title="The gateway proxy is restarted",
    text="kubectl rollout restart of the gateway that clients call: when a new proxy is ready, the old one asks its clients to connect anew, and "
    "ends when they have gone. It is healed when the old one has ended.",
    objective=Objective(),
    expected_during=Expected.BLUE,
    hold=6,
    settle=2,
    break_=_restart_gateway,
    heal=_wait_for_gateway,
)
