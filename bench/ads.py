"""Clients of the xDS server that do what Envoy does with a stream and nothing else: subscribe, take, acknowledge.

Two protocols, delta and state of the world, so that one can be measured against the other. An answer is acknowledged before it is looked at, so the
client's own work is not in the time from change to acknowledgement.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import Node
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpConnectionManager
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest

from bench.certificates import Authority
from bench.journal import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Journal, named
from service_failover.names import GLOO_NAMESPACE, xds_client_identity, xds_server_identity

UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Protocol(enum.StrEnum):
    """How a client speaks."""

    DELTA = "delta"
    SOTW = "state of the world"


def channel(port: int, authority: Authority) -> Any:
    """A channel of its own to the xDS server on `port` of 127.0.0.1, over mutual TLS."""
    pair = authority.issue(xds_client_identity(GLOO_NAMESPACE))
    credentials = grpc.ssl_channel_credentials(authority.pem.encode(), pair.key.encode(), pair.certificate.encode())
    options = (*UNLIMITED, ("grpc.ssl_target_name_override", xds_server_identity(GLOO_NAMESPACE)), ("grpc.use_local_subchannel_pool", 1))
    return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options)


class Client:
    """One stream. `journal` keeps what was sent; `resume` says the versions that an earlier stream of the client had (delta)."""

    def __init__(self, protocol: Protocol, *, role: str, resume: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.journal = Journal()
        self._protocol = protocol
        self._node = Node(id=f"bench-{protocol.name.lower()}", cluster="bench")
        self._node.metadata.fields["role"].string_value = role
        self._resume = resume or {}
        self._subscribed: dict[str, dict[str, None]] = {}
        self._last: dict[str, tuple[str, str]] = {}
        self._news = asyncio.Condition()
        self._failure: BaseException | None = None

    async def until(self, done: Callable[[Journal], bool], *, seconds: float) -> float:
        """Wait until `done(journal)`; when that was, by time.monotonic. Raises TimeoutError, or the error that ended the stream."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: self._failure is not None or done(self.journal))
        if self._failure is not None:
            raise self._failure
        return time.monotonic()

    async def run(self, to: Any) -> None:
        """Speak until the stream ends or this is cancelled."""
        try:
            await self._speak(to)
        except grpc.RpcError as error:
            self._failure = error
            async with self._news:
                self._news.notify_all()

    async def _speak(self, to: Any) -> None:
        stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(to)
        stream = stub.DeltaAggregatedResources() if self._protocol is Protocol.DELTA else stub.StreamAggregatedResources()
        self._subscribed = {type_url: dict.fromkeys(versions) for type_url, versions in self._resume.items() if type_url not in (CLUSTER, LISTENER)}
        for type_url in (CLUSTER, LISTENER, *self._subscribed):
            await stream.write(self._first(type_url))
        async for response in stream:
            self._last[response.type_url] = (response.version_info if self._protocol is Protocol.SOTW else "", response.nonce)
            await stream.write(self._request(response.type_url))
            acknowledged = time.monotonic()
            bodies = self._note(response)
            self.journal.acked(response.nonce, at=acknowledged)
            for type_url, wanted in _references(response.type_url, bodies).items():
                names = self._subscribed.setdefault(type_url, {})
                if new := [name for name in wanted if name not in names]:
                    names.update(dict.fromkeys(new))
                    await stream.write(self._request(type_url, subscribe=new))
            async with self._news:
                self._news.notify_all()

    def _first(self, type_url: str) -> Any:
        request = self._request(type_url, subscribe=list(self._subscribed.get(type_url, ())))
        request.node.CopyFrom(self._node)
        if self._protocol is Protocol.DELTA:
            request.initial_resource_versions.update(self._resume.get(type_url, {}))
        return request

    def _request(self, type_url: str, *, subscribe: list[str] | None = None) -> Any:
        """An acknowledgement of the last response of a type, or a subscription to more."""
        version, nonce = self._last.get(type_url, ("", ""))
        if self._protocol is Protocol.SOTW:
            names = self._subscribed.get(type_url, ())
            return DiscoveryRequest(type_url=type_url, version_info=version, response_nonce=nonce, resource_names=names)
        return DeltaDiscoveryRequest(type_url=type_url, response_nonce="" if subscribe else nonce, resource_names_subscribe=subscribe or ())

    def _note(self, response: Any) -> dict[str, bytes]:
        """The bodies of a response by name."""
        type_url = response.type_url
        if self._protocol is Protocol.SOTW:
            bodies, removed = named(type_url, response.resources), ()
        else:
            bodies, removed = {each.name: each.resource.value for each in response.resources}, tuple(response.removed_resources)
            self.journal.versions.setdefault(type_url, {}).update((each.name, each.version) for each in response.resources)
        self.journal.responded(type_url=type_url, nonce=response.nonce, size=response.ByteSize(), bodies=bodies, removed=removed)
        return bodies


def _references(type_url: str, bodies: Mapping[str, bytes]) -> dict[str, list[str]]:
    """What Envoy would ask for next: endpoints and secrets of clusters, routes of listeners."""
    wanted: dict[str, list[str]] = {}
    if type_url == CLUSTER:
        clusters = [Cluster.FromString(body) for body in bodies.values()]
        wanted[ENDPOINT] = [cluster.name for cluster in clusters if cluster.type == Cluster.EDS]
        wanted[SECRET] = [name for cluster in clusters for name in _secrets(cluster)]
    elif type_url == LISTENER:
        wanted[ROUTE] = [name for body in bodies.values() for name in _routes(Listener.FromString(body))]
    return wanted


def _secrets(cluster: Cluster) -> Iterator[str]:
    for match in cluster.transport_socket_matches:
        context = UpstreamTlsContext()
        if match.transport_socket.typed_config.Unpack(context):
            common = context.common_tls_context
            yield from (config.name for config in common.tls_certificate_sds_secret_configs)
            if common.HasField("combined_validation_context"):
                yield common.combined_validation_context.validation_context_sds_secret_config.name


def _routes(listener: Listener) -> Iterator[str]:
    for chain in listener.filter_chains:
        for each in chain.filters:
            manager = HttpConnectionManager()
            if each.typed_config.Unpack(manager) and manager.HasField("rds"):
                yield manager.rds.route_config_name


@asynccontextmanager
async def connected(client: Client, *, port: int, authority: Authority) -> AsyncIterator[Client]:
    """The client's stream for as long as the block lasts."""
    async with channel(port, authority) as to:
        task = asyncio.create_task(client.run(to))
        try:
            yield client
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
