"""The two forms in which a client can speak, between protobuf messages and the pure rules: state of the world and incremental (delta)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, DiscoveryResponse

from controlplane.xds.delta_stream import CHUNKS, DeltaRequest, DeltaStream
from controlplane.xds.nack import Rejection
from controlplane.xds.resources import Resource, ResourceType
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import LastGood, Request, Stream, Verdict


@dataclass(frozen=True)
class Push:
    """A message to be written, and what is to be said about it."""

    message: Any
    type: ResourceType
    nonce: str
    resources: int
    removed: int
    size: int
    """Bytes of the resources."""
    is_part: bool = False
    """There is more of the same."""


@dataclass(frozen=True)
class Answer:
    """What a client's request says about the response before it. `error` is Envoy's, of a NACK."""

    type: ResourceType
    verdict: Verdict
    accepted: Iterable[Resource]
    error: str


class Conversation(Protocol):
    """One client on one stream."""

    def look(self, snapshot: Snapshot, changed: Mapping[ResourceType, Iterable[str]]) -> None:
        """The snapshot is now this one; `changed` names what may differ from the one before."""

    def receive(self, type_: ResourceType, message: Any) -> Answer:
        """Take a request."""

    def introduced(self) -> None:
        """The client has had time to say all that it subscribes to."""

    def next(self) -> Push | None:
        """The next response, or None when there is nothing (more) to send."""

    def rejections(self) -> list[Rejection]:
        """What the client refuses at present."""


class StateOfTheWorld:
    """Every response of clusters and listeners is complete."""

    def __init__(self, *, last_good: LastGood) -> None:
        self._stream = Stream(last_good=last_good)
        self._snapshot = Snapshot()

    def look(self, snapshot: Snapshot, changed: Mapping[ResourceType, Iterable[str]]) -> None:
        self._snapshot = snapshot

    def receive(self, type_: ResourceType, message: Any) -> Answer:
        error = _error(message)
        request = Request(
            type=type_, names=tuple(message.resource_names), response_nonce=message.response_nonce, version=message.version_info, error=error
        )
        verdict, accepted = self._stream.receive(request)
        return Answer(type=type_, verdict=verdict, accepted=accepted, error=error or "")

    def introduced(self) -> None:
        pass  # What such a client kept from an earlier stream is never told.

    def next(self) -> Push | None:
        response = self._stream.next_response(self._snapshot)
        if response is None:
            return None
        message = DiscoveryResponse(version_info=response.version, nonce=response.nonce, type_url=response.type.url)
        for resource in response.resources:
            message.resources.add(type_url=response.type.url, value=resource.body)
        size = sum(len(resource.body) for resource in response.resources)
        return Push(message=message, type=response.type, nonce=response.nonce, resources=len(response.resources), removed=0, size=size)

    def rejections(self) -> list[Rejection]:
        return self._stream.rejections()


class Incremental:
    """Responses hold what changed."""

    def __init__(self, *, last_good: LastGood) -> None:
        self._stream = DeltaStream(last_good=last_good)

    def look(self, snapshot: Snapshot, changed: Mapping[ResourceType, Iterable[str]]) -> None:
        self._stream.update(snapshot, changed)

    def receive(self, type_: ResourceType, message: Any) -> Answer:
        error = _error(message)
        request = DeltaRequest(
            type=type_,
            subscribe=tuple(message.resource_names_subscribe),
            unsubscribe=tuple(message.resource_names_unsubscribe),
            known=dict(message.initial_resource_versions),
            response_nonce=message.response_nonce,
            error=error,
        )
        verdict, accepted = self._stream.receive(request)
        return Answer(type=type_, verdict=verdict, accepted=accepted, error=error or "")

    def introduced(self) -> None:
        self._stream.introduced = True

    def next(self) -> Push | None:
        response = self._stream.next_response()
        if response is None:
            return None
        url = response.type.url
        message = DeltaDiscoveryResponse(system_version_info=response.version, nonce=response.nonce, type_url=url, removed_resources=response.removed)
        for name, entry in response.entries.items():
            body = message.resources.add(name=name, version=entry.key).resource
            body.type_url, body.value = url, entry.resource.body
        size = sum(len(entry.resource.body) for entry in response.entries.values())
        return Push(
            message=message,
            type=response.type,
            nonce=response.nonce,
            resources=len(response.entries),
            removed=len(response.removed),
            size=size,
            is_part=response.type is ResourceType.CLUSTER and len(response.entries) >= CHUNKS[ResourceType.CLUSTER],
        )

    def rejections(self) -> list[Rejection]:
        return self._stream.rejections()


def _error(message: Any) -> str | None:
    return (message.error_detail.message or "refused without a message") if message.HasField("error_detail") else None
