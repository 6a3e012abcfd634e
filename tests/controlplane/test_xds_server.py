"""The AdsServer over real gRPC on loopback: streams, mutual TLS, reconnects. The rules of what is sent are in test_xds_stream.py."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from support_ads import CA, KEY, SERVER, SOON, TLS, Client, secure_channel, serving, snapshot
from support_certs import Authority, Pair

from controlplane.xds.cache import ProxyKey, SnapshotCache
from controlplane.xds.resources import ResourceType
from controlplane.xds.server import AdsServer, ServerTls

pytestmark = pytest.mark.loopback


def names(response: DiscoveryResponse) -> list[str]:
    return sorted(Cluster.FromString(resource.value).name for resource in response.resources)


async def test_nothing_is_answered_before_there_is_a_snapshot_and_everything_at_once_when_there_is():
    asked = asyncio.Event()
    cache = SnapshotCache(on_interest=asked.set)
    async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel)
        await client.request()
        async with asyncio.timeout(SOON):
            await asked.wait()
        cache.publish(KEY, snapshot("blue"))
        assert names(await client.response()) == ["blue"], "the waiting client is woken, not polled"


async def test_a_client_without_snapshot_gets_no_empty_answer():
    async with serving(SnapshotCache()) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel)
        await client.request()
        await client.silence("an empty answer would delete all that the client serves")


async def test_a_change_is_pushed_after_the_ack():
    cache = SnapshotCache()
    cache.publish(KEY, snapshot("blue"))
    async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel)
        await client.request()
        first = await client.response()
        await client.request(response_nonce=first.nonce, version_info=first.version_info)
        cache.publish(KEY, snapshot("blue", "green"))
        second = await client.response()
        assert names(second) == ["blue", "green"], "clusters are the whole state"
        assert second.nonce != first.nonce, "each response has its own nonce"
        assert second.version_info != first.version_info, "another content has another version"
        assert second.type_url == ResourceType.CLUSTER.url, "the type of the answer is the type of the request"


async def test_a_nack_is_recorded_with_envoys_words_and_ends_with_the_client():
    changed = asyncio.Queue[None]()
    cache = SnapshotCache(on_rejections=lambda: changed.put_nowait(None))
    cache.publish(KEY, snapshot("blue"))
    async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel)
        await client.request()
        first = await client.response()
        await client.request(response_nonce=first.nonce, error="cluster(s) blue: it is not blue enough")
        async with asyncio.timeout(SOON):
            await changed.get()
        ((rejection,),) = cache.rejections().values()
        assert (rejection.name, rejection.message) == ("blue", "cluster(s) blue: it is not blue enough")
        again = await client.response()
        assert names(again) == [], "a fresh client gets the rest without it"
        await client.request(response_nonce=again.nonce)
        await client.silence("what was refused is not sent again")
        client.call.cancel()
        async with asyncio.timeout(SOON):
            await changed.get()
        assert cache.rejections() == {}, "nobody refuses anything any more"


async def test_after_a_restart_of_the_server_the_version_is_the_same():
    versions = []
    for _ in range(2):
        cache = SnapshotCache()
        cache.publish(KEY, snapshot("green", "blue"))
        async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            client = Client(channel)
            await client.request()
            versions.append((await client.response()).version_info)
    assert versions[0] == versions[1], "equal content, equal version: Envoy sees no change"


async def test_clients_are_told_apart_by_role_and_bind_address():
    cache = SnapshotCache()
    cache.publish(KEY, snapshot("any"))
    cache.publish(ProxyKey(role=KEY.role, bind_address="127.0.0.9"), snapshot("bound"))
    async with serving(cache) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        bound = Client(channel, bind_address="127.0.0.9")
        await bound.request()
        assert names(await bound.response()) == ["bound"]


@pytest.mark.parametrize("delta", [True, False], ids=["delta", "state of the world"])
async def test_a_client_without_a_role_is_told_what_is_missing(delta: bool):
    async with serving(SnapshotCache()) as server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        client = Client(channel, role="nonsense", delta=delta)
        await client.request()
        code, details = await client.refusal()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "node.metadata.role is 'nonsense'" in details, "the message names field and value"


async def test_a_second_server_on_the_port_is_an_error():
    async with serving(SnapshotCache()) as server:
        with pytest.raises(OSError, match=f"127.0.0.1:{server.port}"):
            AdsServer(cache=SnapshotCache(), address=f"127.0.0.1:{server.port}", tls=None)


async def test_clients_of_a_proxy_that_went_are_forgotten_after_a_while():
    cache = SnapshotCache()
    with cache.session(KEY, node="n"):
        cache.prune(idle_seconds=0)
        assert cache.keys() == [KEY], "it is connected"
    cache.prune(idle_seconds=60)
    assert cache.keys() == [KEY], "it may come back"
    cache.prune(idle_seconds=0)
    assert cache.keys() == [], "it did not"


async def test_a_client_with_the_right_name_is_served_over_mutual_tls():
    cache = SnapshotCache()
    cache.publish(KEY, snapshot("blue"))
    async with serving(cache, TLS) as server, secure_channel(server.port, CA.issue("gateway-proxy.gloo-system")) as channel:
        client = Client(channel)
        await client.request()
        assert names(await client.response()) == ["blue"]


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (CA.issue("somebody.else"), grpc.StatusCode.PERMISSION_DENIED),
        (Authority().issue("gateway-proxy.gloo-system"), grpc.StatusCode.UNAVAILABLE),
        (None, grpc.StatusCode.UNAVAILABLE),
    ],
    ids=["another name", "another CA", "no certificate"],
)
@pytest.mark.parametrize("delta", [True, False], ids=["delta", "state of the world"])
async def test_any_other_client_gets_nothing(pair: Pair | None, expected: grpc.StatusCode, delta: bool):
    cache = SnapshotCache()
    cache.publish(KEY, snapshot("blue"))
    async with serving(cache, TLS) as server, secure_channel(server.port, pair) as channel:
        client = Client(channel, delta=delta)
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await client.request()
        assert (await client.refusal())[0] is expected


def test_without_certificates_the_server_says_what_is_missing():
    with pytest.raises(ValueError, match=r"XDS_TLS_KEY, XDS_TLS_CA is not set.*--xds-insecure"):
        ServerTls.from_env({"XDS_TLS_CRT": "x"}, client_names=frozenset())


def test_the_key_is_not_in_the_repr():
    assert SERVER.key not in repr(TLS), "a repr ends up in logs"
