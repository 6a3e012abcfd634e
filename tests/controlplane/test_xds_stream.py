"""What one ADS stream is sent and when: the rules of `controlplane.xds.stream`, without a network.

A `Client` here does what Envoy does: it acknowledges what it gets unless a test says otherwise, and asks for endpoints and routes by name. That a
real Envoy behaves so is shown in test_xds_envoy.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from controlplane.xds.nack import offenders, readable
from controlplane.xds.resources import Resource, ResourceSet, ResourceType, digest
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import Request, Response, Stream, Verdict

pytestmark = pytest.mark.unit

CLUSTER, ENDPOINT, SECRET, LISTENER, ROUTE = ResourceType


def resources(**bodies: str) -> ResourceSet:
    return ResourceSet(items={name: Resource(name=name, body=body.encode(), version=digest(body.encode())) for name, body in bodies.items()})


def snapshot(*, clusters=None, endpoints=None, secrets=None, listeners=None, routes=None) -> Snapshot:
    return Snapshot(
        clusters=resources(**(clusters or {})),
        endpoints=resources(**(endpoints or {})),
        secrets=resources(**(secrets or {})),
        listeners=resources(**(listeners or {})),
        routes=resources(**(routes or {})),
    )


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


def test_a_new_client_gets_clusters_then_endpoints_then_listeners_then_routes():
    client = Client(current=BLUE)
    for type_, asked in ((ROUTE, ("http",)), (LISTENER, ()), (ENDPOINT, ("blue",)), (CLUSTER, ())):
        client.ask(type_, *asked)
    assert names(client.expect(CLUSTER)) == ["blue"], "clusters are first, whatever was asked for first"


def test_listeners_and_routes_wait_until_clusters_and_endpoints_are_accepted():
    client = serving(BLUE)
    client.current = snapshot(clusters={"blue": "2"}, endpoints={"blue": "10.0.0.2"}, listeners={"http": "2"}, routes={"http": "other"})
    clusters = client.expect(CLUSTER)
    endpoints = client.expect(ENDPOINT)
    client.nothing("Envoy accepts clusters when they are warm, for which it needs the endpoints; listeners wait for that")
    client.reply(endpoints)
    client.nothing("the clusters are not accepted yet")
    client.reply(clusters)
    listeners = client.expect(LISTENER)
    client.nothing("routes wait for listeners")
    client.reply(listeners)
    client.accept(ROUTE)
    client.nothing("everything has been sent")


def test_an_unchanged_snapshot_is_sent_once():
    client = serving(BLUE)
    client.current = snapshot(clusters={"blue": "1"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"})
    client.nothing("equal content has equal versions, so there is nothing to send")


def test_only_the_endpoints_that_changed_are_sent():
    client = serving(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}))
    client.current = snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "c"})
    assert names(client.accept(ENDPOINT)) == ["green"], "absence does not delete endpoints, so the rest need not be repeated"


def test_a_changed_cluster_gets_its_endpoints_again_though_they_did_not_change():
    client = serving(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}))
    client.current = snapshot(clusters={"blue": "2", "green": "1"}, endpoints={"blue": "a", "green": "b"})
    client.accept(CLUSTER)
    assert names(client.accept(ENDPOINT)) == ["blue"], "a changed cluster warms until it is given endpoints; without this it takes 15 s"


def test_newly_requested_names_are_answered_at_once_even_at_the_same_version():
    client = Client(current=snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}))
    client.ask(CLUSTER)
    client.accept(CLUSTER)
    client.ask(ENDPOINT, "blue")
    client.accept(ENDPOINT)
    client.nothing("only what was asked for is sent")
    client.ask(ENDPOINT, "blue", "green")
    assert names(client.expect(ENDPOINT)) == ["green"], "the client waits for it, so it is sent though nothing changed"


def test_a_name_that_was_dropped_is_sent_again_when_it_is_asked_for_again():
    client = serving(BLUE)
    client.ask(ENDPOINT)
    client.nothing("nothing is asked for")
    client.ask(ENDPOINT, "blue")
    assert names(client.expect(ENDPOINT)) == ["blue"], "the client has forgotten what it dropped"


def test_names_that_do_not_exist_are_not_answered():
    client = Client(current=BLUE)
    client.ask(CLUSTER)
    client.accept(CLUSTER)
    client.ask(ENDPOINT, "nobody")
    client.nothing("an empty answer would tell the client that it has no endpoints")


def test_an_empty_configuration_is_an_answer_for_clusters_and_listeners():
    client = Client(current=snapshot())
    client.ask(CLUSTER)
    assert names(client.accept(CLUSTER)) == [], "Envoy starts only when it has been told that there are no clusters"


def test_a_stale_nonce_is_ignored():
    client = serving(BLUE)
    old = client.nonces[CLUSTER]
    client.current = snapshot(clusters={"blue": "2"}, endpoints={"blue": "a"})
    newer = client.expect(CLUSTER)
    client.accept(ENDPOINT)
    assert client.stream.receive(Request(type=CLUSTER, response_nonce=old, error="old complaint"))[0] is Verdict.NONE, "it answers an older response"
    client.nothing("the newer response is still unanswered")
    assert client.reply(newer) is Verdict.ACK, "and is answered by its own nonce"


def test_nonces_never_repeat_on_a_stream():
    client = serving(BLUE)
    seen = set(client.nonces.values())
    client.current = snapshot(clusters={"blue": "2"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"})
    assert client.expect(CLUSTER).nonce not in seen, "a nonce names one response"


def test_a_refused_cluster_keeps_its_last_good_version_and_does_not_block_the_others():
    client = serving(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}))
    client.current = snapshot(clusters={"blue": "bad", "green": "2"}, endpoints={"blue": "a", "green": "b"})
    refused = client.expect(CLUSTER)
    assert client.reply(refused, "Error adding/updating cluster(s) blue: no such thing") is Verdict.NACK, "error_detail makes it a NACK"
    again = client.accept(CLUSTER)
    assert {resource.name: resource.body for resource in again.resources} == {"blue": b"1", "green": b"2"}, "green moves on, blue stays as it was"
    assert [(r.name, r.message) for r in client.stream.rejections()] == [("blue", "Error adding/updating cluster(s) blue: no such thing")]
    assert names(client.accept(ENDPOINT)) == ["green"], "green's endpoints follow its change"
    client.nothing("what was refused is never sent again")


def test_a_refused_new_cluster_is_left_out():
    client = serving(BLUE)
    client.current = snapshot(
        clusters={"blue": "1", "new": "bad", "ok": "1"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"}
    )
    client.reply(client.expect(CLUSTER), "Error adding/updating cluster(s) new: bad")
    assert names(client.accept(CLUSTER)) == ["blue", "ok"], "nothing good is known of it, so it is not there"


def test_a_correction_is_sent_and_clears_the_rejection():
    client = serving(BLUE)
    client.current = snapshot(clusters={"blue": "bad"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"})
    client.reply(client.expect(CLUSTER), "blue is bad")
    client.nothing("the last good version is already there")
    client.current = snapshot(clusters={"blue": "3"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"})
    assert client.accept(CLUSTER).resources[0].body == b"3", "a new version is tried"
    client.accept(ENDPOINT)
    assert client.stream.rejections() == [], "nothing is refused any more"


def test_a_nack_that_names_nobody_holds_the_state_until_it_changes():
    client = serving(BLUE)
    client.current = snapshot(
        clusters={"blue": "2", "a": "1", "b": "1"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "2"}, routes={"http": "to a"}
    )
    client.reply(client.expect(CLUSTER), "something is wrong")
    client.nothing("no hot loop; and no route to a cluster that is not there")
    assert [(r.type, r.name) for r in client.stream.rejections()] == [(CLUSTER, None)], "it is reported, without a culprit"
    client.current = snapshot(
        clusters={"blue": "2", "a": "2", "b": "1"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"}
    )
    assert names(client.accept(CLUSTER)) == ["a", "b", "blue"], "another state is tried"


def test_refused_endpoints_are_sent_one_by_one_until_the_bad_one_is_known():
    client = serving(snapshot(clusters={"a": "1", "b": "1", "c": "1"}, endpoints={"a": "1", "b": "1", "c": "1"}))
    client.current = snapshot(clusters={"a": "1", "b": "1", "c": "1"}, endpoints={"a": "2", "b": "bad", "c": "2"})
    client.reply(client.expect(ENDPOINT), "malformed")
    sent = []
    while (response := client.next()) is not None:
        sent.append(names(response))
        client.reply(response, "malformed" if "b" in names(response) else None)
    assert sorted(sent) == [["a"], ["b"], ["c"]], "each alone, each once"
    assert [(r.type, r.name) for r in client.stream.rejections()] == [(ENDPOINT, "b")], "and so the bad one is found"


def test_last_good_versions_survive_a_reconnect():
    good = resources(blue="1").items["blue"]
    client = Client(current=snapshot(clusters={"blue": "bad", "green": "1"}), stream=Stream(last_good={(CLUSTER, "blue"): good}))
    client.ask(CLUSTER, version="from an earlier stream")
    client.reply(client.expect(CLUSTER), "cluster(s) blue: bad")
    assert {r.name: r.body for r in client.accept(CLUSTER).resources} == {"blue": b"1", "green": b"1"}, "the client keeps what it serves"


def test_a_refused_cluster_that_the_client_may_still_serve_is_not_taken_away():
    client = Client(current=snapshot(clusters={"blue": "bad", "green": "1"}))
    client.ask(CLUSTER, version="from before the restart of the control plane")
    client.reply(client.expect(CLUSTER), "cluster(s) blue: bad")
    client.nothing("leaving blue out would delete the good blue that the client has from before")


def test_a_new_cluster_is_at_the_client_before_the_route_to_it():
    client = serving(BLUE)
    client.current = snapshot(
        clusters={"blue": "1", "green": "1"}, endpoints={"blue": "10.0.0.1", "green": "b"}, listeners={"http": "1"}, routes={"http": "to green"}
    )
    client.accept(CLUSTER)
    client.nothing("the route waits for the new cluster's endpoints, which the client has not even asked for")
    client.ask(ENDPOINT, "blue", "green")
    endpoints = client.expect(ENDPOINT)
    client.nothing("and until they are accepted")
    client.reply(endpoints)
    client.accept(ROUTE)


def test_a_cluster_goes_only_after_the_routes_that_used_it():
    client = serving(BLUE)
    client.current = snapshot(clusters={"green": "1"}, endpoints={"green": "b"}, listeners={"http": "1"}, routes={"http": "to green"})
    assert names(client.accept(CLUSTER)) == ["blue", "green"], "blue stays while a route may need it"
    client.ask(ENDPOINT, "blue", "green")
    client.accept(ENDPOINT)
    client.accept(ROUTE)
    assert names(client.accept(CLUSTER)) == ["green"], "and goes when none does"
    client.nothing("everything has been sent")


def test_a_cluster_stays_while_the_route_that_would_leave_it_is_refused():
    client = serving(BLUE)
    client.current = snapshot(clusters={"green": "1"}, endpoints={"green": "b"}, listeners={"http": "1"}, routes={"http": "bad"})
    client.accept(CLUSTER)
    client.ask(ENDPOINT, "blue", "green")
    client.accept(ENDPOINT)
    client.reply(client.expect(ROUTE), "http: bad")
    client.nothing("the old route still goes to blue")


def test_after_a_reconnect_routes_still_wait_for_their_clusters():
    client = Client(current=BLUE)
    for type_, asked in ((CLUSTER, ()), (ENDPOINT, ("blue",)), (LISTENER, ()), (ROUTE, ("http",))):
        client.ask(type_, *asked, version="from an earlier stream")
    clusters = client.expect(CLUSTER)
    client.accept(ENDPOINT)
    client.nothing("a client that serves does not need new routes before the clusters of these routes")
    client.reply(clusters)
    client.accept(LISTENER)
    client.accept(ROUTE)


def test_a_secret_asked_for_again_after_a_cluster_change_is_sent_again_once():
    current = snapshot(clusters={"blue": "1"}, secrets={"cert": "pem"})
    client = Client(current=current)
    client.ask(CLUSTER)
    client.accept(CLUSTER)
    client.ask(SECRET, "cert")
    client.accept(SECRET)
    client.current = snapshot(clusters={"blue": "2"}, secrets={"cert": "pem"})
    client.accept(CLUSTER)
    client.ask(SECRET, "cert")
    assert names(client.accept(SECRET)) == ["cert"], "the new cluster waits for its secret, and the client says so by asking again"
    client.ask(SECRET, "cert")
    client.nothing("asking again without a change in between gets nothing, so this cannot loop")


def test_versions_are_equal_for_equal_content_on_another_stream():
    first, second = serving(BLUE), Client(current=BLUE)
    second.ask(CLUSTER)
    first.ask(CLUSTER)
    again = second.expect(CLUSTER)
    client = Client(current=BLUE)
    client.ask(CLUSTER)
    assert client.expect(CLUSTER).version == again.version, "a version is a hash of the content, the same after a restart and in every replica"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Error adding/updating cluster(s) default-blue_gloo: bad timeout", {"default-blue_gloo"}),
        ("Error adding/updating cluster(s) default-blue_gloo: x, other: y", {"default-blue_gloo", "other"}),
        ("Error adding/updating cluster(s) default-blue_gloo-2: x", {"default-blue_gloo-2"}),
        ("duplicate cluster other.", {"other"}),
        ("nothing known here", set()),
    ],
)
def test_offenders_are_found_as_whole_names(message: str, expected: set[str]):
    assert offenders(message, ["default-blue_gloo", "default-blue_gloo-2", "other"]) == expected


def test_a_reason_is_one_line_without_the_resource_that_envoy_prints_before_it():
    message = (
        'goo.gle/debugonly  \nname: "cert"\ntls_certificate {\n  private_key { inline_string: "x" }\n}\n: Proto constraint validation failed (Bad)'
    )
    assert readable(message) == "Proto constraint validation failed (Bad)", "a status is for people, and a printed Secret is a leak"
    assert readable("Error adding cluster(s) a:\n  reason") == "Error adding cluster(s) a: reason", "other messages are kept whole"
    assert len(readable("x" * 100_000)) < 1100, "but not at any length"
