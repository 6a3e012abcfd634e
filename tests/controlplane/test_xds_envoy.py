"""The AdsServer against a real Envoy over mutual TLS. The configuration is small and made by hand; the product's is tested elsewhere."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import httpx2 as httpx
import pytest
from support_envoy import Envoy, backend, free_port, running_envoy
from support_xds import CA, KEY, get, serving, snapshot, until

from controlplane.xds.cache import SnapshotCache

pytestmark = [pytest.mark.envoy, pytest.mark.parametrize("delta", [True, False], ids=["delta", "state of the world"])]


async def test_envoy_is_configured_and_follows_every_kind_of_change(tmp_path: Path, delta: bool):
    port = free_port()
    async with backend("blue") as blue, backend("green") as green:
        cache = SnapshotCache()
        cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one"))
        async with serving(cache) as server, running_envoy(tmp_path, xds_port=server.port, ca=CA, delta=delta) as envoy:
            await until(port, "blue", "the whole configuration arrives over mutual TLS")

            cache.publish(KEY, snapshot(port=port, endpoints={"one": green}, to="one"))
            assert await until(port, "green", "an endpoint changed") < 1, "at once"

            cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one", clusters={"one": "2s"}))
            await until(port, "blue", "cluster and endpoints changed together")

            before = (await envoy.stats()).get("cluster_manager.cluster_modified", 0)
            start = time.monotonic()
            cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one", clusters={"one": "3s"}))
            await envoy.wait(
                lambda stats: stats.get("cluster_manager.cluster_modified", 0) > before and stats.get("cluster_manager.warming_clusters", 0) == 0,
                "a changed cluster warms although its endpoints did not change",
            )
            assert time.monotonic() - start < 10, "not after the 15 s of the initial fetch timeout"
            stats = await envoy.stats()
            assert not any("init_fetch_timeout" in name and value for name, value in stats.items()), "nothing waited for a timeout"


async def test_a_route_moves_to_a_new_cluster_without_one_bad_answer(tmp_path: Path, delta: bool):
    port = free_port()
    async with backend("blue") as blue, backend("green") as green:
        cache = SnapshotCache()
        cache.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one"))
        async with serving(cache) as server, running_envoy(tmp_path, xds_port=server.port, ca=CA, delta=delta):
            await until(port, "blue", "the first configuration arrives")
            seen = ["blue"]
            async with httpx.AsyncClient() as http:
                for change in range(10):
                    colour, endpoint = ("green", green) if change % 2 == 0 else ("blue", blue)
                    cache.publish(KEY, snapshot(port=port, endpoints={f"{colour}{change}": endpoint}, to=f"{colour}{change}"))
                    async with asyncio.timeout(20):
                        while seen[-20:] != [colour] * 20:
                            answer = await http.get(f"http://127.0.0.1:{port}/")
                            seen.append(answer.text if answer.status_code == 200 else f"{answer.status_code} {answer.text}")
            assert set(seen) == {"blue", "green"}, "clusters come before the routes to them and go after these"
            assert sum(1 for one, two in itertools.pairwise(seen) if one != two) == 10, "and each change took effect once"


async def test_what_envoy_refuses_is_recorded_in_its_words_and_the_rest_goes_on(tmp_path: Path, delta: bool):
    port = free_port()
    async with backend("blue") as blue, backend("green") as green:
        cache = SnapshotCache()
        cache.publish(KEY, snapshot(port=port, endpoints={"good": blue, "victim": blue}, to="victim"))
        async with serving(cache) as server, running_envoy(tmp_path, xds_port=server.port, ca=CA, delta=delta) as envoy:
            await until(port, "blue", "the first configuration arrives")
            refused_before = (await envoy.stats()).get("cluster_manager.cds.update_rejected", 0)
            # A connect timeout of zero breaks a rule that Python does not check and Envoy does.
            cache.publish(KEY, snapshot(port=port, endpoints={"good": green, "victim": green}, to="good", clusters={"good": "2s", "victim": "0s"}))
            await until(port, "green", "the good cluster and the route to it are applied though the other one is refused")
            ((rejection,),) = cache.rejections().values()
            assert rejection.name == "victim", "the culprit is named"
            assert "ConnectTimeout" in rejection.message, "in Envoy's own words"
            await asyncio.sleep(0.5)
            refused = (await envoy.stats())["cluster_manager.cds.update_rejected"] - refused_before
            assert refused == 1, "what was refused is not sent again and again"
            cache.publish(KEY, snapshot(port=port, endpoints={"good": green, "victim": blue}, to="victim", clusters={"victim": "3s"}))
            await until(port, "blue", "a correction is taken")
            assert cache.rejections() == {}, "and nothing is refused any more"


async def test_envoy_serves_on_while_the_server_is_away_and_a_restart_changes_nothing(tmp_path: Path, delta: bool):
    port, xds_port = free_port(), free_port()
    async with backend("blue") as blue, backend("green") as green:
        first = SnapshotCache()
        first.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one"))
        async with serving(first, xds_port):
            envoy_process = running_envoy(tmp_path, xds_port=xds_port, ca=CA, delta=delta)
            envoy: Envoy = await envoy_process.__aenter__()
            await until(port, "blue", "the first configuration arrives")
        try:
            assert await get(port) == "blue", "without a control plane Envoy serves what it has"
            second = SnapshotCache()
            async with serving(second, xds_port):
                await envoy.wait(lambda stats: stats.get("control_plane.connected_state") == 1, "it reconnects")
                await asyncio.sleep(0.2)
                assert await get(port) == "blue", "a server that has not read everything yet publishes nothing, so nothing is taken away"
                updates = (await envoy.stats())["listener_manager.lds.update_success"]
                second.publish(KEY, snapshot(port=port, endpoints={"one": blue}, to="one"))
                if delta:
                    await asyncio.sleep(0.5)
                    stats = await envoy.stats()
                    assert stats["listener_manager.lds.update_success"] == updates, "it has said which versions it has, so nothing is sent again"
                else:
                    stats = await envoy.wait(lambda stats: stats["listener_manager.lds.update_success"] > updates, "it is sent the configuration")
                assert stats.get("listener_manager.listener_modified", 0) == 0, "which is the same, so no listener is drained"
                assert stats.get("cluster_manager.cluster_modified", 0) == 0, "and no cluster replaced"
                second.publish(KEY, snapshot(port=port, endpoints={"one": green}, to="one"))
                await until(port, "green", "changes arrive again")
        finally:
            await envoy_process.__aexit__(None, None, None)
