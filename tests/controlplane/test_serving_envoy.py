"""What a real Envoy says of its endpoints, and that requests go where the rule of `load` says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from support_envoy import backend, find_envoy, free_port

from controlplane.gloo.serving.hosts import EJECTED, FAILED_CHECK, Host, parse, query
from controlplane.gloo.serving.load import Counts, load
from controlplane.gloo.serving.proxies import NoAnswer, ProxyClient, Target

pytestmark = pytest.mark.envoy

CLUSTER = "default-service-blue-10000_gloo-system"
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
UPSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def typed(message: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/{message}", **fields}


def socket(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def endpoint(port: int, **more: Any) -> dict[str, Any]:
    return {"endpoint": {"address": socket(port)}, **more}


def bootstrap(*, admin: int, listener: int, priorities: list[list[dict[str, Any]]], **settings: Any) -> dict[str, Any]:
    """One listener, one cluster with these endpoints by priority; an endpoint whose metadata asks for TLS is dialled so."""
    routes = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": CLUSTER}}]}]}
    router = {"name": "router", "typed_config": typed("envoy.extensions.filters.http.router.v3.Router")}
    manager = typed(MANAGER, stat_prefix="test", route_config=routes, http_filters=[router])
    tls = {"name": "envoy.transport_sockets.tls", "typed_config": typed(UPSTREAM_TLS, sni="nobody")}
    cluster = {
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "health_checks": [
            {
                "timeout": "0.5s", "interval": "0.1s", "no_traffic_interval": "0.1s", "unhealthy_threshold": 1, "healthy_threshold": 1,
                "http_health_check": {"path": "/health"},
            }
        ],
        "transport_socket_matches": [{"name": "tls", "match": {"tls": "yes"}, "transport_socket": tls}],
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"priority": priority, "lb_endpoints": endpoints} for priority, endpoints in enumerate(priorities)],
        },
        **settings,
    }  # fmt: skip
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    other = {**cluster, "name": f"{CLUSTER}-and-more"}
    return {
        "admin": {"address": socket(admin)},
        "static_resources": {
            "listeners": [{"name": "test", "address": socket(listener), "filter_chains": [chain]}],
            "clusters": [cluster, other],
        },
    }


@asynccontextmanager
async def envoy(tmp_path: Path, *, priorities: list[list[dict[str, Any]]], **settings: Any) -> AsyncIterator[tuple[int, int]]:
    """A running Envoy: its admin port and its listener."""
    admin, listener = free_port(), free_port()
    config = tmp_path / "envoy.json"
    config.write_text(json.dumps(bootstrap(admin=admin, listener=listener, priorities=priorities, **settings)))
    arguments = ("-c", str(config), "--disable-hot-restart", "--concurrency", "1", "--log-level", "off")
    process = await asyncio.create_subprocess_exec(find_envoy(), *arguments)
    try:
        yield admin, listener
    finally:
        process.kill()
        await process.wait()


async def until(admin: int, check: Any, *, why: str) -> tuple[Host, ...]:
    """The endpoints of the cluster, once they are as they should be."""
    found: tuple[Host, ...] = ()
    async with httpx.AsyncClient() as http:
        for _ in range(200):
            with suppress(httpx.HTTPError):
                answer = await http.get(f"http://127.0.0.1:{admin}/clusters", params=query([CLUSTER]))
                clusters = parse(answer.content)
                assert clusters.keys() <= {CLUSTER}, "exactly the clusters that were asked for, and not those whose name begins alike"
                found = clusters.get(CLUSTER, ())
                if found and check(found):
                    return found
            await asyncio.sleep(0.05)
    raise AssertionError(f"{why}: {found}")


async def opened(listener: int) -> None:
    """Envoy opens its listener a little after it knows its endpoints."""
    for _ in range(200):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", listener)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the listener did not open")


async def test_two_endpoints_of_one_address_are_told_apart(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        blue, green = await stack.enter_async_context(backend("blue")), await stack.enter_async_context(backend("green"))
        wrong = {"metadata": {"filter_metadata": {"envoy.transport_socket_match": {"tls": "yes"}}}}
        priorities = [[endpoint(blue)], [endpoint(green), endpoint(green, **wrong)], [endpoint(green)]]
        admin, listener = await stack.enter_async_context(envoy(tmp_path, priorities=priorities))
        hosts = await until(admin, lambda hosts: sum(host.healthy for host in hosts) == 3, why="all but one are healthy")
        assert [(host.key.priority, host.key.number) for host in hosts] == [(0, 0), (1, 0), (1, 1), (2, 0)], "one entry for each, in order"
        assert [FAILED_CHECK in host.flags for host in hosts] == [False, False, True, False], "the one with the wrong TLS, and no other"
        await opened(listener)
        async with httpx.AsyncClient() as http:
            for _ in range(7):
                await http.get(f"http://127.0.0.1:{listener}/")
        after = await until(admin, lambda hosts: hosts[0].requests == 7, why="the requests are counted")
        assert [host.requests for host in after] == [7, 0, 0, 0], "requests, and not health checks"


async def test_requests_go_where_the_rule_says(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        blue, green = await stack.enter_async_context(backend("blue")), await stack.enter_async_context(backend("green"))
        dead = endpoint(free_port())
        admin, listener = await stack.enter_async_context(envoy(tmp_path, priorities=[[endpoint(blue), dead], [endpoint(green)]]))
        hosts = await until(admin, lambda hosts: sum(host.healthy for host in hosts) == 2, why="the dead one is seen to be dead")
        counts = [Counts(healthy=sum(host.healthy for host in hosts if host.key.priority == each), total=total) for each, total in ((0, 2), (1, 1))]
        expected = load(counts).shares
        answers: Counter[str] = Counter()
        await opened(listener)
        async with httpx.AsyncClient() as http:
            for _ in range(600):
                answers[(await http.get(f"http://127.0.0.1:{listener}/")).text] += 1
        assert expected == (70, 30), "half of the primary's endpoints, times 1.4"
        assert abs(answers["blue"] / 6 - expected[0]) < 8, f"600 requests by Envoy's own dice: {answers}"


async def test_an_ejected_endpoint_is_seen_as_ejected(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        green = await stack.enter_async_context(backend("green"))
        sick = await stack.enter_async_context(sick_backend())
        outlier = {"consecutive_5xx": 1, "interval": "0.05s", "base_ejection_time": "30s", "max_ejection_percent": 100}
        settings = {"outlier_detection": {**outlier, "successful_active_health_check_uneject_host": False}}
        admin, listener = await stack.enter_async_context(envoy(tmp_path, priorities=[[endpoint(sick)], [endpoint(green)]], **settings))
        await until(admin, lambda hosts: all(host.healthy for host in hosts), why="its health check passes")
        await opened(listener)
        async with httpx.AsyncClient() as http:
            await http.get(f"http://127.0.0.1:{listener}/")
        hosts = await until(admin, lambda hosts: not hosts[0].healthy, why="it is ejected for its 500")
        assert hosts[0].flags == {EJECTED}, "and for nothing else"
        assert hosts[0].passes_check, "the health check still passes"


async def test_a_proxy_that_is_not_there_is_an_answer_too(tmp_path: Path) -> None:
    client = ProxyClient(tls=None, server_name="")
    try:
        with pytest.raises(NoAnswer, match="ConnectError"):
            await client.ask(Target(name="a", address=f"127.0.0.1:{free_port()}"), [CLUSTER])
        async with backend("not JSON") as port:
            with pytest.raises(NoAnswer, match="JSONDecodeError"):
                await client.ask(Target(name="a", address=f"127.0.0.1:{port}"), [CLUSTER])
        async with backend("[]") as port:
            with pytest.raises(NoAnswer, match="not an answer to GET /clusters"):
                await client.ask(Target(name="a", address=f"127.0.0.1:{port}"), [CLUSTER])
    finally:
        await client.close()


@asynccontextmanager
async def sick_backend() -> AsyncIterator[int]:
    """Its /health is fine, everything else is 500."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                status = b"200 OK" if head.startswith(b"GET /health") else b"500 Internal Server Error"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
