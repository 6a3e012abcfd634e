"""The other end of an ADS stream, without a network: it does what Envoy does, unless a test says otherwise.

It acknowledges what it gets, and asks for endpoints and routes by name. That a real Envoy behaves so is shown in test_xds_envoy.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.xds.resources import Message, Resource, ResourceSet, ResourceType, digest
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import Request, Response, Stream, Verdict

CLUSTER, ENDPOINT, SECRET, LISTENER, ROUTE = ResourceType


def resources(**bodies: str) -> ResourceSet:
    return ResourceSet.of({name: Resource(name=name, body=body.encode(), version=digest(body.encode())) for name, body in bodies.items()})


def snapshot(*, clusters=None, endpoints=None, secrets=None, listeners=None, routes=None) -> Snapshot:
    by_type = zip(ResourceType, (clusters, endpoints, secrets, listeners, routes), strict=True)
    return Snapshot(sets={type_: resources(**(bodies or {})) for type_, bodies in by_type})


def packed(**messages: Mapping[str, Message]) -> Snapshot:
    """A snapshot of real messages, by `clusters`, `endpoints`, `secrets`, `listeners` and `routes`."""
    by_type = zip(ResourceType, ("clusters", "endpoints", "secrets", "listeners", "routes"), strict=True)
    return Snapshot().apply({type_: {name: Resource.pack(name, m) for name, m in messages.get(field_, {}).items()} for type_, field_ in by_type})


@dataclass
class Client:
    """The other end of a stream."""

    current: Snapshot
    stream: Stream = field(default_factory=lambda: Stream(last_good={}))
    names: dict[ResourceType, tuple[str, ...]] = field(default_factory=dict)
    nonces: dict[ResourceType, str] = field(default_factory=dict)

    def ask(self, type_: ResourceType, *names: str, version: str = "") -> None:
        self.names[type_] = names
        self.stream.receive(Request(type=type_, names=names, response_nonce=self.nonces.get(type_, ""), version=version))

    def next(self) -> Response | None:
        response = self.stream.next_response(self.current)
        if response is not None:
            self.nonces[response.type] = response.nonce
        return response

    def expect(self, type_: ResourceType) -> Response:
        response = self.next()
        assert response is not None, f"a {type_.name} response is due"
        assert response.type is type_, "the types come in order"
        return response

    def reply(self, response: Response, error: str | None = None) -> Verdict:
        request = Request(
            type=response.type, names=self.names.get(response.type, ()), response_nonce=response.nonce, version=response.version, error=error
        )
        return self.stream.receive(request)[0]

    def accept(self, type_: ResourceType) -> Response:
        response = self.expect(type_)
        assert self.reply(response) is Verdict.ACK, "an answer without an error is an ACK"
        return response

    def nothing(self, why: str) -> None:
        assert self.next() is None, why


def serving(current: Snapshot) -> Client:
    """A client that has everything in `current`."""
    client = Client(current=current)
    client.ask(CLUSTER)
    client.accept(CLUSTER)
    client.ask(ENDPOINT, *current.endpoints.items)
    if current.endpoints.items:
        client.accept(ENDPOINT)
    client.ask(LISTENER)
    client.accept(LISTENER)
    client.ask(ROUTE, *current.routes.items)
    if current.routes.items:
        client.accept(ROUTE)
    client.nothing("it has everything")
    return client


def names(response: Response) -> list[str]:
    return sorted(resource.name for resource in response.resources)


BLUE = snapshot(clusters={"blue": "1"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"})
