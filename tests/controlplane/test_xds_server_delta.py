"""The AdsServer's incremental form over real gRPC on loopback. The rules of what is sent are in test_xds_delta.py."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from prometheus_client import Counter, Gauge
from support_ads import CA, KEY, SOON, TLS, Client, secure_channel, serving, snapshot

from controlplane import metrics
from controlplane.xds import server as server_module
from controlplane.xds.cache import SnapshotCache
from controlplane.xds.resources import Resource, ResourceType

pytestmark = pytest.mark.loopback


def versions(response: DeltaDiscoveryResponse) -> dict[str, str]:
    return {resource.name: resource.version for resource in response.resources}


def new(name: str, **fields: object) -> dict[ResourceType, dict[str, Resource]]:
    return {ResourceType.CLUSTER: {name: Resource.pack(name, Cluster(name=name, **fields))}}


async def test_nothing_is_answered_before_there_is_a_snapshot_and_everything_at_once_when_there_is():
    asked = asyncio.Event()
    cache = SnapshotCache(on_interest=asked.set)
    async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel, delta=True)
        await client.request(initial_resource_versions={"gone": "1"})
        async with asyncio.timeout(SOON):
            await asked.wait()
        cache.publish(KEY, snapshot("blue"))
        first = await client.response()
        assert versions(first).keys() == {"blue"}, "the waiting client is woken, not polled"
        assert not first.removed_resources, "what it has from before stays until it has what replaces it"


async def test_a_change_is_pushed_alone():
    cache = SnapshotCache()
    cache.publish(KEY, snapshot("blue", "green"))
    async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel, delta=True)
        await client.request()
        first = await client.response()
        assert (first.type_url, first.resources[0].resource.type_url) == (ResourceType.CLUSTER.url,) * 2
        await client.request(response_nonce=first.nonce)
        cache.apply(KEY, new("green", alt_stat_name="other"))
        second = await client.response()
        assert versions(second).keys() == {"green"}, "blue did not change"
        assert versions(second)["green"] != versions(first)["green"], "another content, another version"
        await client.request(response_nonce=second.nonce)
        cache.apply(KEY, {ResourceType.CLUSTER: {"blue": None}})
        third = await client.response()
        assert (list(third.removed_resources), list(third.resources)) == (["blue"], []), "and it says what has gone"


async def test_a_client_that_comes_back_gets_what_is_new(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server_module, "INTRODUCTION_SECONDS", 0.3)
    cache = SnapshotCache()
    cache.publish(KEY, snapshot("blue", "green"))
    async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel, delta=True)
        await client.request()
        has = versions(await client.response())
        client.call.cancel()
        cache.apply(KEY, new("red"))
        cache.apply(KEY, {ResourceType.CLUSTER: {"blue": None}})
        again = Client(channel, delta=True)
        await again.request(initial_resource_versions=has)
        answer = await again.response()
        assert versions(answer).keys() == {"red"}, "green it has"
        await again.request(response_nonce=answer.nonce)
        assert list((await again.response()).removed_resources) == ["blue"], "once it has had time to say that no route of it goes there"


async def test_a_client_that_comes_back_to_another_process_gets_nothing_that_it_has():
    has: dict[str, str] = {}
    for _ in range(2):
        cache = SnapshotCache()
        cache.publish(KEY, snapshot("blue", "green"))
        async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            client = Client(channel, delta=True)
            await client.request(initial_resource_versions=has)
            if has:
                await client.silence("the versions are made of the content, so the other process knows them")
            else:
                has = versions(await client.response())


async def test_a_nack_is_recorded_counted_and_not_repeated():
    refused = asyncio.Queue[None]()
    cache = SnapshotCache(on_rejections=lambda: refused.put_nowait(None))
    cache.publish(KEY, snapshot("blue", "green"))
    before = _value(metrics.REFUSALS.labels(type="cluster"))
    async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel, delta=True)
        await client.request()
        first = await client.response()
        await client.request(response_nonce=first.nonce, error="cluster(s) blue: it is not blue enough")
        async with asyncio.timeout(SOON):
            await refused.get()
        ((rejection,),) = cache.rejections().values()
        assert (rejection.name, rejection.message) == ("blue", "cluster(s) blue: it is not blue enough")
        again = await client.response()
        assert versions(again).keys() == {"green"}
        await client.request(response_nonce=again.nonce)
        await client.silence("what was refused is not sent again")
        assert _value(metrics.REFUSALS.labels(type="cluster")) == before + 1, "and counted once"


async def test_pushes_bytes_and_clients_are_counted():
    cache = SnapshotCache()
    cache.publish(KEY, snapshot("blue"))
    pushes, size = metrics.PUSHES.labels(type="cluster"), metrics.PUSHED_BYTES.labels(type="cluster")
    before = _value(pushes), _value(size), _value(metrics.CONNECTED_PROXIES)
    async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel, delta=True)
        await client.request()
        body = (await client.response()).resources[0].resource.value
        assert (_value(pushes), _value(size)) == (before[0] + 1, before[1] + len(body))
        assert _value(metrics.CONNECTED_PROXIES) == before[2] + 1, "it is connected"
        client.call.cancel()
        async with asyncio.timeout(SOON):
            while _value(metrics.CONNECTED_PROXIES) != before[2]:
                await asyncio.sleep(0.01)
        assert cache.sessions() == 0, "a client that went leaves no session behind"


async def test_a_client_with_the_right_name_is_served_over_mutual_tls():
    cache = SnapshotCache()
    cache.publish(KEY, snapshot("blue"))
    async with serving(cache, TLS) as server, secure_channel(server.port, CA.issue("gateway-proxy.gloo-system")) as channel:
        client = Client(channel, delta=True)
        await client.request()
        assert versions(await client.response()).keys() == {"blue"}


def test_changes_without_a_complete_snapshot_are_an_error():
    cache = SnapshotCache()
    with pytest.raises(LookupError, match="has no snapshot"):
        cache.apply(KEY, new("blue"))
    assert cache.snapshot(KEY) is None, "a part is never taken for the whole"


def test_a_change_that_changes_nothing_wakes_nobody():
    cache = SnapshotCache()
    with cache.session(KEY, node="n") as session:
        cache.publish(KEY, snapshot("blue"))
        session.take()
        session.wake.clear()
        assert not cache.apply(KEY, new("blue")), "it is there, with the same content"
        assert not cache.apply(KEY, {ResourceType.CLUSTER: {"unknown": None}}), "it was never there"
        assert not cache.publish(KEY, snapshot("blue")), "all of it is there"
        assert not session.wake.is_set()


def test_a_session_is_told_of_changes_once_each():
    cache = SnapshotCache()
    with cache.session(KEY, node="n") as session:
        cache.publish(KEY, snapshot("blue", "green"))
        cache.apply(KEY, new("red"))
        cache.apply(KEY, {ResourceType.CLUSTER: {"blue": None}})
        cache.apply(KEY, new("red", alt_stat_name="other"))
        assert session.take()[ResourceType.CLUSTER] == {"blue", "green", "red"}, "many changes of one name are one"
        assert session.take() == {}, "and are told once"


def test_a_snapshot_after_changes_is_the_snapshot_of_their_result():
    changed = snapshot("blue", "green").apply(new("red")).apply({ResourceType.CLUSTER: {"blue": None}})
    assert changed.version == snapshot("red", "green").version, "a version says what is there, not how it came about"
    assert changed.version != snapshot("red", "blue").version
    before = snapshot("blue", "green")
    assert before.apply(new("red")).clusters.items["blue"] is before.clusters.items["blue"], "what did not change is shared"
    assert before.clusters.items.keys() == {"blue", "green"}, "and the one before stays as it was"


def _value(metric: Counter | Gauge) -> float:
    return next(iter(metric.collect())).samples[0].value
