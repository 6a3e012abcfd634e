"""The guide, followed to its end on the embedded stack: blue answers, fails, green answers, blue is back. Nothing is lost on the way."""

from __future__ import annotations

import ipaddress
import json
import socket
import time
from pathlib import Path

import pytest

from drill.load import Load, Request
from drill.probe import Probe
from tests.e2e.conftest import LiveStack, until

pytestmark = pytest.mark.e2e


def test_200_requests_across_fail_and_ok_are_all_answered_with_200(stack: LiveStack) -> None:
    with Probe(Load(requests=(Request(url=stack.url),), rate=50, seconds=60)) as traffic:
        time.sleep(1)
        failed = stack.cli("fail")
        time.sleep(1.5)
        healed = stack.cli("heal")
        time.sleep(2.5)
    summary = traffic.summary()
    assert failed.returncode == 0, f"`make fail` reaches blue's health check filter: {failed.stderr}"
    assert healed.returncode == 0, f"`make heal` reaches it too: {healed.stderr}"
    assert summary.total >= 200, "the load is as heavy as the test says"
    assert summary.failed == 0, f"the guide's known 503 does not occur: {summary}"
    assert summary.servers[:3] == ["blue-pod", "green-pod", "blue-pod"], "blue serves, then green, then blue again"


def test_nothing_dials_an_address_that_is_not_realised(stack: LiveStack) -> None:
    dialled: set[str] = set()
    with Probe(Load(requests=(Request(url=stack.url),), rate=20, seconds=60)):
        for command in ("fail", "heal"):
            switch = stack.popen(command)
            while switch.poll() is None:
                dialled |= remote_addresses()
                time.sleep(0.02)
            switch.communicate()
    assert any(address.startswith("127.") for address in dialled), "the connections of the stack are seen"
    outside = {address for address in dialled if ipaddress.ip_address(address) in ipaddress.ip_network("10.64.0.0/10")}
    assert outside == set(), "an address of a pod or a Service exists in the API only; on this machine it may be somebody else's"


def remote_addresses() -> set[str]:
    """Where the TCP connections of this machine go, those that are still being opened too."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return {socket.inet_ntoa(bytes.fromhex(line.split()[2].split(":")[0])[::-1]) for line in lines}


def test_the_resources_of_the_guide_are_there_and_accepted(stack: LiveStack) -> None:
    assert stack.get("remote", "gateway", "-n", "gloo-system", "failover-gateway")["spec"]["bindPort"] == 15443, "the failover gateway of the guide"
    service = stack.get("remote", "service", "-n", "gloo-system", "failover")
    assert service["status"]["loadBalancer"]["ingress"], "the failover Service has an external address"
    scheme = stack.get("local", "failoverscheme", "-n", "gloo-fed", "failover-scheme")
    assert scheme["status"]["state"] == "ACCEPTED", "gloo-fed has put the scheme in force"
    upstream = stack.get("local", "upstream", "-n", "gloo-system", "default-service-blue-10000")
    endpoint = upstream["spec"]["failover"]["prioritizedLocalities"][0]["localityEndpoints"][0]["lbEndpoints"][0]
    assert endpoint["upstreamSslConfig"]["sni"] == "default-service-green-10000_gloo-system", "green is asked for by its SNI"
    assert endpoint["upstreamSslConfig"]["verifySubjectAltName"], "and the other side has to prove who it is"
    for cluster, secret in (("remote", "failover-downstream"), ("local", "failover-upstream")):
        data = stack.get(cluster, "secret", "-n", "gloo-system", secret)["data"]
        assert set(data) == {"tls.crt", "tls.key", "ca.crt"}, "both sides know the CA of the other, which the guide leaves out"


def test_a_second_up_changes_nothing(stack: LiveStack) -> None:
    again = stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "-s", stack.name)
    assert again.returncode == 0, f"nothing to do: {again.stdout[-3000:]}{again.stderr[-2000:]}"
    assert "warning" not in (again.stdout + again.stderr).lower(), "and nothing to warn about"


def test_refresh_shows_no_drift_on_a_healthy_stack(stack: LiveStack) -> None:
    refreshed = stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", "-s", stack.name)
    assert refreshed.returncode == 0, f"what runs is what was asked for: {refreshed.stdout[-3000:]}{refreshed.stderr[-2000:]}"


def test_the_outputs_are_the_contract_and_kubeconfigs_are_secret(stack: LiveStack) -> None:
    shown = json.loads(stack.pulumi("stack", "output", "--json", "-s", stack.name).stdout)
    assert set(shown) == {"proxyUrl", "kubeconfigs", "contexts", "edition", "rotationEpoch"}, "users and tools lean on these"
    assert shown["kubeconfigs"] == "[secret]", "a kubeconfig holds a key"
    assert set(shown["contexts"]) == {"local", "remote"}, "a context for each cluster"


def test_no_private_key_is_in_the_clear_in_state_or_logs(stack: LiveStack) -> None:
    for file in stack.state.rglob("*"):
        if file.is_file() and (file.suffix == ".log" or ".pulumi" in file.parts):
            assert b"PRIVATE KEY-----" not in file.read_bytes(), f"a key in {file.name}"


def test_discovery_and_program_agree_on_the_upstream_whoever_is_first(stack: LiveStack) -> None:
    in_gloo = ("-n", "gloo-system", "-o", "name")
    stack.kubectl("local", "delete", "upstream", "-n", "gloo-system", "default-service-blue-10000")
    until("discovery has made it again", lambda: "default-service-blue-10000" in stack.kubectl("local", "get", "upstreams", *in_gloo))
    repaired = stack.pulumi("up", "--yes", "--skip-preview", "--refresh", "-s", stack.name)
    assert repaired.returncode == 0, f"the program takes over what discovery made: {repaired.stdout[-3000:]}{repaired.stderr[-2000:]}"
    spec = stack.get("local", "upstream", "-n", "gloo-system", "default-service-blue-10000")["spec"]
    assert spec["healthChecks"], "with the health check"
    until(
        "gloo-fed has put failover back",
        lambda: stack.get("local", "upstream", "-n", "gloo-system", "default-service-blue-10000")["spec"].get("failover"),
    )
