"""A tap on the xDS stream of a real Envoy: it passes every message on as it is, and notes what was sent and acknowledged when.

Envoy's statistics say what it has, not when it took it. The tap costs both directions of a message one hop over loopback.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse

from bench.ads import UNLIMITED, Protocol, channel
from bench.certificates import Authority
from bench.journal import Journal, Refused, named
from bench.processes import until
from service_failover.names import GLOO_NAMESPACE, xds_server_identity

_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_METHODS = {Protocol.DELTA: "DeltaAggregatedResources", Protocol.SOTW: "StreamAggregatedResources"}


class Tap:
    """What passes through. `protocol` is what the Envoy speaks; `on_response` is called with type URL and number of resources of each response."""

    def __init__(self, *, xds_port: int, authority: Authority) -> None:
        self.journal = Journal()
        self.protocol: Protocol | None = None
        self.refused: list[str] = []
        self.on_response: Callable[[str, int], None] = lambda type_url, resources: None
        self.port = 0
        self._channel = channel(xds_port, authority)
        self._server = grpc.aio.server(options=UNLIMITED)
        handlers = {name: grpc.stream_stream_rpc_method_handler(self._serve(protocol)) for protocol, name in _METHODS.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        pair = authority.issue(xds_server_identity(GLOO_NAMESPACE))
        credentials = grpc.ssl_server_credentials([(pair.key.encode(), pair.certificate.encode())], authority.pem.encode(), require_client_auth=True)
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Tap]:
        await self._server.start()
        try:
            yield self
        finally:
            await self._server.stop(grace=0)
            await self._channel.close()

    async def until(self, done: Callable[[Journal], bool], *, seconds: float) -> float:
        """Wait until `done(journal)`; when that was, by time.monotonic."""

        async def check() -> bool:
            self.check()
            return done(self.journal)

        await until(check, "the Envoy behind the tap was sent what is waited for", seconds=seconds, pause=0.005)
        return time.monotonic()

    def check(self) -> None:
        """Raises Refused when Envoy has refused a configuration."""
        if self.refused:
            raise Refused(self.refused[0])

    def _serve(self, protocol: Protocol) -> Callable[[Any, Any], AsyncIterator[bytes]]:
        async def serve(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
            self.protocol = protocol
            stream = self._channel.stream_stream(f"/{_SERVICE}/{_METHODS[protocol]}")()
            upwards = asyncio.create_task(self._up(requests, stream, protocol))
            try:
                async for message in stream:
                    self._down(message, protocol)
                    yield message
            finally:
                upwards.cancel()
                stream.cancel()
                await asyncio.gather(upwards, return_exceptions=True)

        return serve

    async def _up(self, requests: AsyncIterator[bytes], stream: Any, protocol: Protocol) -> None:
        async for message in requests:
            await stream.write(message)
            request = (DeltaDiscoveryRequest if protocol is Protocol.DELTA else DiscoveryRequest).FromString(message)
            if request.HasField("error_detail"):
                self.refused.append(request.error_detail.message)
            else:
                self.journal.acked(request.response_nonce)
        await stream.done_writing()

    def _down(self, message: bytes, protocol: Protocol) -> None:
        if protocol is Protocol.DELTA:
            delta = DeltaDiscoveryResponse.FromString(message)
            bodies, removed = {each.name: each.resource.value for each in delta.resources}, tuple(delta.removed_resources)
            type_url, nonce = delta.type_url, delta.nonce
        else:
            response = DiscoveryResponse.FromString(message)
            bodies, removed = named(response.type_url, response.resources), ()
            type_url, nonce = response.type_url, response.nonce
        self.journal.responded(type_url=type_url, nonce=nonce, size=len(message), bodies=bodies, removed=removed)
        self.on_response(type_url, len(bodies))
