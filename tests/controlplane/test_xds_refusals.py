"""What happens on an ADS stream when the client refuses something: the last good version stays, the others go on, nothing loops."""

from __future__ import annotations

import pytest
from support_stream import BLUE, CLUSTER, ENDPOINT, ROUTE, Client, names, resources, serving, snapshot

from controlplane.xds.nack import offenders, readable
from controlplane.xds.stream import Stream, Verdict

pytestmark = pytest.mark.unit


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


def test_a_cluster_stays_while_the_route_that_would_leave_it_is_refused():
    client = serving(BLUE)
    client.current = snapshot(clusters={"green": "1"}, endpoints={"green": "b"}, listeners={"http": "1"}, routes={"http": "bad"})
    client.accept(CLUSTER)
    client.ask(ENDPOINT, "blue", "green")
    client.accept(ENDPOINT)
    client.reply(client.expect(ROUTE), "http: bad")
    client.nothing("the old route still goes to blue")


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


def test_a_version_that_another_client_took_is_not_pressed_on_one_that_refuses_it():
    current = snapshot(clusters={"blue": "2"})
    client = Client(current=current, stream=Stream(last_good={(CLUSTER, "blue"): current.clusters.items["blue"]}))
    client.ask(CLUSTER)
    client.reply(client.expect(CLUSTER), "blue: unknown field of a newer Envoy")
    assert names(client.accept(CLUSTER)) == [], "the last good version of others is the very one that this client refuses"
    client.nothing("and no loop")
