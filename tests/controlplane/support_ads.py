"""An ADS client driven by hand over real gRPC, in both forms of the protocol, and a server for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest
from support_certs import Authority, Pair
from support_stream import packed

from controlplane.xds.cache import ProxyKey, SnapshotCache
from controlplane.xds.resources import ResourceType
from controlplane.xds.server import AdsServer, ServerTls
from controlplane.xds.snapshot import Snapshot

KEY = ProxyKey(role="gloo-system~gateway-proxy")
SOON = 5.0
NOT_AT_ALL = 0.15


def snapshot(*clusters: str) -> Snapshot:
    return packed(clusters={name: Cluster(name=name) for name in clusters})


@contextlib.asynccontextmanager
async def serving(cache: SnapshotCache, tls: ServerTls | None = None) -> AsyncIterator[AdsServer]:
    server = AdsServer(cache=cache, address="127.0.0.1:0", tls=tls)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


class Client:
    """A hand-driven ADS client."""

    def __init__(self, channel: grpc.aio.Channel, *, role: str = KEY.role, bind_address: str = "", delta: bool = False) -> None:
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel)
        self.call = stub.DeltaAggregatedResources() if delta else stub.StreamAggregatedResources()
        self._request = DeltaDiscoveryRequest if delta else DiscoveryRequest
        self._role = role
        self._bind_address = bind_address
        self._first = True

    async def request(self, type_: ResourceType = ResourceType.CLUSTER, **fields: object) -> None:
        error = fields.pop("error", None)
        message = self._request(type_url=type_.url, **fields)
        if self._first:
            message.node.id = "test"
            message.node.metadata["role"] = self._role
            if self._bind_address:
                message.node.metadata["bind_address"] = self._bind_address
            self._first = False
        if error is not None:
            message.error_detail.message = error
        await self.call.write(message)

    async def response(self) -> Any:
        async with asyncio.timeout(SOON):
            answer = await self.call.read()
            if answer is grpc.aio.EOF:
                raise AssertionError(f"the stream ended: {await self.call.code()} {await self.call.details()}")
            return answer

    async def silence(self, why: str) -> None:
        read = asyncio.ensure_future(self.call.read())
        done, _ = await asyncio.wait({read}, timeout=NOT_AT_ALL)
        read.cancel()
        assert not done, why

    async def refusal(self) -> tuple[grpc.StatusCode, str]:
        async with asyncio.timeout(SOON):
            return await self.call.code(), await self.call.details()


CA = Authority()
SERVER = CA.issue("gloo.gloo-system.svc")
TLS = ServerTls(certificate=SERVER.certificate, key=SERVER.key, client_ca=CA.pem, client_names=frozenset({"gateway-proxy.gloo-system"}))


def secure_channel(port: int, pair: Pair | None) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=CA.pem.encode(),
        private_key=pair.key.encode() if pair else None,
        certificate_chain=pair.certificate.encode() if pair else None,
    )
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=(("grpc.ssl_target_name_override", "gloo.gloo-system.svc"),))
