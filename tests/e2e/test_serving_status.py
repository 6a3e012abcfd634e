"""Who serves, as `kubectl get failoverscheme` says it: within a second of Envoy's own switch, and whether the standby would work before it has to."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest

from drill.load import Load, Request
from drill.probe import Probe
from tests.e2e import faults
from tests.e2e.conftest import LiveStack, until

pytestmark = pytest.mark.e2e

FRESH_SECONDS = 1.0
PRIMARY, TIER = "primary (local)", "tier 1 (remote)"


def status(stack: LiveStack) -> dict[str, Any]:
    found: dict[str, Any] = stack.get("local", "failoverscheme", "-n", "gloo-fed", "failover-scheme").get("status", {})
    return found


def serves(stack: LiveStack) -> str:
    return str(status(stack).get("serving", {}).get("name", ""))


def switched(stack: LiveStack, *, healthy: bool) -> float:
    """Wait until Envoy itself holds blue for (un)healthy. Returns when."""
    address = faults.realised(faults.pods(stack, faults.GATEWAY)[-1]["status"]["podIP"])
    url = f"http://{address}:{faults.ADMIN_PORT}/clusters?format=json&filter=^{faults.PRIMARY}$"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        hosts = httpx.get(url, timeout=5).json()["cluster_statuses"][0]["host_statuses"]
        if all(len(host["health_status"]) == 1 for host in hosts if not host.get("priority")) == healthy:
            return time.monotonic()
        time.sleep(0.01)
    raise AssertionError("Envoy did not switch")


def delay(stack: LiveStack, change: Callable[[], float], *, healthy: bool, name: str) -> float:
    """Seconds from Envoy's switch until kubectl shows who serves, when `change` makes blue (un)healthy."""
    with ThreadPoolExecutor() as pool:
        switch = pool.submit(switched, stack, healthy=healthy)
        seen = pool.submit(lambda: (until(f"the scheme says {name}", lambda: serves(stack) == name), time.monotonic())[1])
        time.sleep(0.5)  # Both look by now.
        change()
        return seen.result() - switch.result()


def test_the_scheme_says_who_serves_within_a_second_of_envoys_switch(stack: LiveStack, request: pytest.FixtureRequest) -> None:
    until("the scheme says that blue serves", lambda: serves(stack) == PRIMARY)
    app = faults.blue_switch(stack)
    request.addfinalizer(app.heal)  # whatever becomes of this test, others need blue
    with Probe(Load(requests=(Request(url=stack.url),), rate=50, seconds=60)) as traffic:
        late = delay(stack, app.fail, healthy=False, name=TIER)
        assert late < FRESH_SECONDS, "kubectl shows the failover"
        serving = status(stack)["serving"]
        assert (serving["priority"], serving["reason"], serving["clusters"]) == (1, "HealthCheckFailed", ["remote"]), "who, why, where"
        until("the requests confirm it", lambda: status(stack)["serving"]["confirmed"] == "Confirmed")
        until("all requests are green's", lambda: [tier.get("requestShare") for tier in status(stack)["tiers"]] == [0, 100])
        assert TIER in stack.kubectl("local", "get", "failoverscheme", "-n", "gloo-fed"), "in a column of kubectl get"
        assert f"{TIER} serves since" in stack.cli("status").stdout, "and in `make status`"
        back = delay(stack, app.heal, healthy=True, name=PRIMARY)
        assert back < FRESH_SECONDS, "kubectl shows the failback"
        assert status(stack)["serving"]["reason"] == "Recovered", "blue is well again"
    assert traffic.summary().failed == 0, "clients have noticed nothing"
    print(f"in kubectl's answer after Envoy's switch: failover {late * 1000:.0f} ms, failback {back * 1000:.0f} ms")


def test_a_standby_that_would_not_work_is_seen_before_it_is_needed(stack: LiveStack) -> None:
    until("green is proven", lambda: status(stack).get("standbyProven"))
    gateway = ("gateway", "-n", "gloo-system", "failover-gateway")
    (right,) = stack.get("remote", *gateway)["spec"]["tcpGateway"]["tcpHosts"][0]["sslConfig"]["sniDomains"]

    def serve_only(name: str) -> None:
        patch = f'[{{"op": "replace", "path": "/spec/tcpGateway/tcpHosts/0/sslConfig/sniDomains/0", "value": "{name}"}}]'
        stack.kubectl("remote", "patch", *gateway, "--type=json", "-p", patch)

    serve_only("something-else_gloo-system")
    try:
        # The health check's connection is older than the mistake, so it still works. A new one does not.
        faults.kill_container(stack, faults.FAILOVER_GATEWAY)
        until("green is not proven", lambda: status(stack).get("standbyProven") is False)
        tier = status(stack)["tiers"][1]
        assert "failed its health check" in tier["unprovenReason"], "what is wrong"
        assert tier["unprovenSince"], "since when"
        assert serves(stack) == PRIMARY, "and nobody has lost anything yet"
    finally:
        serve_only(right)
    until("green is proven again", lambda: status(stack).get("standbyProven"))


def test_the_metrics_say_the_same(stack: LiveStack) -> None:
    address = faults.realised(faults.pods(stack, faults.GLOO)[-1]["status"]["podIP"])
    text = httpx.get(f"http://{address}:9978/metrics", timeout=5).text
    labels = 'namespace="gloo-system",upstream="default-service-blue-10000"'
    assert f"service_failover_serving_priority{{{labels}}} 0.0" in text, "blue serves"
    assert "service_failover_leader 1.0" in text, "the only replica leads"
    assert 'service_failover_certificate_expiry_seconds{file="tls.crt",namespace="gloo-system",secret="failover-upstream"}' in text, "it ends one day"
