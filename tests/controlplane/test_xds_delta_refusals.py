"""What happens on an incremental ADS stream when the client refuses something: it keeps what it has, the others go on, nothing loops."""

from __future__ import annotations

import pytest
from support_delta import DeltaClient, connected, named
from support_stream import BLUE, CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, snapshot

from controlplane.xds.cache import ProxyKey, SnapshotCache
from controlplane.xds.delta_stream import DeltaStream
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import Verdict

pytestmark = pytest.mark.unit

KEY = ProxyKey(role="gloo-system~gateway-proxy")


def test_a_refused_cluster_is_not_sent_again_and_does_not_block_the_others():
    client = connected(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}, listeners={"http": "1"}))
    client.publish(snapshot(clusters={"blue": "bad", "green": "2"}, endpoints={"blue": "a", "green": "b"}, listeners={"http": "2"}))
    refused = client.expect(CLUSTER)
    client.accept(ENDPOINT)
    assert client.reply(refused, "Error adding/updating cluster(s) blue: no such thing") is Verdict.NACK, "error_detail makes it a NACK"
    assert named(client.accept(CLUSTER)) == ["green"], "whether green was taken cannot be told, so it is sent once more, without blue"
    client.accept(ENDPOINT)
    assert named(client.accept(LISTENER)) == ["http"], "what comes after clusters goes on"
    client.nothing("what was refused is never sent again")
    assert [(r.name, r.message) for r in client.stream.rejections()] == [("blue", "Error adding/updating cluster(s) blue: no such thing")]


def test_the_endpoints_of_the_good_clusters_of_a_refused_response_are_sent_again():
    client = connected(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}))
    client.publish(snapshot(clusters={"blue": "bad", "green": "2"}, endpoints={"blue": "a", "green": "b"}))
    refused = client.expect(CLUSTER)
    client.accept(ENDPOINT)
    client.reply(refused, "blue: cannot be decoded")
    client.accept(CLUSTER)
    assert named(client.accept(ENDPOINT)) == ["green"], "when one cannot be decoded Envoy takes none, so green warms only now"


def test_what_a_client_may_have_taken_of_a_refused_response_is_removed_when_it_goes():
    client = connected(BLUE)
    with_two = {"blue": "1", "good": "1", "bad": "bad"}
    client.publish(snapshot(clusters=with_two, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"}))
    refused = client.expect(CLUSTER)
    client.publish(BLUE)
    client.reply(refused, "cluster(s) bad: no")
    assert list(client.accept(CLUSTER).removed) == ["good"], "Envoy takes the good ones of a refused response"


def test_a_correction_is_sent_and_clears_the_refusal():
    client = connected(BLUE)
    client.publish(snapshot(clusters={"blue": "bad"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"}))
    client.reply(client.expect(CLUSTER), "blue is bad")
    client.accept(ENDPOINT)
    client.nothing("it keeps what it has")
    client.publish(snapshot(clusters={"blue": "3"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"}))
    assert client.accept(CLUSTER).entries["blue"].resource.body == b"3", "a new version is tried"
    client.accept(ENDPOINT)
    assert client.stream.rejections() == [], "nothing is refused any more"


def test_a_refused_resource_that_is_deleted_is_no_longer_reported():
    client = connected(BLUE)
    client.publish(
        snapshot(clusters={"blue": "1", "new": "bad"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"})
    )
    client.reply(client.expect(CLUSTER), "new is bad")
    client.publish(BLUE)
    client.nothing("the client never had it")
    assert client.stream.rejections() == [], "what is not there is not refused"


@pytest.mark.parametrize("type_", [CLUSTER, ENDPOINT, SECRET, ROUTE])
def test_a_refusal_that_names_nobody_is_narrowed_down_by_halves(type_):
    field = {CLUSTER: "clusters", ENDPOINT: "endpoints", SECRET: "secrets", ROUTE: "routes"}[type_]
    content = {f"n{number}": "1" for number in range(16)}
    client = DeltaClient(current=snapshot(**{field: content}))
    client.ask(type_, *(() if type_ is CLUSTER else content))
    client.accept(type_)
    client.publish(snapshot(**{field: {name: "bad" if name in ("n3", "n9") else "2" for name in content}}))
    sent = 0
    while (response := client.next()) is not None:
        sent += 1
        client.reply(response, "malformed" if any(entry.resource.body == b"bad" for entry in response.entries.values()) else None)
    assert sorted((r.type, r.name) for r in client.stream.rejections()) == [(type_, "n3"), (type_, "n9")], "both bad ones are found"
    assert sent < 20, f"in few steps, not one for each resource: {sent}"
    two = {name for name, key in client.has[type_].items() if key == client.current.of(type_).items["n1"].version}
    assert two == content.keys() - {"n3", "n9"}, "and all good ones have arrived"


def test_a_refused_cluster_after_a_restart_of_the_control_plane_holds_nothing():
    client = connected(BLUE)
    again = client.reconnected(
        snapshot(
            clusters={"blue": "bad", "green": "1"}, endpoints={"blue": "10.0.0.1", "green": "b"}, listeners={"http": "2"}, routes={"http": "to green"}
        )
    )
    again.reply(again.expect(CLUSTER), "cluster(s) blue: bad")
    assert named(again.accept(CLUSTER)) == ["green"]
    again.accept(ENDPOINT)
    again.ask(ENDPOINT, "green")
    again.accept(ENDPOINT)
    again.accept(LISTENER)
    assert named(again.accept(ROUTE)) == ["http"], "nothing good of blue is known here, but the client has it, and the rest goes on"
    again.nothing("blue is not removed: the client still has its last good version")


def test_a_client_that_starts_anew_gets_the_last_good_version_of_what_it_refuses():
    cache = SnapshotCache()
    good, bad = snapshot(clusters={"blue": "1"}), snapshot(clusters={"blue": "bad"})
    with cache.session(KEY, node="one"):
        cache.publish(KEY, good)
        cache.accepted(KEY, CLUSTER, good.clusters.items.values())
        cache.publish(KEY, bad)
        fresh = DeltaClient(current=bad, stream=DeltaStream(last_good=cache.last_good(KEY)))
        fresh.ask(CLUSTER)
        fresh.reply(fresh.expect(CLUSTER), "blue is bad")
        assert fresh.accept(CLUSTER).entries["blue"].resource.body == b"1", "better than nothing"
        cache.publish(KEY, Snapshot())
        assert not cache.last_good(KEY), "what is gone is not kept"


def test_a_version_that_another_client_took_is_not_pressed_on_one_that_refuses_it():
    bad = snapshot(clusters={"blue": "2"})
    stream = DeltaStream(last_good={(CLUSTER, "blue"): bad.clusters.items["blue"]})
    client = DeltaClient(current=bad, stream=stream)
    client.ask(CLUSTER)
    client.reply(client.expect(CLUSTER), "blue: unknown field of a newer Envoy")
    client.nothing("the last good version of others is the very one that this client refuses")


def test_refused_endpoints_are_tried_again_with_a_changed_cluster():
    client = connected(BLUE)
    client.publish(snapshot(clusters={"blue": "1"}, endpoints={"blue": "odd"}, listeners={"http": "1"}, routes={"http": "to blue"}))
    client.reply(client.expect(ENDPOINT), "blue: not with this cluster")
    client.nothing("the same again would be refused again")
    client.publish(snapshot(clusters={"blue": "2"}, endpoints={"blue": "odd"}, listeners={"http": "1"}, routes={"http": "to blue"}))
    client.accept(CLUSTER)
    assert named(client.accept(ENDPOINT)) == ["blue"], "another cluster may take them"


def test_a_cluster_stays_while_the_route_that_would_leave_it_is_refused():
    client = connected(BLUE)
    client.publish(snapshot(clusters={"green": "1"}, endpoints={"green": "b"}, listeners={"http": "1"}, routes={"http": "bad"}))
    client.accept(CLUSTER)
    client.ask(ENDPOINT, "green")
    client.accept(ENDPOINT)
    client.reply(client.expect(ROUTE), "http: bad")
    client.nothing("the old route still goes to blue")


def test_a_refused_name_that_a_client_waits_for_is_answered():
    client = DeltaClient(current=snapshot(endpoints={"blue": "bad"}))
    client.ask(ENDPOINT, "blue")
    client.reply(client.expect(ENDPOINT), "blue is bad")
    client.ask(ENDPOINT, "blue")
    assert list(client.accept(ENDPOINT).removed) == ["blue"], "so that it does not wait for what it will not have"
