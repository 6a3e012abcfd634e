"""The other end of an incremental ADS stream, without a network: it does what Envoy does, unless a test says otherwise.

That a real Envoy behaves so is shown in test_xds_envoy.py and test_xds_envoy_delta.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from support_stream import CLUSTER, ENDPOINT, LISTENER, ROUTE

from controlplane.xds.delta_stream import DeltaRequest, DeltaResponse, DeltaStream
from controlplane.xds.resources import ResourceType
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import Verdict

Has = dict[ResourceType, dict[str, str]]


@dataclass
class DeltaClient:
    """The other end of a stream. `has` is what it keeps when the stream ends: name → version, by type."""

    current: Snapshot
    stream: DeltaStream = field(default_factory=lambda: DeltaStream(last_good={}))
    has: Has = field(default_factory=lambda: {type_: {} for type_ in ResourceType})
    nonces: dict[ResourceType, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stream.update(self.current, {type_: self.current.of(type_).items for type_ in ResourceType})

    def publish(self, snapshot: Snapshot) -> None:
        changed = {type_: self.current.of(type_).differing(snapshot.of(type_)) for type_ in ResourceType}
        self.current = snapshot
        self.stream.update(snapshot, changed)

    def ask(self, type_: ResourceType, *names: str, drop: Iterable[str] = (), known: Mapping[str, str] | None = None, nonce: str = "") -> Verdict:
        for name in drop:
            self.has[type_].pop(name, None)
        request = DeltaRequest(type=type_, subscribe=names, unsubscribe=tuple(drop), known=known or {}, response_nonce=nonce)
        return self.stream.receive(request)[0]

    def next(self) -> DeltaResponse | None:
        response = self.stream.next_response()
        if response is not None:
            self.nonces[response.type] = response.nonce
        return response

    def expect(self, type_: ResourceType) -> DeltaResponse:
        response = self.next()
        assert response is not None, f"a {type_.name} response is due"
        assert response.type is type_, "the types come in order"
        return response

    def reply(self, response: DeltaResponse, error: str | None = None) -> Verdict:
        if error is None:
            self.has[response.type].update((name, entry.key) for name, entry in response.entries.items())
            for name in response.removed:
                self.has[response.type].pop(name, None)
        return self.stream.receive(DeltaRequest(type=response.type, response_nonce=response.nonce, error=error))[0]

    def accept(self, type_: ResourceType) -> DeltaResponse:
        response = self.expect(type_)
        assert self.reply(response) is Verdict.ACK, "an answer without an error is an ACK"
        return response

    def nothing(self, why: str) -> None:
        response = self.next()
        assert response is None, f"{why}, but there is {response}"

    def reconnected(self, current: Snapshot | None = None) -> DeltaClient:
        """The same client on a new stream, of which it says what it has."""
        again = DeltaClient(current=current or self.current, has=self.has)
        for type_ in (CLUSTER, ENDPOINT, LISTENER, ROUTE):
            explicit = () if type_.full_state else tuple(self.has[type_])
            again.ask(type_, *explicit, known=dict(self.has[type_]))
        return again


def connected(current: Snapshot) -> DeltaClient:
    """A client that has everything in `current`."""
    client = DeltaClient(current=current)
    client.ask(CLUSTER)
    client.ask(ENDPOINT, *current.endpoints.items)
    client.ask(LISTENER)
    client.ask(ROUTE, *current.routes.items)
    while (response := client.next()) is not None:
        client.reply(response)
    assert client.has[CLUSTER].keys() == current.clusters.items.keys(), "it has everything"
    return client


def named(response: DeltaResponse) -> list[str]:
    return sorted(response.entries)
