"""The app fails in every way it can while clients send 300 requests a second: nobody loses one, and green serves meanwhile.

Each case runs with both backends: an app that fails every request when it reports itself unhealthy, as the guide's does, and one that fails only its
health check.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.e2e.clients import WITH_POSTS, Record, clients, nothing_lost
from tests.e2e.conftest import LiveStack
from tests.e2e.faults import BLUE_ECHO, BLUE_ENVOY, GATEWAY, Container, blue_switch, fresh_pid_of, frozen, hosts, pid_of, pods, settled

pytestmark = [pytest.mark.e2e, pytest.mark.loss]

SETTLED = 2.5
"""Seconds after which a switch has been made: the interval of the health check (1 s), its timeout (1 s), and some."""


def test_the_app_reports_itself_unhealthy_and_healthy_again(backend: LiveStack, record: Record) -> None:
    switch = blue_switch(backend)
    with clients(backend, methods=WITH_POSTS) as at_work:
        at_work.at(5)
        failed = switch.fail()
        at_work.at(15)
        healed = switch.heal()
    assert at_work.served(failed + SETTLED, healed) == {"green-pod"}, "green has taken over"
    assert at_work.served(healed + SETTLED, healed + 15) == {"blue-pod"}, "blue has taken back"
    nothing_lost("signalled fail and ok", at_work, record=record)


@pytest.mark.parametrize("container", [BLUE_ENVOY, BLUE_ECHO], ids=["its Envoy", "its http-echo"])
def test_the_app_is_killed(backend: LiveStack, record: Record, container: Container) -> None:
    pid = fresh_pid_of(backend, container)
    with clients(backend) as at_work:
        at_work.at(5)
        os.kill(pid, signal.SIGKILL)
    nothing_lost(f"kill -9 of the app ({container.name})", at_work, record=record)


def test_the_app_hangs(backend: LiveStack, record: Record) -> None:
    pids = [pid_of(backend, container) for container in (BLUE_ENVOY, BLUE_ECHO)]
    with clients(backend) as at_work:
        at_work.at(5)
        with frozen(*pids):
            hung = time.monotonic()
            at_work.at(13)
            woken = time.monotonic()
    assert at_work.served(hung + SETTLED, woken) == {"green-pod"}, "green has taken over"
    nothing_lost("SIGSTOP of the app for 8 s", at_work, record=record)


def test_the_app_flaps(backend: LiveStack, record: Record) -> None:
    switch, moods = blue_switch(backend), random.Random(5)  # noqa: S311
    flips = 0
    with clients(backend, methods=WITH_POSTS) as at_work:
        at_work.at(2)
        while time.monotonic() < at_work.probe.started + 24:
            (switch.fail, switch.heal)[flips % 2]()
            flips += 1
            time.sleep(moods.uniform(0.1, 0.9))
        switch.heal()
    assert flips >= 20, "it flapped as fast as the test says"
    nothing_lost("flapping every 100 to 900 ms", at_work, record=record)


def test_the_app_fails_before_any_traffic(backend: LiveStack, record: Record) -> None:
    switch = blue_switch(backend)
    (old,) = (pod["metadata"]["name"] for pod in pods(backend, GATEWAY))
    backend.kubectl("local", "delete", "pod", "-n", "gloo-system", old)
    settled(backend)
    assert [host.requests for host in hosts(backend)] == [0, 0], "the new gateway has sent nothing yet"
    failed = switch.fail()
    with clients(backend, methods=WITH_POSTS, settle=False) as at_work:
        at_work.at(15)
        healed = switch.heal()
    assert at_work.served(failed + SETTLED, healed) == {"green-pod"}, "blue is found out without any traffic"
    assert at_work.probe.started - failed < 3, "the first request came soon after"
    nothing_lost("fail before any traffic", at_work, record=record, from_blue=False)


def test_the_app_is_killed_with_many_requests_in_flight(backend: LiveStack, record: Record) -> None:
    pid = fresh_pid_of(backend, BLUE_ENVOY)
    with clients(backend, headers={"x-envoy-fault-delay-request": "500"}) as at_work:
        at_work.at(5)
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
    retried = sum(result.sent < killed < result.done and result.server == "green-pod" for result in at_work.probe.results)
    assert retried > 50, "that many were in flight, and went to green together"
    nothing_lost(f"kill -9 with {retried} requests in flight", at_work, record=record)
