"""`gloo` as a whole, in this process, against an API double: what it publishes, when, and what it writes. `cluster` tests use real ones."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import httpx2 as httpx
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest
from support_api import ApiDouble, api_double, eventually
from support_envoy import free_port

from controlplane.gloo import process
from controlplane.gloo.kinds import GATEWAY, UPSTREAM, VIRTUAL_SERVICE
from controlplane.gloo.process import Options
from controlplane.kube.objects import ENDPOINT_SLICE, SERVICE
from controlplane.net import realiser
from controlplane.xds.resources import ResourceType

pytestmark = pytest.mark.loopback

NAME = "default-service-blue-10000"
CLUSTER_NAME = f"{NAME}_gloo-system"


@asynccontextmanager
async def gloo(api: ApiDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    """Run gloo; yields its options."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(api.kubeconfig())
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    options = Options(
        namespace="gloo-system",
        xds_address=f"127.0.0.1:{free_port()}",
        tls=None,
        watch_namespaces=("default", "gloo-system"),
        realise=realiser("10.64.0.0/10=127.64.0.0/10"),
        health_address=f"127.0.0.1:{free_port()}",
        started=time.monotonic(),
    )
    task = asyncio.ensure_future(process.main(options))
    try:
        yield options
        if task.done():
            task.result()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def ready(options: Options) -> str:
    async with httpx.AsyncClient() as http:
        with suppress(httpx.HTTPError):
            return (await http.get(f"http://{options.health_address}/readyz")).text
    return "no answer"


async def until_ready(options: Options) -> None:
    async with asyncio.timeout(5):
        while await ready(options) != "ok\n":
            await asyncio.sleep(0.01)


async def put_chain(api: ApiDouble) -> None:
    """Blue's Service, endpoints, Gateway and route, as a cluster holds them."""
    await api.put(SERVICE, "default", "service-blue", spec={"ports": [{"name": "color", "port": 10000, "protocol": "TCP", "targetPort": 10000}]})
    await put_endpoints(api, "10.77.0.10")
    await api.put(GATEWAY, "gloo-system", "gateway-proxy", spec={"bindAddress": "::", "bindPort": 8080, "httpGateway": {}})
    route = {"matchers": [{"prefix": "/"}], "routeAction": {"single": {"upstream": {"name": NAME, "namespace": "gloo-system"}}}}
    await api.put(VIRTUAL_SERVICE, "gloo-system", "default", spec={"virtualHost": {"domains": ["*"], "routes": [route]}})


async def put_endpoints(api: ApiDouble, *addresses: str) -> None:
    await api.put(
        ENDPOINT_SLICE,
        "default",
        "service-blue-abc",
        metadata={"labels": {"kubernetes.io/service-name": "service-blue"}},
        addressType="IPv4",
        endpoints=[{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        ports=[{"name": "color", "port": 10000, "protocol": "TCP"}],
    )


class Proxy:
    """An ADS client that accepts everything and remembers it."""

    def __init__(self, channel: grpc.aio.Channel, *, refuse: str = "") -> None:
        self.seen: dict[str, dict[str, bytes]] = {}
        self.answers = 0
        self._refuse = refuse
        self._call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).StreamAggregatedResources()
        self._names: tuple[str, ...] = ()

    async def run(self) -> None:
        first = DiscoveryRequest(type_url=ResourceType.CLUSTER.url)
        first.node.id = "proxy"
        first.node.metadata["role"] = "gloo-system~gateway-proxy"
        first.node.metadata["bind_address"] = "127.0.0.9"
        await self._call.write(first)
        await self._call.write(DiscoveryRequest(type_url=ResourceType.LISTENER.url))
        while (answer := await self._call.read()) is not grpc.aio.EOF:
            self.answers += 1
            reply = DiscoveryRequest(type_url=answer.type_url, response_nonce=answer.nonce, version_info=answer.version_info)
            values = [resource.value for resource in answer.resources]
            if answer.type_url == ResourceType.CLUSTER.url:
                found = {Cluster.FromString(value).name: value for value in values}
                if self._refuse and self._refuse in found:
                    reply.error_detail.message = f"Error adding/updating cluster(s) {self._refuse}: no"
                else:
                    self.seen["clusters"] = found
                    if tuple(sorted(found)) != self._names:
                        self._names = tuple(sorted(found))
                        await self._call.write(DiscoveryRequest(type_url=ResourceType.ENDPOINT.url, resource_names=self._names))
            elif answer.type_url == ResourceType.ENDPOINT.url:
                reply.resource_names.extend(self._names)
                self.seen.setdefault("endpoints", {}).update({ClusterLoadAssignment.FromString(value).cluster_name: value for value in values})
            elif answer.type_url == ResourceType.LISTENER.url and self._refuse in (names := [Listener.FromString(value).name for value in values]):
                reply.error_detail.message = f"Error adding/updating listener(s) {names[0]}: no"
            else:
                self.seen[answer.type_url] = {str(index): value for index, value in enumerate(values)}
            await self._call.write(reply)

    def addresses(self) -> list[str]:
        value = self.seen.get("endpoints", {}).get(CLUSTER_NAME)
        if value is None:
            return []
        groups = ClusterLoadAssignment.FromString(value).endpoints
        return sorted(each.endpoint.address.socket_address.address for group in groups for each in group.lb_endpoints)


@asynccontextmanager
async def proxy(options: Options, **how: Any):
    async with grpc.aio.insecure_channel(options.xds_address) as channel:
        client = Proxy(channel, **how)
        task = asyncio.ensure_future(client.run())
        try:
            yield client
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def status(api: ApiDouble, kind: Any, name: str) -> dict[str, Any]:
    obj = api.get(kind, "gloo-system", name) or {}
    return obj.get("status", {}).get("statuses", {}).get("gloo-system", {})


async def test_the_chain_is_published_realised_and_follows_changes_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path):
    async with api_double() as api:
        await put_chain(api)
        async with gloo(api, monkeypatch, tmp_path) as options:
            await until_ready(options)
            async with proxy(options) as client:
                await eventually(lambda: client.addresses() == ["127.77.0.10"], "the discovered Upstream's endpoint arrives, realised")
                start = time.monotonic()
                await put_endpoints(api, "10.77.0.11", "10.77.0.12")
                await eventually(lambda: client.addresses() == ["127.77.0.11", "127.77.0.12"], "a change arrives")
                assert time.monotonic() - start < 2, "an event, not the next round of a poll"


async def test_status_is_written_once_and_its_own_writes_start_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path):
    async with api_double() as api:
        await put_chain(api)
        async with gloo(api, monkeypatch, tmp_path):
            for kind, name in ((UPSTREAM, NAME), (GATEWAY, "gateway-proxy"), (VIRTUAL_SERVICE, "default")):
                await eventually(lambda kind=kind, name=name: status(api, kind, name).get("state") == "Accepted", f"{kind} {name} is accepted")
                assert status(api, kind, name)["reportedBy"] == "gloo"
            done = len(writes(api))
            assert done <= 5, "one discovered Upstream, a status each, and the route is told once that its Upstream is not there yet"
            await asyncio.sleep(0.3)
            assert len(writes(api)) == done, "what it writes does not make it write again"


def writes(api: ApiDouble) -> list[str]:
    return [path for method, path in api.requests if method != "GET"]


async def test_an_object_that_cannot_be_understood_is_rejected_and_the_last_good_one_serves(monkeypatch: pytest.MonkeyPatch, tmp_path):
    async with api_double() as api:
        await put_chain(api)
        async with gloo(api, monkeypatch, tmp_path) as options, proxy(options) as client:
            await eventually(lambda: client.addresses(), "it serves")
            spec = api.get(UPSTREAM, "gloo-system", NAME)["spec"]
            await api.put(UPSTREAM, "gloo-system", NAME, manager="user", spec={**spec, "healthChecks": [{"timeout": "soon"}]})
            await eventually(lambda: status(api, UPSTREAM, NAME).get("state") == "Rejected", "it is rejected")
            assert "healthChecks" in status(api, UPSTREAM, NAME)["reason"], "the reason names the field"
            assert "soon" in status(api, UPSTREAM, NAME)["reason"], "and the value"
            await put_endpoints(api, "10.77.0.20")
            await eventually(lambda: client.addresses() == ["127.77.0.20"], "what served before serves on, and follows its endpoints")
            assert CLUSTER_NAME in client.seen["clusters"], "its cluster is still there"
            await api.put(UPSTREAM, "gloo-system", NAME, manager="user", spec=spec)
            await eventually(lambda: status(api, UPSTREAM, NAME).get("state") == "Accepted", "a correction is accepted")


@pytest.mark.parametrize(
    ("refused", "kind", "name", "words"),
    [
        (CLUSTER_NAME, UPSTREAM, NAME, f"cluster(s) {CLUSTER_NAME}: no"),
        ("listener-::-8080", GATEWAY, "gateway-proxy", "listener(s) listener-::-8080: no"),
    ],
)
async def test_what_envoy_refuses_is_in_the_status_in_its_words(monkeypatch: pytest.MonkeyPatch, tmp_path, refused: str, kind, name: str, words: str):
    async with api_double() as api:
        await put_chain(api)
        async with gloo(api, monkeypatch, tmp_path) as options:
            await until_ready(options)
            async with proxy(options, refuse=refused):
                await eventually(lambda: status(api, kind, name).get("state") == "Rejected", "the refusal reaches the object")
                assert words in status(api, kind, name)["reason"], "Envoy's own words"
            await eventually(lambda: status(api, kind, name).get("state") == "Accepted", "and goes when nobody refuses it any more")


async def test_nothing_is_published_before_everything_has_been_read(monkeypatch: pytest.MonkeyPatch, tmp_path):
    async with api_double() as api:
        await put_chain(api)
        api.failing = (503, "starting")
        async with gloo(api, monkeypatch, tmp_path) as options, proxy(options) as client:
            async with asyncio.timeout(5):
                while "waiting for" not in await ready(options):  # the process says that it is not ready
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            assert client.answers == 0, "half a configuration would take the other half away"
            assert "waiting for" in await ready(options), "and nothing but the API server can end the wait"
            api.failing = None
            await eventually(lambda: client.addresses() == ["127.77.0.10"], "then everything comes")


async def test_a_lost_api_server_changes_nothing_for_the_proxies(monkeypatch: pytest.MonkeyPatch, tmp_path):
    async with api_double() as api:
        await put_chain(api)
        async with gloo(api, monkeypatch, tmp_path) as options:
            await until_ready(options)
            await eventually(lambda: status(api, UPSTREAM, NAME), "it works")
            await api.stop()
            async with proxy(options) as client:
                await eventually(lambda: client.addresses() == ["127.77.0.10"], "a new proxy gets what is known")
                assert await ready(options) == "ok\n", "gloo still does its work"
                await api.start()
                await put_endpoints(api, "10.77.0.99")
                await eventually(lambda: client.addresses() == ["127.77.0.99"], "and catches up", seconds=8)
