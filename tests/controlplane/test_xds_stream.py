"""What one ADS stream is sent and when: the rules of `controlplane.xds.stream`, without a network. Refusals are in test_xds_refusals.py."""

from __future__ import annotations

import pytest
from support_stream import BLUE, CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, Client, names, serving, snapshot

from controlplane.xds.stream import Request, Verdict

pytestmark = pytest.mark.unit


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


def test_a_stale_request_changes_no_subscription():
    client = serving(BLUE)
    old = client.nonces[ENDPOINT]
    client.current = snapshot(clusters={"blue": "1"}, endpoints={"blue": "2"}, listeners={"http": "1"}, routes={"http": "to blue"})
    newer = client.expect(ENDPOINT)
    client.stream.receive(Request(type=ENDPOINT, names=(), response_nonce=old))
    client.reply(newer)
    client.nothing("the names of a stale request are old: blue was asked for all the time, and has been sent")


def test_nonces_never_repeat_on_a_stream():
    client = serving(BLUE)
    seen = set(client.nonces.values())
    client.current = snapshot(clusters={"blue": "2"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"})
    assert client.expect(CLUSTER).nonce not in seen, "a nonce names one response"


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
