"""Failover of one Upstream in a running Envoy: what the cluster rules promise, with backends that fail in different ways.

All traffic is on loopback; every count is bounded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from envoy_on_disk import Envoy, eventually, on_loopback, pod, request, running, write_backend, write_bootstrap
from translation_support import (
    AUTHORITY,
    BLUE,
    BLUE_CLUSTER,
    GREEN,
    GREEN_CLUSTER,
    HEALTH_CHECK,
    NAMESPACE,
    SERVER,
    SSL_CONFIG,
    endpoint_slice,
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
from gloo_api.upstream import Upstream

pytestmark = pytest.mark.envoy

BLUE_POD, GREEN_POD, TEAL_POD, LOCAL_PROXY, REMOTE_PROXY = pod(42), pod(43), pod(44), pod(39), pod(40)
TEAL_CLUSTER = f"teal_{NAMESPACE}"
CHECK = {**HEALTH_CHECK, "interval": "0.1s", "timeout": "0.5s"}
CONNECT = {name: value for name, value in CHECK.items() if name != "httpHealthCheck"} | {"timeout": "10s", "tcpHealthCheck": {}}
"""Passes while connections are taken; patient, so that a busy machine does not look like a dead one."""
URL = (on_loopback(LOCAL_PROXY), 8080)


def translation(*objects: Any, proxy: str) -> Translation:
    pods = {"blue": BLUE_POD, "green": GREEN_POD}
    slices = {
        Key("default", f"service-{color}-1"): endpoint_slice({"addresses": [address], "conditions": {"ready": True}}, color=color)
        for color, address in pods.items()
    }
    secrets = {Key(NAMESPACE, "failover-upstream"): secret(), Key(NAMESPACE, "failover-downstream"): secret(AUTHORITY.issue(SERVER))}
    given = inputs(*objects, endpoint_slices=slices, secrets=secrets)
    return translate(given, proxy=ProxyRef(namespace=NAMESPACE, bind_address=on_loopback(proxy)), realise=on_loopback)


def through_gateway(cluster: str, address: str = REMOTE_PROXY) -> dict[str, Any]:
    return lb_endpoint(address, upstreamSslConfig={**SSL_CONFIG, "sni": cluster})


def tiers(*groups: list[dict[str, Any]]) -> dict[str, Any]:
    """A priority for each list of localities."""
    return {"prioritizedLocalities": [{"localityEndpoints": group} for group in groups]}


def blue(**more: Any) -> Upstream:
    return upstream(BLUE, {"kube": kube("blue"), "healthChecks": [CHECK], **more})


TEAL = upstream("teal", {"static": {"hosts": [{"addr": TEAL_POD, "port": 10000}]}})
GATEWAY = failover_gateway(tcp_host(sni_domains=(GREEN_CLUSTER, TEAL_CLUSTER)))


@contextmanager
def proxy(folder: Path, given: Translation, address: str) -> Iterator[Envoy]:
    admin = (on_loopback(address), 19000)
    with running(write_bootstrap(given, folder / address, admin=admin), admin=admin) as envoy:
        yield envoy


@contextmanager
def app(folder: Path, color: str, address: str, *, matched: bool = False) -> Iterator[Envoy]:
    """The guide's app. Not `matched`: every request is a check, so that a failing one answers none."""
    path = write_backend(folder / color, text=color, address=on_loopback(address), matched=matched)
    with running(path, admin=(on_loopback(address), 19000)) as envoy:
        yield envoy


@contextmanager
def chain(folder: Path, primary: Upstream, *more: Any, healthy: int = 2) -> Iterator[tuple[Envoy, Envoy]]:
    """The primary's proxy and the blue app, with green and teal behind the remote Gateway; ready when `healthy` endpoints of blue's cluster are."""
    with ExitStack() as stack:
        apps = {"blue": BLUE_POD, "green": GREEN_POD, "teal": TEAL_POD}
        blue_app, *_ = (stack.enter_context(app(folder, color, address)) for color, address in apps.items())
        far = translation(upstream(GREEN, {"kube": kube("green")}), TEAL, GATEWAY, proxy=REMOTE_PROXY)
        stack.enter_context(proxy(folder, far, REMOTE_PROXY))
        near = translation(primary, http_gateway(), virtual_service(route(BLUE)), *more, proxy=LOCAL_PROXY)
        local = stack.enter_context(proxy(folder, near, LOCAL_PROXY))
        eventually(lambda: local.stat(f"cluster.{BLUE_CLUSTER}.membership_healthy") == healthy, why=f"{healthy} endpoints are healthy", seconds=10)
        yield local, blue_app


def answers(count: int) -> Counter[tuple[int, str]]:
    return Counter(request(URL) for _ in range(count))


@pytest.mark.parametrize(
    "groups",
    [
        [[{"lbEndpoints": [through_gateway(GREEN_CLUSTER), through_gateway(TEAL_CLUSTER)]}]],
        [[{"lbEndpoints": [through_gateway(GREEN_CLUSTER)]}, {"lbEndpoints": [through_gateway(TEAL_CLUSTER)]}]],
        [[{"lbEndpoints": [through_gateway(GREEN_CLUSTER), through_gateway(TEAL_CLUSTER)]}], [{"lbEndpoints": [lb_endpoint("localhost", 1)]}]],
    ],
    ids=["one-locality", "two-localities", "resolved-by-name"],
)
def test_two_upstreams_behind_one_gateway_share_one_priority(tmp_path: Path, groups: list[list[dict[str, Any]]]) -> None:
    """envoy#22417: the same address and port, told apart by the server name alone."""
    with chain(tmp_path, blue(failover=tiers(*groups)), healthy=3) as (_, blue_app):
        assert answers(10) == {(200, "blue"): 10}, "while blue is healthy, nobody else serves"
        blue_app.ask("POST", "/healthcheck/fail")
        seen = answers(60)
        assert {status for status, _ in seen} == {200}, "nothing is lost"
        assert min(seen[(200, "green")], seen[(200, "teal")]) > 10, f"both take over: {seen}"


@pytest.mark.parametrize("places", [({}, {}), ({"region": "r"}, {"region": "r"}), ({}, {"region": "r"})], ids=["nowhere", "same", "one-nowhere"])
def test_weights_of_localities_count_wherever_they_are(tmp_path: Path, places: tuple[dict[str, str], ...]) -> None:
    groups = [
        {"lbEndpoints": [through_gateway(cluster)], "loadBalancingWeight": weight, "locality": place}
        for cluster, weight, place in zip((GREEN_CLUSTER, TEAL_CLUSTER), (9, 1), places, strict=True)
    ]
    primary = blue(failover=tiers(groups), loadBalancerConfig={"localityWeightedLbConfig": {}})
    with chain(tmp_path, primary, healthy=3) as (_, blue_app):
        blue_app.ask("POST", "/healthcheck/fail")
        answers(5)
        seen = answers(200)
        assert 5 <= seen[(200, "teal")] <= 40, f"one in ten, not half: {seen}"
        assert seen.total() == seen[(200, "teal")] + seen[(200, "green")], "and nothing is lost"


def test_a_member_in_the_primarys_own_cluster_is_reached_through_its_own_gateway(tmp_path: Path) -> None:
    primary = blue(failover=tiers([{"lbEndpoints": [through_gateway(TEAL_CLUSTER, LOCAL_PROXY)]}]))
    with chain(tmp_path, primary, TEAL, failover_gateway(tcp_host(sni_domains=(TEAL_CLUSTER,)))) as (_, blue_app):
        blue_app.ask("POST", "/healthcheck/fail")
        assert {status for status, _ in answers(20)} == {200}, "nothing is lost"
        assert answers(10) == {(200, "teal"): 10}, "the proxy fails over to itself"


def test_a_priority_without_endpoints_is_passed_over(tmp_path: Path) -> None:
    primary = blue(failover=tiers([], [{"lbEndpoints": []}], [{"lbEndpoints": [through_gateway(GREEN_CLUSTER)]}]))
    with chain(tmp_path, primary) as (local, blue_app):
        assert set(local.health(BLUE_CLUSTER)) == {0, 3}, "the last priority keeps its number"
        blue_app.ask("POST", "/healthcheck/fail")
        assert {status for status, _ in answers(20)} == {200}, "nothing is lost"


@asynccontextmanager
async def frozen(address: str) -> AsyncIterator[None]:
    """Takes connections and never answers, as a stopped process does."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(take, address, 10000, backlog=4096)
    async with server:
        yield


async def _get() -> int:
    reader, writer = await asyncio.open_connection(*URL)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


async def test_a_frozen_backend_does_not_fill_the_circuit_breaker(tmp_path: Path) -> None:
    """More requests than Envoy's default limit wait for the frozen endpoint; none is refused, and the next priority answers."""
    primary = blue(healthChecks=[CONNECT], failover=tiers([{"lbEndpoints": [through_gateway(GREEN_CLUSTER)]}]))
    with ExitStack() as stack:
        async with frozen(on_loopback(BLUE_POD)):
            stack.enter_context(app(tmp_path, "green", GREEN_POD))
            far = translation(upstream(GREEN, {"kube": kube("green")}), GATEWAY, proxy=REMOTE_PROXY)
            stack.enter_context(proxy(tmp_path, far, REMOTE_PROXY))
            near = translation(primary, http_gateway(), virtual_service(route(BLUE)), proxy=LOCAL_PROXY)
            local = await asyncio.to_thread(stack.enter_context, proxy(tmp_path, near, LOCAL_PROXY))
            await asyncio.to_thread(
                eventually, lambda: local.stat(f"cluster.{BLUE_CLUSTER}.membership_healthy") == 2, why="both take connections", seconds=10
            )
            seen = Counter(await asyncio.gather(*(_get() for _ in range(1200))))
            # 504: a machine that cannot make so many TLS connections within the timeout of the route. A refusal is 503.
            assert set(seen) <= {200, 504}, f"none is refused for the others that wait: {seen}"
            assert seen[200] > 1024, f"more are answered than Envoy's default lets wait: {seen}"
            overflow = [local.stat(f"cluster.{BLUE_CLUSTER}.{name}") for name in ("upstream_rq_pending_overflow", "upstream_cx_overflow")]
            assert overflow == [0, 0], "no limit was met"
            assert local.stat(f"cluster.{BLUE_CLUSTER}.upstream_rq_retry_overflow") == 0, "no retry was refused"


@pytest.mark.parametrize(("balancer", "answer"), [("leastRequest", 200), ("random", 200), ("maglev", 503), ("ringHash", 503)])
def test_a_retry_leaves_a_dead_priority_unless_requests_are_spread_by_hash(tmp_path: Path, balancer: str, answer: int) -> None:
    """kgateway#10457. What the warning about maglev and ringHash is for: until the next health check each request is lost."""
    primary = blue(
        healthChecks=[{**CHECK, "interval": "5s"}],
        failover=tiers([{"lbEndpoints": [through_gateway(GREEN_CLUSTER)]}]),
        loadBalancerConfig={balancer: {}},
    )
    with chain(tmp_path, primary) as (_, blue_app):
        assert answers(3) == {(200, "blue"): 3}, "blue serves"
        blue_app.ask("POST", "/quitquitquit")
        eventually(lambda: _refused((on_loopback(BLUE_POD), 10000)), why="blue is gone", seconds=5)
        assert {status for status, _ in answers(10)} == {answer}, "before any health check has seen it"


def _refused(address: tuple[str, int]) -> bool:
    try:
        request(address)
    except ConnectionRefusedError:
        return True
    return False
