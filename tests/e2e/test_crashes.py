"""Each part is killed with kill -9 while clients call the gateway: it comes back by itself, and clients are served meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from drill.load import Load, Request
from drill.probe import Probe
from tests.e2e.conftest import LiveStack
from tests.e2e.faults import BLUE_ENVOY, GATEWAY, GLOO, GLOO_FED, kill_api_server, kill_container, pid_of

pytestmark = pytest.mark.e2e


def load(stack: LiveStack) -> Load:
    return Load(requests=(Request(url=stack.url),), rate=50, seconds=60)


WITHOUT_LOSS: dict[str, Callable[[LiveStack], None]] = {
    "blue's app": lambda stack: kill_container(stack, BLUE_ENVOY),
    "gloo": lambda stack: kill_container(stack, GLOO),
    "gloo-fed": lambda stack: kill_container(stack, GLOO_FED),
    "the local API server": lambda stack: kill_api_server(stack, "local"),
    "the remote API server": lambda stack: kill_api_server(stack, "remote"),
}


@pytest.mark.parametrize("part", WITHOUT_LOSS)
def test_a_killed_part_heals_and_no_request_is_lost(stack: LiveStack, part: str) -> None:
    with Probe(load(stack)) as traffic:
        time.sleep(0.5)
        WITHOUT_LOSS[part](stack)
        time.sleep(1)
    assert traffic.summary().failed == 0, f"clients do not notice that {part} was killed"
    assert set(traffic.summary().servers) <= {"blue-pod", "green-pod"}, "one of the two apps answers"


def test_a_killed_gateway_comes_back_with_its_configuration(stack: LiveStack) -> None:
    kill_container(stack, GATEWAY)
    with Probe(load(stack)) as traffic:
        time.sleep(2)
    assert traffic.summary().failed == 0, "once ready again, the gateway serves every request"


def test_failover_works_while_both_control_plane_processes_are_down_or_coming_back(stack: LiveStack) -> None:
    pids = [pid_of(stack, part) for part in (GLOO, GLOO_FED)]
    with Probe(load(stack)) as traffic:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        failed = stack.cli("fail")
        time.sleep(1.5)
        healed = stack.cli("heal")
        time.sleep(2.5)
    assert failed.returncode == healed.returncode == 0, "the app's switch needs no control plane"
    assert traffic.summary().failed == 0, "and neither does failover"
    assert "green-pod" in traffic.summary().servers, "green took over"
