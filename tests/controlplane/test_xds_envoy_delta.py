"""What a real Envoy does with incremental configuration, where the rules of `delta_stream` count on it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx2 as httpx
import pytest
from support_certs import Pair
from support_envoy import backend, free_port, running_envoy
from support_xds import CA, KEY, serving, snapshot, until

from controlplane.xds.cache import SnapshotCache
from controlplane.xds.nack import Rejection
from controlplane.xds.resources import ResourceType

pytestmark = pytest.mark.envoy

# Envoy decodes it and then refuses it; what breaks a rule of a field is refused before, and with it everything in the response.
BROKEN = {"lb_policy": "CLUSTER_PROVIDED"}


async def refusals(cache: SnapshotCache, count: int) -> list[Rejection]:
    async with asyncio.timeout(10):
        while len(found := [each for of_proxy in cache.rejections().values() for each in of_proxy]) != count:
            await asyncio.sleep(0.02)
    return sorted(found, key=lambda each: str(each.name))


async def test_a_broken_cluster_costs_nobody_else_anything(tmp_path: Path):
    port = free_port()
    async with backend("blue") as blue, backend("green") as green:
        cache = SnapshotCache()
        cache.publish(KEY, snapshot(port=port, endpoints={"one": blue, "two": blue}, to="one"))
        async with serving(cache) as server, running_envoy(tmp_path, xds_port=server.port, ca=CA) as envoy:
            await until(port, "blue", "the first configuration arrives")
            refused_before = (await envoy.stats()).get("cluster_manager.cds.update_rejected", 0)
            both = {"one": blue, "two": blue, "new": green}
            cache.publish(KEY, snapshot(port=port, endpoints=both, to="new", clusters={"two": "2s"}, more={"one": BROKEN}))
            await until(port, "green", "the new cluster and the route to it arrive though another cluster is refused")
            (refused,) = await refusals(cache, 1)
            assert (refused.type, refused.name) == (ResourceType.CLUSTER, "one"), "Envoy's message names it"
            cache.publish(KEY, snapshot(port=port, endpoints=both, to="one", clusters={"two": "2s"}, more={"one": BROKEN}))
            await until(port, "blue", "its last good version still serves")
            await asyncio.sleep(0.5)
            assert (await envoy.stats())["cluster_manager.cds.update_rejected"] - refused_before == 1, "and nothing is tried twice"


async def test_a_cluster_that_is_refused_after_a_restart_of_the_control_plane_holds_nothing_up(tmp_path: Path):
    port, xds_port = free_port(), free_port()
    async with backend("blue") as blue, backend("green") as green:
        first, second = SnapshotCache(), SnapshotCache()
        first.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one"))
        second.publish(KEY, snapshot(port=port, endpoints={"one": blue, "new": green}, to="new", more={"one": BROKEN}))
        envoy_process = running_envoy(tmp_path, xds_port=xds_port, ca=CA)
        async with serving(first, xds_port):
            await envoy_process.__aenter__()
            await until(port, "blue", "the first configuration arrives")
        try:
            async with serving(second, xds_port):
                await until(port, "green", "the new process knows no good version of the refused cluster, and all else goes on")
                await refusals(second, 1)
                second.publish(KEY, snapshot(port=port, endpoints={"one": blue, "new": green}, to="one", more={"one": BROKEN}))
                await until(port, "blue", "the client has one, and was not told to drop it")
        finally:
            await envoy_process.__aexit__(None, None, None)


async def test_a_broken_secret_is_found_among_others_and_these_are_taken(tmp_path: Path):
    port = free_port()
    old, new = CA.issue("old.test"), CA.issue("new.test")
    broken = Pair(certificate="-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n", key=old.key)
    async with backend("blue") as blue:
        cache = SnapshotCache()
        cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one", secrets={"server": old}))
        async with serving(cache) as server, running_envoy(tmp_path, xds_port=server.port, ca=CA):
            assert await subject(port) == "old.test", "the certificate comes by SDS"
            cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one", secrets={"server": broken}))
            (refused,) = await refusals(cache, 1)
            assert (refused.type, refused.name) == (ResourceType.SECRET, "server"), "Envoy's message names no secret, and still it is known"
            assert old.key not in refused.message, "a message of Envoy goes into a status that many can read"
            assert await subject(port) == "old.test", "the last good certificate is in use"
            cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one", secrets={"server": new}))
            await refusals(cache, 0)
            assert await subject(port) == "new.test", "a good one is taken"


async def test_a_rotated_certificate_closes_no_connection(tmp_path: Path):
    port = free_port()
    old, new = CA.issue("old.test"), CA.issue("new.test")
    async with backend("blue") as blue:
        cache = SnapshotCache()
        cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one", secrets={"server": old}))
        async with serving(cache) as server, running_envoy(tmp_path, xds_port=server.port, ca=CA) as envoy:
            assert await subject(port) == "old.test"
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting())
            assert await ask(reader, writer) == 200, "a connection is open"
            cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one", secrets={"server": new}))
            async with asyncio.timeout(5):
                while await subject(port) != "new.test":
                    await asyncio.sleep(0.02)
            assert await ask(reader, writer) == 200, "new connections get the new certificate, the open one lives on"
            stats = await envoy.stats()
            assert stats.get("listener_manager.listener_modified", 0) == 0, "no listener was replaced"
            writer.close()


async def test_a_cluster_without_endpoints_does_not_hold_up_the_others(tmp_path: Path):
    port = free_port()
    async with backend("blue") as blue:
        cache = SnapshotCache()
        cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one", clusters={"nowhere": "1s"}))
        async with serving(cache) as server, running_envoy(tmp_path, xds_port=server.port, ca=CA):
            assert await until(port, "blue", "it starts") < 5, "endpoints that do not exist are answered as removed: no wait of 15 s for them"


async def test_a_large_push_goes_on_while_clusters_wait_for_hosts_that_say_nothing(tmp_path: Path):
    port = free_port()
    check = {"timeout": "1s", "interval": "60s", "unhealthy_threshold": 1, "healthy_threshold": 1, "http_health_check": {"path": "/"}}
    async with backend("blue") as blue, silence() as silent:
        cache = SnapshotCache()
        cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one"))
        async with serving(cache) as server, running_envoy(tmp_path, xds_port=server.port, ca=CA) as envoy:
            await until(port, "blue", "the first configuration arrives")
            many = {f"silent{number}": silent for number in range(60)}
            checked = {name: {"health_checks": [check]} for name in many}
            start = time.monotonic()
            cache.publish(KEY, snapshot(port=port, endpoints={"one": blue, "late": blue} | many, to="late", more=checked))
            await envoy.wait(
                lambda stats: (
                    stats.get("cluster_manager.active_clusters", 0) >= len(many) + 2 and stats.get("cluster_manager.warming_clusters", 0) == 0
                ),
                "all clusters are warm",
            )
            took = time.monotonic() - start
            assert took < 4, f"six parts wait for one health check timeout of 1 s, not for one each: {took:.1f} s"


async def test_a_removed_cluster_answers_until_the_route_to_it_has_gone(tmp_path: Path):
    port = free_port()
    async with backend("blue") as blue, backend("green") as green:
        cache = SnapshotCache()
        cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one"))
        async with serving(cache) as server, running_envoy(tmp_path, xds_port=server.port, ca=CA) as envoy:
            await until(port, "blue", "the first configuration arrives")
            answers: list[str] = []
            stop = asyncio.Event()
            load = asyncio.ensure_future(keep_asking(port, answers, stop))
            for name, endpoint in (("two", green), ("three", blue), ("four", green)):
                await asyncio.sleep(0.2)
                cache.publish(KEY, snapshot(port=port, endpoints={name: endpoint}, to=name))
            await envoy.wait(lambda stats: stats.get("cluster_manager.cluster_removed", 0) == 3, "each old cluster is removed in the end")
            stop.set()
            await load
            assert set(answers) == {"blue", "green"}, f"never into nothing, in {len(answers)} requests"


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=CA.pem)
    context.check_hostname = False
    return context


async def subject(port: int) -> str:
    """The name in the certificate that the listener shows, once it is open."""
    async with asyncio.timeout(10):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting())
                certificate = writer.get_extra_info("ssl_object").getpeercert()
                writer.close()
                return dict(certificate["subjectAltName"])["DNS"]
            await asyncio.sleep(0.02)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))
    await reader.readexactly(length)
    return int(head.split()[1])


async def keep_asking(port: int, answers: list[str], stop: asyncio.Event) -> None:
    async with httpx.AsyncClient() as http:
        while not stop.is_set():
            answer = await http.get(f"http://127.0.0.1:{port}/")
            answers.append(answer.text if answer.status_code == 200 else f"{answer.status_code} {answer.text}")


@asynccontextmanager
async def silence() -> AsyncIterator[int]:
    """A TCP server that takes connections and never says anything; its port."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
