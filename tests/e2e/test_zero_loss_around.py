"""What is around the app changes or fails while it fails over: endpoints, certificates, the control plane, the other cluster's API server.

Failover is Envoy's own work, so nobody loses a request. The load and the judgement are those of test_zero_loss.py.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from drill.gateway import CERTIFICATES_TAKEN
from drill.rollout import begin_restart, wait_until_over
from tests.e2e.clients import Record, clients, nothing_lost
from tests.e2e.conftest import LiveStack, until
from tests.e2e.faults import (
    BLUE_ENVOY,
    FAILOVER_GATEWAY,
    GATEWAY,
    GLOO,
    GLOO_FED,
    GREEN_ENVOY,
    Container,
    api_server,
    blue_switch,
    counted,
    frozen,
    pid_of,
    pods,
    remove_oldest_pod,
)
from tests.e2e.rotation import Authority, Side, connect_anew, sides

pytestmark = [pytest.mark.e2e, pytest.mark.loss]


def scale(stack: LiveStack, app: Container, replicas: int) -> None:
    """Give an app so many pods, and wait for as many to be ready."""
    deployment = ("deployment", "-n", app.namespace, app.app)
    stack.kubectl(app.cluster, "scale", *deployment, f"--replicas={replicas}")
    until(f"{app.app} has {replicas} ready pods", lambda: stack.get(app.cluster, *deployment)["status"].get("readyReplicas") == replicas)


def test_endpoints_come_and_go_during_the_failover(backend: LiveStack, record: Record) -> None:
    switch = blue_switch(backend)
    with clients(backend) as at_work:
        at_work.at(2)
        switch.fail()
        at_work.at(4)
        scale(backend, GREEN_ENVOY, 2)
        remove_oldest_pod(backend, GREEN_ENVOY)  # one that serves
        scale(backend, GREEN_ENVOY, 2)
        scale(backend, GREEN_ENVOY, 1)
        scale(backend, BLUE_ENVOY, 2)  # the new one is healthy, so that both priorities serve
        remove_oldest_pod(backend, BLUE_ENVOY)  # the failed one, which no one heals
        scale(backend, BLUE_ENVOY, 1)
    nothing_lost("endpoints come and go during the failover", at_work, record=record)


def kill(stack: LiveStack, part: Container) -> None:
    os.kill(pid_of(stack, part), signal.SIGKILL)


def restart(stack: LiveStack, part: Container) -> None:
    stack.kubectl(part.cluster, "delete", "pod", "-n", part.namespace, "--wait=false", pods(stack, part)[0]["metadata"]["name"])


@pytest.mark.parametrize("end", [kill, restart])
def test_the_control_plane_goes_away_during_the_failover(backend: LiveStack, record: Record, end: Callable[[LiveStack, Container], None]) -> None:
    switch = blue_switch(backend)
    with clients(backend) as at_work:
        at_work.at(4)
        for part in (GLOO, GLOO_FED):
            end(backend, part)
        failed = switch.fail()
        time.sleep(10)
        for part in (GLOO, GLOO_FED):
            end(backend, part)  # by now they are back, or nearly
        healed = switch.heal()
        for part in (GLOO, GLOO_FED):
            pid_of(backend, part)
    assert at_work.served(failed + 2.5, healed) == {"green-pod"}, "failover is Envoy's own work"
    nothing_lost(f"{end.__name__} of gloo and gloo-fed during the failover", at_work, record=record)


def test_the_remote_api_server_is_gone_during_the_failover(backend: LiveStack, record: Record) -> None:
    switch, pid = blue_switch(backend), api_server(backend, "remote")
    with clients(backend) as at_work:
        at_work.at(2)
        os.kill(pid, signal.SIGKILL)
        successor = until("it is started again", lambda: api_server(backend, "remote") not in (0, pid) and api_server(backend, "remote"))
        with frozen(successor):  # which takes connections, and answers nothing
            failed = switch.fail()
            time.sleep(10)
            healed = switch.heal()
            time.sleep(4)
        until("it answers again", lambda: backend.cluster_status("remote")["ready"], seconds=60)
    assert at_work.served(failed + 2.5, healed) == {"green-pod"}, "the last known endpoints of the other cluster stay"
    nothing_lost("the remote API server is gone", at_work, record=record)


@pytest.mark.parametrize("backend", ["everything"], indirect=True)
def test_the_gateways_are_replaced(backend: LiveStack, record: Record) -> None:
    """That of the clients while both apps are well, the standby's while it is needed, and again that of the clients: its only pod is deleted."""
    switch = blue_switch(backend)
    with clients(backend) as at_work:
        at_work.at(2)
        replace_pods(backend, GATEWAY)
        failed = switch.fail()
        until("green serves", lambda: "green-pod" in at_work.served(failed, time.monotonic()))
        replace_pods(backend, FAILOVER_GATEWAY)
        switch.heal()
        restart(backend, GATEWAY)
        wait_until_over(backend.target, GATEWAY)
    nothing_lost("the gateways are replaced", at_work, record=record)


def replace_pods(stack: LiveStack, gateway: Container) -> None:
    """`kubectl rollout restart`, until the old pods have ended."""
    begin_restart(stack.target, gateway)
    wait_until_over(stack.target, gateway)


@pytest.fixture
def both_sides(backend: LiveStack) -> Iterator[tuple[Side, Side]]:
    """The Secrets of both sides, whose content is put back afterwards."""
    server, client = sides(backend)
    before = [(side, side.read()) for side in (server, client)]
    yield server, client
    for side, content in before:
        if side.read() != content:
            side.write(content)


def test_leaves_and_authority_are_rotated_during_the_failover(backend: LiveStack, record: Record, both_sides: tuple[Side, Side]) -> None:
    """First the authorities, old and new, on both sides; then the certificates; then the old authority goes. Then the way back, in the same order."""
    switch, new = blue_switch(backend), Authority.create("next failover authority")
    before = {side.cluster: side.read() for side in both_sides}
    old = next(iter(before.values()))["ca.crt"]
    stages: dict[str, list[Callable[[Side], dict[str, str]]]] = {
        "both authorities, then new certificates": [lambda _: {"ca.crt": old + new.pem}, lambda side: new.issue(side.read()["tls.crt"])],
        "the new authority alone": [lambda _: {"ca.crt": new.pem}],
        "new certificates of the same authority": [lambda side: new.issue(side.read()["tls.crt"])],
        "and all the way back": [
            lambda _: {"ca.crt": old + new.pem},
            lambda side: before[side.cluster] | {"ca.crt": old + new.pem},
            lambda _: {"ca.crt": old},
        ],
    }
    with clients(backend) as at_work:
        at_work.at(2)
        for stage, writes in stages.items():
            failed = switch.fail()
            for content in writes:
                replace(backend, both_sides, content)
            until(f"the certificates were replaced while green served: {stage}", lambda: "green-pod" in at_work.served(failed, time.monotonic()))  # noqa: B023
            switch.heal()
            connect_anew(backend)
        switch.fail()
        time.sleep(3)
        switch.heal()
    nothing_lost("rotation of leaves and authority during the failover", at_work, record=record)


def replace(stack: LiveStack, both_sides: tuple[Side, Side], content: Callable[[Side], dict[str, str]]) -> None:
    """Write to the Secret of each side, and wait until its Envoy has taken it."""
    for side, gateway in zip(both_sides, (FAILOVER_GATEWAY, GATEWAY), strict=True):
        taken = counted(stack, gateway, CERTIFICATES_TAKEN)
        side.write(content(side))
        until(f"the Envoy in {side.cluster} has taken it", lambda: counted(stack, gateway, CERTIFICATES_TAKEN) > taken)  # noqa: B023
