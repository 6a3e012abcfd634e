"""The end of a gateway proxy: the hook, as its container gets it, run beside a real Envoy with clients."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml

import toolchain
from service_failover import envoy
from service_failover.addressing import CONTAINERS, EMBEDDED
from service_failover.draining import GRACE_SECONDS, LONGEST_SECONDS, QUIET_SECONDS, drained_first

pytestmark = pytest.mark.envoy

ADDRESS = "127.0.77.4"
"""An address of this machine that nothing else listens on: the ports are the real ones."""
URL = f"http://{ADDRESS}:8080/"
READY = f"http://{ADDRESS}:{envoy.READINESS_PORT}{envoy.READINESS_PATH}"
DEADLINE = 30.0


def gateway() -> dict[str, Any]:
    """The proxy's own bootstrap, with a client's listener in place of what it gets from gloo."""
    text = yaml.safe_dump(envoy.gateway_proxy_bootstrap(EMBEDDED)).replace("$(POD_IP)", ADDRESS)
    config: dict[str, Any] = yaml.safe_load(text)
    del config["dynamic_resources"]
    static = config["static_resources"]
    static["clusters"] = []
    (readiness,) = [each for each in static["listeners"] if each["name"] == "readiness"]
    clients = yaml.safe_load(yaml.safe_dump(readiness))
    clients["name"] = "clients"
    clients["address"]["socket_address"]["port_value"] = 8080
    manager = clients["filter_chains"][0]["filters"][0]["typed_config"]
    manager["stat_prefix"] = "gateway-proxy"
    manager["route_config"]["virtual_hosts"][0]["routes"] = [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]
    static["listeners"] = [readiness, clients]
    return config


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[None]:
    command = [str(toolchain.find("envoy")), "--config-yaml", yaml.safe_dump(gateway()), "--disable-hot-restart", "--concurrency", "1"]
    log = tmp_path / "envoy"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            until("the proxy answers", lambda: answers(READY), log=log)
            yield
        finally:
            process.kill()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def until(what: str, condition: Any, *, log: Path | None = None) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE:g} s: {what}\n{log.read_text()[-2000:] if log else ''}"
        time.sleep(0.02)


@contextmanager
def hook(*, quiet: int = 1, longest: int = 60) -> Iterator[subprocess.Popen[bytes]]:
    """The hook's command in the container's environment, with other times."""
    command = drained_first(EMBEDDED)["preStop"]["exec"]["command"]
    script = command[-1].replace(f"QUIET={QUIET_SECONDS}", f"QUIET={quiet}").replace(f"LONGEST={LONGEST_SECONDS}", f"LONGEST={longest}")
    with subprocess.Popen([*command[:-1], script], env={"PATH": os.environ["PATH"], "POD_IP": ADDRESS}) as process:
        try:
            yield process
        finally:
            process.kill()


def is_asked_to_leave(client: httpx.Client) -> bool:
    answer = client.get(URL)
    assert answer.status_code == 200, "whoever still comes is served"
    return answer.headers.get("connection") == "close"


@pytest.mark.usefixtures("proxy")
def test_a_proxy_without_clients_ends_soon() -> None:
    with hook() as draining:
        assert draining.wait(DEADLINE) == 0
        assert answers(READY), "it is ready to its end: where it is the only one, requests still come to it"


@pytest.mark.usefixtures("proxy")
def test_clients_are_asked_to_connect_anew_and_waited_for() -> None:
    with httpx.Client() as client, hook(quiet=4) as draining:
        until("an answer asks to connect anew", lambda: is_asked_to_leave(client))
        for _ in range(30):
            assert is_asked_to_leave(client), "each of them, on a new connection"
            assert draining.poll() is None, "a client that comes now and then keeps it there"
            time.sleep(0.1)
        assert draining.wait(DEADLINE) == 0, "it is gone, and so is the reason to stay"


@pytest.mark.usefixtures("proxy")
def test_a_client_that_keeps_its_connection_and_says_nothing_is_waited_for_no_longer_than_allowed() -> None:
    with httpx.Client() as client:
        client.get(URL)
        with hook(longest=3) as draining:
            assert draining.wait(DEADLINE) == 0


@pytest.mark.usefixtures("proxy")
def test_probes_and_gloo_are_no_clients() -> None:
    with hook() as draining:
        until("it ends while it is probed", lambda: answers(READY) and draining.poll() == 0)


def test_where_there_is_no_proxy_any_more_nothing_is_waited_for() -> None:
    with hook(longest=600) as draining:
        assert draining.wait(DEADLINE) != 0, "Kubernetes says that the hook failed, and goes on"


def test_a_container_with_a_network_of_its_own_asks_its_own_loopback() -> None:
    assert f"ADMIN=127.0.0.1/{envoy.ADMIN_PORT} " in drained_first(CONTAINERS)["preStop"]["exec"]["command"][-1]


def test_the_grace_period_is_longer_than_the_hook() -> None:
    assert GRACE_SECONDS > LONGEST_SECONDS > 15 > QUIET_SECONDS, "a request takes 15 s at most by default"
