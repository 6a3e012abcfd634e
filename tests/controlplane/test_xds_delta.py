"""What an incremental ADS stream is sent and when: the rules of `controlplane.xds.delta_stream`, without a network.

Refusals are in test_xds_delta_refusals.py. The list of cases follows go-control-plane's own tests of its delta server.
"""

from __future__ import annotations

import pytest
from support_delta import DeltaClient, connected, named
from support_stream import BLUE, CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, snapshot

from controlplane.xds.delta_stream import DeltaStream
from controlplane.xds.resources import ResourceType
from controlplane.xds.stream import Verdict

pytestmark = pytest.mark.unit


def test_a_new_client_gets_clusters_then_endpoints_then_listeners_then_routes():
    client = DeltaClient(current=BLUE)
    for type_, asked in ((LISTENER, ()), (ENDPOINT, ("blue",)), (CLUSTER, ())):
        client.ask(type_, *asked)
    clusters, endpoints = client.expect(CLUSTER), client.expect(ENDPOINT)
    client.nothing("listeners wait until clusters and endpoints are accepted")
    client.reply(endpoints)
    client.reply(clusters)
    client.accept(LISTENER)
    client.ask(ROUTE, "http")
    client.accept(ROUTE)
    client.nothing("everything has been sent")


def test_only_what_changed_is_sent():
    client = connected(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}))
    client.publish(snapshot(clusters={"blue": "1", "green": "2", "red": "1"}, endpoints={"blue": "a", "green": "b"}))
    assert named(client.accept(CLUSTER)) == ["green", "red"], "of all types, also of clusters: this is what delta is for"
    assert named(client.accept(ENDPOINT)) == ["green"], "and the endpoints of the changed cluster"
    client.nothing("the rest did not change")


def test_a_changed_cluster_gets_its_endpoints_again_though_they_did_not_change():
    client = connected(BLUE)
    before = client.has[ENDPOINT]["blue"]
    client.publish(snapshot(clusters={"blue": "2"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"}))
    client.accept(CLUSTER)
    assert named(client.accept(ENDPOINT)) == ["blue"], (
        "envoy#47302: it warms until it is given endpoints, and does not ask for what it has subscribed to"
    )
    assert client.has[ENDPOINT]["blue"] != before, "and they have another version, so that a lost connection in between loses nothing"


def test_the_endpoints_of_a_changed_cluster_are_sent_again_after_a_reconnect_that_came_in_between():
    client = connected(BLUE)
    changed = snapshot(clusters={"blue": "2"}, endpoints={"blue": "10.0.0.1"}, listeners={"http": "1"}, routes={"http": "to blue"})
    client.publish(changed)
    client.accept(CLUSTER)
    again = client.reconnected()
    assert named(again.accept(ENDPOINT)) == ["blue"], "the cluster arrived, its endpoints did not"
    again.nothing("the rest it has")


def test_after_a_reconnect_nothing_is_sent_that_the_client_has():
    client = connected(BLUE).reconnected()
    client.nothing("its versions say that it has everything, whichever process it was that sent it")


def test_what_vanished_while_the_client_was_away_is_removed_last():
    client = connected(BLUE)
    green = snapshot(clusters={"green": "1"}, endpoints={"green": "b"}, listeners={"http": "1"}, routes={"http": "to green"})
    again = client.reconnected(green)
    assert named(again.accept(CLUSTER)) == ["green"]
    again.ask(ENDPOINT, "green")
    again.accept(ENDPOINT)
    assert named(again.accept(ROUTE)) == ["http"], "the old route still went to blue"
    removal = again.accept(CLUSTER)
    assert (removal.entries, list(removal.removed)) == ({}, ["blue"]), "which nobody knows here any more, but the client does"


def test_a_client_that_comes_back_keeps_its_clusters_until_it_has_said_which_routes_it_has():
    client = DeltaClient(current=snapshot(clusters={"green": "1"}))
    client.ask(CLUSTER, known={"blue": "1", "green": client.current.clusters.items["green"].version})
    client.nothing("blue is gone, but routes of the client may still go there: it has not spoken of routes yet")
    client.stream.introduced = True
    assert client.expect(CLUSTER).removed == ["blue"], "a client that never speaks of routes has none"


def test_a_new_cluster_is_at_the_client_before_the_route_to_it_and_the_old_one_goes_after_it():
    client = connected(BLUE)
    client.publish(snapshot(clusters={"green": "1"}, endpoints={"green": "b"}, listeners={"http": "1"}, routes={"http": "to green"}))
    assert named(client.accept(CLUSTER)) == ["green"]
    client.nothing("the route waits for the new cluster's endpoints, which the client has not even asked for")
    client.ask(ENDPOINT, "green")
    endpoints = client.expect(ENDPOINT)
    client.nothing("and until they are accepted")
    client.reply(endpoints)
    routes = client.expect(ROUTE)
    client.nothing("blue stays while the route to it may be in use")
    client.reply(routes)
    removal = client.expect(CLUSTER)
    assert list(removal.removed) == ["blue"]
    client.nothing("its endpoints stay as long as it does")
    client.ask(ENDPOINT, drop=["blue"])
    client.reply(removal)
    client.nothing("the client dropped the endpoints by itself")


def test_a_cluster_that_comes_back_before_it_was_removed_is_not_removed():
    client = connected(BLUE)
    client.publish(snapshot(listeners={"http": "1"}, routes={"http": "to nobody"}))
    routes = client.expect(ROUTE)
    client.publish(BLUE)
    client.reply(routes)
    client.accept(ROUTE)
    client.nothing("it has been there all the time")


def test_listeners_and_routes_that_are_gone_are_removed_in_their_turn():
    client = connected(BLUE)
    client.publish(snapshot(clusters={"blue": "1"}, endpoints={"blue": "10.0.0.1"}))
    assert list(client.accept(LISTENER).removed) == ["http"], "first what uses"
    assert list(client.accept(ROUTE).removed) == ["http"], "then what is used"
    client.nothing("no cluster was removed")


def test_newly_requested_names_are_answered_at_once():
    client = DeltaClient(current=snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}))
    client.ask(CLUSTER)
    client.accept(CLUSTER)
    client.ask(ENDPOINT, "blue")
    assert named(client.accept(ENDPOINT)) == ["blue"], "only what was asked for is sent"
    client.ask(ENDPOINT, "green")
    assert named(client.accept(ENDPOINT)) == ["green"], "a request adds to the names of those before it"


def test_a_name_that_is_asked_for_again_is_sent_again():
    client = connected(BLUE)
    client.ask(ENDPOINT, "blue")
    assert named(client.accept(ENDPOINT)) == ["blue"], "the client would not ask if it had it (xds_protocol: a re-subscription is answered)"
    client.ask(ENDPOINT, drop=["blue"])
    client.nothing("it wants nothing")
    client.publish(snapshot(clusters={"blue": "1"}, endpoints={"blue": "10.0.0.2"}, listeners={"http": "1"}, routes={"http": "to blue"}))
    client.nothing("and hears of no change")
    client.ask(ENDPOINT, "blue")
    assert named(client.accept(ENDPOINT)) == ["blue"], "until it asks again"


def test_names_that_do_not_exist_are_answered_as_removed():
    client = DeltaClient(current=BLUE)
    client.ask(CLUSTER)
    client.accept(CLUSTER)
    client.ask(ENDPOINT, "nobody", "blue")
    answer = client.accept(ENDPOINT)
    assert (named(answer), list(answer.removed)) == (["blue"], ["nobody"]), "so that the client does not wait for it"
    client.publish(snapshot(clusters={"nobody": "1", "blue": "1"}, endpoints={"nobody": "a", "blue": "10.0.0.1"}))
    client.accept(CLUSTER)
    assert named(client.accept(ENDPOINT)) == ["nobody"], "and it is told when it comes into being"


def test_an_empty_configuration_is_an_answer():
    client = DeltaClient(current=snapshot())
    client.ask(CLUSTER)
    answer = client.accept(CLUSTER)
    assert not answer.entries, "Envoy starts only when it has been told that there are no clusters"
    client.nothing("which is said once")


def test_an_explicit_wildcard_is_the_same_as_no_names():
    client = DeltaClient(current=snapshot(clusters={"blue": "1", "green": "1"}))
    client.ask(CLUSTER, "*")
    assert named(client.accept(CLUSTER)) == ["blue", "green"]


def test_names_alone_are_no_wildcard():
    client = DeltaClient(current=snapshot(clusters={"blue": "1", "green": "1"}))
    client.ask(CLUSTER, "blue")
    assert named(client.accept(CLUSTER)) == ["blue"]
    client.publish(snapshot(clusters={"blue": "1", "green": "2", "red": "1"}))
    client.nothing("it asked for blue only")


def test_a_wildcard_and_a_name_end_each_by_itself():
    client = DeltaClient(current=snapshot(clusters={"blue": "1", "green": "1"}))
    client.ask(CLUSTER, "*", "blue", "unknown")
    first = client.accept(CLUSTER)
    assert (named(first), list(first.removed)) == (["blue", "green"], ["unknown"])
    client.ask(CLUSTER, drop=["blue"])
    assert named(client.accept(CLUSTER)) == ["blue"], "the wildcard still covers it, and the client wants to hear of it (xds_protocol)"
    client.ask(CLUSTER, "green")
    client.accept(CLUSTER)
    client.ask(CLUSTER, drop=["*"])
    client.publish(snapshot(clusters={"blue": "2", "green": "2"}))
    assert named(client.accept(CLUSTER)) == ["green"], "the name outlives the wildcard"


def test_a_stale_nonce_acknowledges_nothing_but_its_names_count():
    client = connected(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}))
    old = client.nonces[ENDPOINT]
    client.publish(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "2", "green": "b", "late": "c"}))
    newer = client.expect(ENDPOINT)
    assert client.ask(ENDPOINT, "late", nonce=old) is Verdict.NONE, "it answers an older response"
    client.nothing("the newer response is still unanswered")
    assert client.reply(newer) is Verdict.ACK, "and is answered by its own nonce"
    assert named(client.accept(ENDPOINT)) == ["late"], "a request only says what is new, so none may be dropped"


def test_a_response_that_crossed_an_unsubscription_leaves_no_trace():
    client = connected(BLUE)
    client.publish(snapshot(clusters={"blue": "1"}, endpoints={"blue": "2"}, listeners={"http": "1"}, routes={"http": "to blue"}))
    crossing = client.expect(ENDPOINT)
    client.ask(ENDPOINT, drop=["blue"])
    client.reply(crossing)
    client.ask(ENDPOINT, "blue")
    assert named(client.accept(ENDPOINT)) == ["blue"], "the client has dropped it, whatever was on the way"


def test_changes_that_come_while_a_response_is_unanswered_are_one_response():
    client = connected(BLUE)
    for address in "23456":
        client.publish(snapshot(clusters={"blue": "1"}, endpoints={"blue": address}, listeners={"http": "1"}, routes={"http": "to blue"}))
        if address == "2":
            first = client.expect(ENDPOINT)
    client.nothing("one response of a type is unanswered at a time")
    client.reply(first)
    assert client.accept(ENDPOINT).entries["blue"].resource.body == b"6", "the last one counts"
    client.nothing("the ones in between were never sent")


def test_a_large_change_comes_in_parts_and_the_listeners_wait_for_the_last():
    many = {f"c{number}": "1" for number in range(25)}
    client = DeltaClient(
        current=snapshot(clusters=many, listeners={"http": "1"}), stream=DeltaStream(last_good={}, chunks=dict.fromkeys(ResourceType, 10))
    )
    client.ask(CLUSTER)
    client.ask(LISTENER)
    sizes = [len(client.accept(CLUSTER).entries) for _ in range(3)]
    assert sizes == [10, 10, 5], "Envoy's health checks run between the parts"
    assert named(client.accept(LISTENER)) == ["http"], "routes may use any of the clusters"
    assert len(client.has[CLUSTER]) == 25, "all have arrived"


def test_the_next_part_of_the_clusters_waits_for_endpoints_and_not_until_the_clusters_are_warm():
    names = [f"c{number}" for number in range(4)]
    current = snapshot(clusters=dict.fromkeys(names, "1"), endpoints=dict.fromkeys(names, "a"), listeners={"http": "1"})
    client = DeltaClient(current=current, stream=DeltaStream(last_good={}, chunks=dict.fromkeys(ResourceType, 2)))
    client.ask(CLUSTER)
    client.ask(LISTENER)
    first = client.expect(CLUSTER)
    client.nothing("the client is not through with the first part")
    client.ask(ENDPOINT, *first.entries)
    client.accept(ENDPOINT)
    second = client.expect(CLUSTER)
    client.ask(ENDPOINT, *second.entries)
    client.accept(ENDPOINT)
    client.nothing("listeners wait until all clusters are warm")
    client.reply(first)
    client.nothing("all of them")
    client.reply(second)
    client.accept(LISTENER)


def test_where_no_endpoints_are_on_the_way_an_empty_response_asks_whether_the_client_is_through():
    names = [f"c{number}" for number in range(4)]
    client = DeltaClient(current=BLUE, stream=DeltaStream(last_good={}, chunks=dict.fromkeys(ResourceType, 2)))
    client.ask(CLUSTER)
    client.accept(CLUSTER)
    client.ask(ENDPOINT, "blue")
    client.accept(ENDPOINT)
    client.publish(snapshot(clusters={"blue": "1"} | dict.fromkeys(names, "1"), endpoints={"blue": "10.0.0.1"}))
    first = client.expect(CLUSTER)
    question = client.expect(ENDPOINT)
    assert (dict(question.entries), list(question.removed)) == ({}, []), "these clusters have no endpoints of their own"
    client.nothing("one question is enough")
    client.reply(question)
    second = client.expect(CLUSTER)
    client.nothing("nothing more is to be sent, so nothing is asked")
    assert client.reply(first) is client.reply(second) is Verdict.ACK, "each is answered by its own nonce"


def test_a_cluster_that_comes_back_while_its_removal_is_unanswered_is_sent_again():
    client = connected(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "b"}))
    client.publish(snapshot(clusters={"green": "1"}, endpoints={"green": "b"}))
    removal = client.expect(CLUSTER)
    client.publish(snapshot(clusters={"blue": "1", "green": "1"}, endpoints={"blue": "a", "green": "c"}))
    client.accept(ENDPOINT)
    again = client.expect(CLUSTER)
    client.reply(removal)
    client.reply(again)
    assert named(again) == ["blue"], "the client has been told that it is gone"
    assert client.has[CLUSTER].keys() == {"blue", "green"}, "and has it again"


def test_a_large_change_lets_an_endpoint_change_pass():
    many = {f"c{number}": "1" for number in range(25)}
    client = DeltaClient(current=BLUE, stream=DeltaStream(last_good={}, chunks=dict.fromkeys(ResourceType, 10)))
    client.ask(CLUSTER)
    client.accept(CLUSTER)
    client.ask(ENDPOINT, "blue")
    client.accept(ENDPOINT)
    client.publish(snapshot(clusters={"blue": "1"} | many, endpoints={"blue": "10.0.0.1"}))
    client.expect(CLUSTER)
    client.publish(snapshot(clusters={"blue": "1"} | many, endpoints={"blue": "10.0.0.2"}))
    assert named(client.accept(ENDPOINT)) == ["blue"], "it does not wait for clusters that have nothing to do with it"


def test_a_rotated_secret_is_sent_and_nothing_else():
    client = connected(snapshot(clusters={"blue": "1"}, secrets={"cert": "old"}, listeners={"http": "1"}))
    client.ask(SECRET, "cert")
    client.accept(SECRET)
    client.publish(snapshot(clusters={"blue": "1"}, secrets={"cert": "new"}, listeners={"http": "1"}))
    assert named(client.accept(SECRET)) == ["cert"], "no cluster, no listener and so no connection is touched"
    client.nothing("that is all")


def test_versions_are_the_same_on_every_stream():
    assert connected(BLUE).has == connected(BLUE).has, "a version is made of the content: the same after a restart and in every replica"


def test_work_is_in_proportion_to_the_change():
    many = {f"c{number}": "1" for number in range(150)}
    client = connected(snapshot(clusters=many, endpoints=many))
    looked_at: list[str] = []
    source = client.stream._source
    client.stream._source = lambda type_: _watched(source(type_), looked_at)
    client.publish(snapshot(clusters=many, endpoints=many | {"c7": "2"}))
    client.accept(ENDPOINT)
    client.nothing("one endpoint changed")
    assert looked_at == ["c7"], "nothing else was even looked at"


def _watched(source, looked_at):
    return type(source)(current=lambda name: looked_at.append(name) or source.current(name), last_good=source.last_good)
