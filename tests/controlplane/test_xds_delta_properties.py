"""Whatever happens, in whatever order: an incremental client ends up with the configuration, and its routes always lead to clusters that it has."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_stream import CLUSTER, ENDPOINT, LISTENER, ROUTE, snapshot

from controlplane.xds.delta_stream import DeltaRequest, DeltaResponse, DeltaStream
from controlplane.xds.resources import ResourceType
from controlplane.xds.snapshot import Snapshot

pytestmark = pytest.mark.property

CLUSTERS = ("a", "b", "c", "d")
BAD = b"bad"


@dataclass
class Network:
    """An Envoy and its stream, with messages on the way. It takes good resources of a refused response, or none, as `applies_good` says."""

    current: Snapshot
    names_culprits: bool
    applies_good: bool
    has: dict[ResourceType, dict[str, tuple[str, bytes]]] = field(default_factory=lambda: {type_: {} for type_ in ResourceType})
    unanswered: list[DeltaResponse] = field(default_factory=list)
    untold: set[tuple[ResourceType, str]] = field(default_factory=set)
    """What the client took out of a refused response before a reconnect. It tells no version of these, so no server can know that they are there."""

    def __post_init__(self) -> None:
        self.connect()

    def connect(self) -> None:
        """A new stream: what was on the way is lost, versions are told."""
        self.unanswered = []
        self.stream = DeltaStream(last_good={}, chunks=dict.fromkeys(ResourceType, 2))
        self.stream.update(self.current, {})
        self._wanted = {ENDPOINT: set(self.has[CLUSTER]), ROUTE: set(self.has[LISTENER])}
        for type_, wanted in self._wanted.items():
            self.has[type_] = {name: each for name, each in self.has[type_].items() if name in wanted}
        for type_ in (CLUSTER, ENDPOINT, LISTENER, ROUTE):
            self.untold.update((type_, name) for name, (version, _) in self.has[type_].items() if not version)
            names = tuple(sorted(self._wanted.get(type_, ())))
            if names or type_.full_state:
                known = {name: version for name, (version, _) in self.has[type_].items() if version}
                self.stream.receive(DeltaRequest(type=type_, subscribe=names, known=known))

    def publish(self, new: Snapshot) -> None:
        changed = {type_: self.current.of(type_).differing(new.of(type_)) for type_ in ResourceType}
        self.current = new
        self.stream.update(new, changed)

    def deliver(self) -> bool:
        """The client takes in the next response, but does not answer yet."""
        response = self.stream.next_response()
        if response is None:
            return False
        self.unanswered.append(response)
        bad = any(entry.resource.body == BAD for entry in response.entries.values())
        has = self.has[response.type]
        for name, entry in response.entries.items():
            if entry.resource.body != BAD and (not bad or self.applies_good):
                # Envoy takes note of versions only when it accepts the whole response.
                has[name] = ("" if bad else entry.key, entry.resource.body)
                self.untold.discard((response.type, name))
        if not bad:
            for name in response.removed:
                has.pop(name, None)
        self.check(response)
        return True

    def check(self, response: DeltaResponse) -> None:
        """No new route leads to a cluster that is not there, and no cluster goes to which a route leads."""
        leads_to = {name: cluster.decode() for name, (_, cluster) in self.has[ROUTE].items()}
        for name in response.entries if response.type is ROUTE else ():
            target = leads_to[name]
            refused = self.current.clusters.items[target].body == BAD
            assert target in self.has[CLUSTER] or refused, f"route {name} leads to {target}, which the client does not have"
        if response.type is CLUSTER:
            assert not {*response.removed} & {*leads_to.values()}, "the cluster that is removed is in use"

    def answer_later(self) -> None:
        """Clusters are answered when they are warm, all else before."""
        self.unanswered.sort(key=lambda response: response.type is CLUSTER)
        self.answer()

    def answer(self) -> bool:
        if not self.unanswered:
            return False
        response = self.unanswered.pop(0)
        bad = [name for name, entry in response.entries.items() if entry.resource.body == BAD]
        error = (f"error: {', '.join(bad)}: no" if self.names_culprits else "no") if bad else None
        self.stream.receive(DeltaRequest(type=response.type, response_nonce=response.nonce, error=error))
        self.subscribe(ENDPOINT, set(self.has[CLUSTER]))
        self.subscribe(ROUTE, set(self.has[LISTENER]))
        return True

    def subscribe(self, type_: ResourceType, names: set[str]) -> None:
        before = self._wanted[type_]
        more, less = names - before, before - names
        self._wanted[type_] = names
        for name in less:
            self.has[type_].pop(name, None)
        if more or less:
            self.stream.receive(DeltaRequest(type=type_, subscribe=tuple(sorted(more)), unsubscribe=tuple(sorted(less))))

    def settle(self) -> None:
        """Slow answers: everything that may be sent before one is sent before it. Then time passes."""
        for _ in range(500):
            if self.deliver() or self.answer():
                continue
            if self.stream.introduced:
                return
            self.stream.introduced = True
        raise AssertionError("it never comes to rest")


bodies = st.sampled_from(["1", "2", "3", BAD.decode()])


@st.composite
def configurations(draw: st.DrawFn) -> Snapshot:
    clusters = draw(st.dictionaries(st.sampled_from(CLUSTERS), bodies, min_size=1))
    endpoints = {name: draw(bodies) for name in clusters}
    listeners = draw(st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2"])))
    routes = {name: draw(st.sampled_from(sorted(clusters))) for name in listeners}
    return snapshot(clusters=clusters, endpoints=endpoints, listeners=listeners, routes=routes)


steps = st.lists(st.one_of(st.sampled_from(["deliver", "deliver", "answer", "answer_later", "connect", "settle"]), configurations()), max_size=30)


@settings(max_examples=200, deadline=None)
@given(first=configurations(), steps=steps, names_culprits=st.booleans(), applies_good=st.booleans())
def test_a_client_ends_up_with_the_configuration_and_never_has_a_route_into_nothing(
    first: Snapshot, steps: list[str | Snapshot], names_culprits: bool, applies_good: bool
):
    network = Network(current=first, names_culprits=names_culprits, applies_good=applies_good)
    for step in steps:
        if isinstance(step, Snapshot):
            network.publish(step)
        else:
            getattr(network, step)()
    network.settle()
    for type_ in (CLUSTER, ENDPOINT, LISTENER, ROUTE):
        for name, resource in network.current.of(type_).items.items():
            if resource.body != BAD and (type_ is not ENDPOINT or name in network.has[CLUSTER]):
                assert network.has[type_].get(name, ("", b"nothing"))[1] == resource.body, f"{type_.name} {name} has arrived"
    refused = {(r.type, r.name) for r in network.stream.rejections()}
    for type_ in (CLUSTER, ENDPOINT):
        for name, resource in network.current.of(type_).items.items():
            asked = type_ is CLUSTER or name in network.has[CLUSTER]
            assert ((type_, name) in refused) == (resource.body == BAD and asked), "exactly what is bad is reported"
    if not refused:
        there = {(type_, name) for type_ in (CLUSTER, LISTENER, ROUTE) for name in network.has[type_]}
        gone = {(type_, name) for type_, name in there if name not in network.current.of(type_).items}
        assert gone <= network.untold, "and what is gone has been removed"
