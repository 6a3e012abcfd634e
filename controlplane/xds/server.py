"""The ADS server: one bidirectional gRPC stream per Envoy, mutual TLS; incremental (delta) or state of the world, as the client asks.

This module only moves messages. What a stream is sent is decided in `delta_stream.py` and `stream.py`, by pure state; what there is to send, in
`cache.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc

from controlplane import metrics
from controlplane.xds.cache import ProxyKey, Session, SnapshotCache
from controlplane.xds.conversation import Conversation, Incremental, Push, StateOfTheWorld
from controlplane.xds.nack import readable
from controlplane.xds.resources import ResourceType
from controlplane.xds.stream import Verdict

log = logging.getLogger(__name__)

_OPTIONS = (
    ("grpc.so_reuseport", 0),  # A second server on the port must fail, not share it.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),  # A request lists every name that a client subscribes to.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),  # Envoy's own keepalive may ping as often as its bootstrap says.
)


INTRODUCTION_SECONDS = 2.0
"""How long after it connected a client has surely said what it subscribes to."""


@dataclass(frozen=True)
class ServerTls:
    """PEM documents of the server, and the names (SAN) that a client's certificate must hold one of."""

    certificate: str
    key: str
    client_ca: str
    client_names: frozenset[str]

    def __repr__(self) -> str:
        return f"ServerTls(client_names={sorted(self.client_names)})"

    @classmethod
    def from_env(cls, env: Mapping[str, str], *, client_names: frozenset[str]) -> ServerTls:
        """Read XDS_TLS_CRT, XDS_TLS_KEY and XDS_TLS_CA; ValueError names the ones that are missing."""
        missing = [name for name in ("XDS_TLS_CRT", "XDS_TLS_KEY", "XDS_TLS_CA") if not env.get(name)]
        if missing:
            raise ValueError(
                f"xDS needs mutual TLS, but {', '.join(missing)} is not set: pass the Secret gloo-xds-server "
                "(tls.crt, tls.key, ca.crt) as environment, or start with --xds-insecure where nobody else can reach the address"
            )
        return cls(certificate=env["XDS_TLS_CRT"], key=env["XDS_TLS_KEY"], client_ca=env["XDS_TLS_CA"], client_names=client_names)

    def credentials(self) -> Any:
        pair = (self.key.encode(), self.certificate.encode())
        return grpc.ssl_server_credentials([pair], root_certificates=self.client_ca.encode(), require_client_auth=True)


LONGEST_REST_SECONDS = 0.05
"""Between two parts of a large push a client rests as long as the last one took it, but no longer than this: it has requests to serve."""


class AdsServer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc] # the generated class has no types
    """Serves the snapshots of `cache` on `address` (host:port; port 0 picks one)."""

    def __init__(self, *, cache: SnapshotCache, address: str, tls: ServerTls | None) -> None:
        self._cache = cache
        self._tls = tls
        self._server = grpc.aio.server(options=_OPTIONS)
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        try:
            self.port: int = self._server.add_secure_port(address, tls.credentials()) if tls else self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"xDS cannot listen on {address}: {error}; is another process using it?") from error

    async def start(self) -> None:
        await self._server.start()
        log.info("xds listening", extra={"port": self.port, "mutual_tls": self._tls is not None})

    async def stop(self) -> None:
        """End all streams at once: the clients keep what they have and come back."""
        await self._server.stop(grace=0)

    async def StreamAggregatedResources(self, request_iterator: AsyncIterator[Any], context: Any) -> None:
        await self._converse(StateOfTheWorld, request_iterator, context)

    async def DeltaAggregatedResources(self, request_iterator: AsyncIterator[Any], context: Any) -> None:
        await self._converse(Incremental, request_iterator, context)

    async def _converse(self, form: type[StateOfTheWorld | Incremental], requests: AsyncIterator[Any], context: Any) -> None:
        await self._authorise(context)
        first = await anext(requests, None)
        if first is None:
            return
        role = first.node.metadata.fields["role"].string_value if "role" in first.node.metadata.fields else ""
        if "~" not in role:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"node.metadata.role is {role!r}: it must be <namespace>~<proxy name>")
        bind = first.node.metadata.fields["bind_address"].string_value if "bind_address" in first.node.metadata.fields else ""
        with self._cache.session(ProxyKey(role=role, bind_address=bind), node=first.node.id) as session:
            log.info("client connected", extra={"node": session.node, "role": role, "bind_address": bind, "form": form.__name__})
            metrics.CONNECTED_PROXIES.inc()
            try:
                await self._serve(session, form(last_good=self._cache.last_good(session.key)), first, requests, context)
            finally:
                metrics.CONNECTED_PROXIES.dec()
                log.info("client disconnected", extra={"node": session.node, "role": role})

    async def _authorise(self, context: Any) -> None:
        if self._tls is None:
            return
        names = {name.decode() for name in context.auth_context().get("x509_subject_alternative_name", ())}
        if not names & self._tls.client_names:
            log.warning("client refused", extra={"peer": context.peer(), "names": sorted(names), "allowed": sorted(self._tls.client_names)})
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the client certificate has no name (SAN) that may read this configuration")

    async def _serve(self, session: Session, conversation: Conversation, first: Any, requests: AsyncIterator[Any], context: Any) -> None:
        inbox: deque[Any] = deque([first])
        session.wake.set()
        reader = asyncio.ensure_future(_read(requests, inbox, session.wake))
        introduction = asyncio.get_running_loop().call_later(INTRODUCTION_SECONDS, _introduced, conversation, session)
        written = 0.0
        try:
            while not (reader.done() and not inbox):
                await session.wake.wait()
                session.wake.clear()
                if written:
                    await asyncio.sleep(min(time.monotonic() - written, LONGEST_REST_SECONDS))
                    written = 0.0
                while self._look(session, conversation, inbox) and not inbox and (push := conversation.next()):
                    _record(session, push)
                    await context.write(push.message)
                    written = time.monotonic() if push.is_part else 0.0
                self._cache.set_rejections(session, conversation.rejections())
        finally:
            introduction.cancel()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    def _look(self, session: Session, conversation: Conversation, inbox: deque[Any]) -> bool:
        """Take in what is new on both sides; false when there is no snapshot yet, and so nothing may be sent."""
        snapshot = self._cache.snapshot(session.key)
        if snapshot is not None:
            conversation.look(snapshot, session.take())
        while inbox:
            self._receive(session, conversation, inbox.popleft())
        return snapshot is not None

    def _receive(self, session: Session, conversation: Conversation, message: Any) -> None:
        type_ = ResourceType.from_url(message.type_url)
        if type_ is None:
            log.debug("type not served", extra={"node": session.node, "type_url": message.type_url})
            return
        answer = conversation.receive(type_, message)
        if answer.verdict is Verdict.ACK:
            self._cache.accepted(session.key, type_, answer.accepted)
        elif answer.verdict is Verdict.NACK:
            metrics.REFUSALS.labels(type=type_.name.lower()).inc()
            self._cache.set_rejections(session, conversation.rejections())
            log.warning("configuration refused", extra={"node": session.node, "type": type_.name, "envoy_says": readable(answer.error)})


for _type in ResourceType:
    # From the start, or the first refusal would look to Prometheus as if it had always been there.
    metrics.REFUSALS.labels(type=_type.name.lower())


def _introduced(conversation: Conversation, session: Session) -> None:
    conversation.introduced()
    session.wake.set()


async def _read(requests: AsyncIterator[Any], inbox: deque[Any], wake: asyncio.Event) -> None:
    try:
        async for message in requests:
            inbox.append(message)
            wake.set()
    finally:
        wake.set()


def _record(session: Session, push: Push) -> None:
    type_ = push.type.name.lower()
    metrics.PUSHES.labels(type=type_).inc()
    metrics.PUSHED_BYTES.labels(type=type_).inc(push.size)
    extra = {"node": session.node, "type": type_, "resources": push.resources, "removed": push.removed, "bytes": push.size, "nonce": push.nonce}
    log.debug("push", extra=extra)
