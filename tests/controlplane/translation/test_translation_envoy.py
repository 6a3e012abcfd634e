"""Translations in a real Envoy: it accepts them, and the chain of the guide loses nothing and lets nobody in.

All traffic is on loopback; every count is bounded.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from envoy_on_disk import Envoy, eventually, on_loopback, pod, request, running, validate, write_backend, write_bootstrap
from support_certs import Authority, Pair
from translation_support import (
    AUTHORITY,
    BLUE_CLUSTER,
    CLIENT,
    GREEN,
    GREEN_CLUSTER,
    HEALTH_CHECK,
    NAMESPACE,
    SERVER,
    SSL_CONFIG,
    blue,
    endpoint_slice,
    failover,
    failover_gateway,
    http_gateway,
    inputs,
    kube,
    lb_endpoint,
    route,
    secret,
    tcp_host,
    upstream,
    virtual_service,
)

from controlplane.translation import translate
from controlplane.translation.types import Key, ProxyRef, Translation

pytestmark = pytest.mark.envoy

BLUE_POD, GREEN_POD, LOCAL_PROXY, REMOTE_PROXY = pod(12), pod(13), pod(9), pod(10)
INTERVAL = 0.1
CHECK = {**HEALTH_CHECK, "interval": f"{INTERVAL}s", "timeout": "0.5s"}
URL = (on_loopback(LOCAL_PROXY), 8080)
GATEWAY = (on_loopback(REMOTE_PROXY), 15443)


def translation(*objects: Any, proxy: str, pods: dict[str, str] | None = None) -> Translation:
    pods = {"blue": BLUE_POD, "green": GREEN_POD} if pods is None else pods
    slices = {
        Key("default", f"service-{color}-1"): endpoint_slice({"addresses": [address], "conditions": {"ready": True}}, color=color)
        for color, address in pods.items()
    }
    secrets = {Key(NAMESPACE, "failover-upstream"): secret(), Key(NAMESPACE, "failover-downstream"): secret(AUTHORITY.issue(SERVER))}
    given = inputs(*objects, endpoint_slices=slices, secrets=secrets)
    return translate(given, proxy=ProxyRef(namespace=NAMESPACE, bind_address=on_loopback(proxy)), realise=on_loopback)


def local(*endpoints: dict[str, Any]) -> Translation:
    """The primary's side: blue, failing over to `endpoints`, behind an HTTP Gateway."""
    spec = failover(*(endpoints or (lb_endpoint(REMOTE_PROXY),)))
    return translation(blue(healthChecks=[CHECK], failover=spec), http_gateway(), virtual_service(), proxy=LOCAL_PROXY)


def remote(*names: str, pods: dict[str, str] | None = None) -> Translation:
    """The other side: green behind a failover Gateway that serves `names`."""
    green = upstream(GREEN, {"kube": kube("green")})
    return translation(green, upstream("teal", {"kube": kube("blue")}), failover_gateway(tcp_host(sni_domains=names)), proxy=REMOTE_PROXY, pods=pods)


@dataclass(frozen=True)
class Chain:
    """The running chain of the guide."""

    gateway: Envoy
    remote: Envoy
    blue: Envoy

    def set_blue(self, health: str) -> None:
        self.blue.ask("POST", f"/healthcheck/{health}")

    def wait_healthy(self, *priorities: int) -> float:
        wanted = dict.fromkeys(priorities, True)
        return eventually(lambda: wanted.items() <= self.gateway.health(BLUE_CLUSTER).items(), why=f"priorities {priorities} are healthy", seconds=10)


def start(stack: ExitStack, folder: Path, *, matched: bool, near: Translation | None = None, far: Translation | None = None) -> Chain:
    def proxy(name: str, given: Translation, address: str) -> Envoy:
        admin = (on_loopback(address), 19000)
        return stack.enter_context(running(write_bootstrap(given, folder / name, admin=admin), admin=admin))

    def app(color: str, address: str) -> Envoy:
        path = write_backend(folder / color, text=f"{color}-pod", address=on_loopback(address), matched=matched)
        return stack.enter_context(running(path, admin=(on_loopback(address), 19000)))

    blue_app, _ = app("blue", BLUE_POD), app("green", GREEN_POD)
    far_proxy = proxy("remote", far or remote(GREEN_CLUSTER), REMOTE_PROXY)
    return Chain(gateway=proxy("local", near or local(), LOCAL_PROXY), remote=far_proxy, blue=blue_app)


@pytest.fixture(params=[False, True], ids=["every-request-is-a-check", "only-health-is-a-check"])
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    with ExitStack() as stack:
        yield start(stack, tmp_path, matched=request.param)


def answers(count: int) -> list[tuple[int, str]]:
    return [request(URL) for _ in range(count)]


def test_envoy_accepts_what_is_made_for_both_sides(tmp_path: Path) -> None:
    rich = blue(
        healthChecks=[{**CHECK, "eventLogPath": "/dev/null", "initialJitter": "0.01s"}],
        useHttp2=True,
        sslConfig=SSL_CONFIG,
        loadBalancerConfig={"healthyPanicThreshold": 0, "localityWeightedLbConfig": {}},
        failover={**failover(lb_endpoint(REMOTE_PROXY), lb_endpoint("lb.example.com")), "policy": {"overprovisioningFactor": 600}},
    )
    retries = {"retryOn": "5xx", "retryBackOff": {"baseInterval": "0.01s"}, "previousPriorities": {}}
    service = virtual_service(route(options={"retries": retries}), route("missing", matchers=[{"prefix": "/m"}]))
    single = {
        **tcp_host("single", sni_domains=("single.example.com",)),
        "destination": {"single": {"upstream": {"name": "teal", "namespace": NAMESPACE}}},
    }
    both = translation(
        rich, upstream("teal", {"kube": kube("green")}), http_gateway(), failover_gateway(tcp_host(), single), service, proxy=LOCAL_PROXY
    )
    for name, given in {"local": local(), "remote": remote(GREEN_CLUSTER), "rich": both}.items():
        said = validate(write_bootstrap(given, tmp_path / name, admin=(URL[0], 19000)))
        assert said.returncode == 0, f"{name}: a proxy that refuses its configuration keeps the old one: {said.stderr}"
        assert "deprecated" not in said.stderr.lower(), f"{name}: what is deprecated today is refused tomorrow: {said.stderr}"


def test_blue_fails_over_to_green_and_back_and_nobody_notices(chain: Chain) -> None:
    chain.wait_healthy(0, 1)
    assert answers(20) == [(200, "blue-pod")] * 20, "while blue is healthy, nobody else serves"

    chain.set_blue("fail")
    first, *rest = answers(100)
    assert first in ((200, "green-pod"), (200, "blue-pod")), "the request that meets the failure is answered all the same"
    assert rest == [(200, "green-pod")] * 99, "and after it blue gets none"

    chain.set_blue("ok")
    started = time.monotonic()
    seen = []
    while (not seen or seen[-1] != (200, "blue-pod")) and len(seen) < 2000:
        seen += answers(1)
    assert {status for status, _ in seen} == {200}, "failback loses nothing"
    assert time.monotonic() - started < 5 * INTERVAL + 2, "a check or two after blue is healthy, it serves"

    chain.set_blue("fail")
    assert {status for status, _ in answers(50)} == {200}, "the second failure, within a second of the first return, is as good as the first"
    eventually(lambda: request(URL) == (200, "green-pod"), why="the second failover is complete", seconds=1)
    assert chain.gateway.stat(f"cluster.{BLUE_CLUSTER}.upstream_rq_retry_overflow") == 0, "no retry was refused"


def test_many_requests_in_flight_at_the_failure_are_all_answered(chain: Chain) -> None:
    chain.wait_healthy(0, 1)
    with ThreadPoolExecutor(max_workers=16) as clients:
        running_clients = [clients.submit(answers, 25) for _ in range(16)]
        eventually(lambda: chain.gateway.stat(f"cluster.{BLUE_CLUSTER}.upstream_rq_total") > 50, why="the clients are at it", seconds=5)
        chain.set_blue("fail")
        seen = [answer for client in running_clients for answer in client.result(timeout=30)]
    assert len(seen) == 400, "each client has all its answers"
    assert {status for status, _ in seen} == {200}, "all of them meet the failure at once, and none is lost"
    assert (200, "green-pod") in seen, "blue failed while they were at it"
    assert chain.gateway.stat(f"cluster.{BLUE_CLUSTER}.upstream_rq_retry_overflow") == 0, "no retry was refused"


def test_a_failure_before_the_first_request_is_seen(chain: Chain) -> None:
    chain.wait_healthy(0, 1)
    chain.set_blue("fail")
    seconds = eventually(lambda: chain.gateway.health(BLUE_CLUSTER).get(0) is False, why="blue is seen to fail without traffic", seconds=5)
    assert seconds < 1, "by default a cluster without traffic is checked once a minute"
    assert answers(5) == [(200, "green-pod")] * 5, "the first request ever is served"


def handshake(*, server_name: str | None, pair: Pair | None, folder: Path) -> bytes:
    """The first bytes that the failover Gateway answers to a request, or nothing when it lets nobody in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=AUTHORITY.pem)
    if pair is not None:
        path = folder / "pair.pem"
        path.write_text(pair.certificate + pair.key)
        path.chmod(0o600)
        context.load_cert_chain(path)
    try:
        with socket.create_connection(GATEWAY, timeout=5) as plain, context.wrap_socket(plain, server_hostname=server_name) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            return connection.recv(4096)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_only_the_right_client_with_the_right_name_gets_through(tmp_path: Path) -> None:
    with ExitStack() as stack:
        chain = start(stack, tmp_path, matched=True)
        chain.wait_healthy(1)
        right = AUTHORITY.issue(CLIENT)
        assert handshake(server_name=GREEN_CLUSTER, pair=right, folder=tmp_path).startswith(b"HTTP/1.1 200"), "the gateway lets its client through"
        refused = f"listener.{GATEWAY[0]}_{GATEWAY[1]}"
        before = chain.remote.stat(f"cluster.{GREEN_CLUSTER}.upstream_cx_total")
        strangers = {
            "no certificate": (GREEN_CLUSTER, None),
            "a certificate of another CA": (GREEN_CLUSTER, Authority("other CA").issue(CLIENT)),
            "another name of the same CA": (GREEN_CLUSTER, AUTHORITY.issue(SERVER)),
            "a server name that is not listed": (f"teal_{NAMESPACE}", right),
            "no server name": (None, right),
        }
        for who, (server_name, pair) in strangers.items():
            assert handshake(server_name=server_name, pair=pair, folder=tmp_path) == b"", f"{who} must get nothing"
        verified = chain.remote.stat(f"{refused}.ssl.fail_verify_no_cert") + chain.remote.stat(f"{refused}.ssl.fail_verify_error")
        assert verified + chain.remote.stat(f"{refused}.ssl.fail_verify_san") >= 3, "they were refused for their certificates, not by chance"
        # The gateway's own health check of priority 1 keeps one connection; it may have reconnected once.
        assert chain.remote.stat(f"cluster.{GREEN_CLUSTER}.upstream_cx_total") <= before + 1, "no stranger caused a connection to green"


def test_two_upstreams_behind_one_gateway_are_two_tiers(tmp_path: Path) -> None:
    """The first tier has no endpoints; the second has the same address and port, and another server name."""
    near = local(lb_endpoint(REMOTE_PROXY), lb_endpoint(REMOTE_PROXY, upstreamSslConfig={**SSL_CONFIG, "sni": f"teal_{NAMESPACE}"}))
    far = remote(GREEN_CLUSTER, f"teal_{NAMESPACE}", pods={"blue": GREEN_POD})
    with ExitStack() as stack:
        chain = start(stack, tmp_path, matched=True, near=near, far=far)
        chain.wait_healthy(0, 2)
        assert chain.gateway.health(BLUE_CLUSTER) == {0: True, 1: False, 2: True}, "each tier has a health of its own"
        chain.set_blue("fail")
        eventually(lambda: request(URL) == (200, "green-pod"), why="the second tier serves", seconds=2)
