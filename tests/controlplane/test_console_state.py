"""What the console's page shows, out of objects: the rows, their order, their level, and that nothing in an object can harm it."""

from __future__ import annotations

from typing import Any

import pytest
from console_support import SINCE, cluster, instance, scheme

from controlplane.fed.console import state
from controlplane.fed.console.state import Cluster, Connection

pytestmark = pytest.mark.unit


def shown(*, clusters: Any = (), instances: Any = (), schemes: Any = ()) -> dict[str, Any]:
    return state.state(clusters=clusters, instances=instances, schemes=schemes)


def connected(name: str) -> Cluster:
    return Cluster(obj=cluster(name), connection=Connection.CONNECTED)


def test_a_scheme_says_who_serves_and_since_when():
    row = state.scheme(scheme(priority=1))
    assert row["serving"]["name"] == "tier 1 (remote)"
    assert (row["serving"]["since"], row["serving"]["reason"], row["serving"]["confirmed"]) == (SINCE, "HealthCheckFailed", "Confirmed")
    assert [(tier["name"], tier["serves"]) for tier in row["tiers"]] == [("primary (local)", False), ("tier 1 (remote)", True)]
    assert [(tier["healthy"], tier["total"], tier["requestShare"]) for tier in row["tiers"]] == [(0, 1, 0), (1, 1, 100)]


def test_without_a_status_the_tiers_are_those_of_the_spec():
    row = state.scheme(scheme() | {"status": None})
    assert (row["state"], row["serving"]) == ("PENDING", None), "nothing is said of who serves before it is known"
    assert [tier["name"] for tier in row["tiers"]] == ["primary (local)", "tier 1 (remote)"], "what is meant"
    assert {tier["healthy"] for tier in row["tiers"]} == {None}, "health that is not known is not 0"
    assert not any(tier["serves"] for tier in row["tiers"])


@pytest.mark.parametrize(
    ("obj", "level"),
    [
        (scheme(), "good"),
        (scheme(priority=1), "warn"),
        (scheme(priority=None), "bad"),
        (scheme(standbyProven=False), "warn"),
        (scheme(state="INVALID"), "bad"),
        (scheme(state="FAILED"), "bad"),
        (scheme(message="cluster remote: its API server does not answer"), "warn"),
        (scheme(serving=scheme()["status"]["serving"] | {"stale": "cluster local does not answer"}), "warn"),
        (scheme() | {"status": {}}, "warn"),
    ],
)
def test_the_level_of_a_scheme_is_what_somebody_should_look_at(obj: dict[str, Any], level: str):
    assert state.scheme(obj)["level"] == level


def test_what_needs_somebody_is_first():
    rows = shown(schemes=[scheme("a"), scheme("b", priority=1), scheme("c", priority=None), scheme("d")])["schemes"]
    assert [row["name"] for row in rows] == ["c", "b", "a", "d"], "at 50 schemes nobody looks for the one that is down"


def test_a_cluster_that_is_lost_says_so_and_since_when():
    lost = Cluster(obj=cluster("remote"), connection=Connection.LOST, trouble="its API server does not answer since 12:00")
    (row,) = shown(clusters=[lost], instances=[instance("remote")])["clusters"]
    assert (row["connection"], row["level"], row["trouble"]) == ("lost", "bad", "its API server does not answer since 12:00")
    assert row["region"] == "us-west-2", "what was last known of it is still shown"


def test_a_registration_that_is_refused_is_shown_with_its_reason():
    refused = Cluster(obj=cluster("remote", state="INVALID", message="Secret gloo-fed/remote: no server"), connection=Connection.NONE)
    (row,) = shown(clusters=[refused])["clusters"]
    assert (row["state"], row["trouble"], row["level"]) == ("INVALID", "Secret gloo-fed/remote: no server", "bad")


def test_a_gateway_is_shown_with_its_addresses():
    (row,) = shown(instances=[instance("remote")])["gateways"]
    assert (row["cluster"], row["name"], row["ready"], row["wanted"]) == ("remote", "gateway-proxy", 2, 2)
    assert row["addresses"] == ["10.77.192.1 (failover 15443)"], "where other clusters reach it"
    assert row["zones"] == ["a", "b"]


def test_the_upstreams_that_a_scheme_names_are_known():
    assert state.upstreams(scheme()) == {("local", "gloo-system", "blue"), ("remote", "gloo-system", "green")}


@pytest.mark.parametrize("wrong", [None, 1, "text", [], [1], {"a": 1}, True], ids=repr)
@pytest.mark.parametrize("place", ["status", "serving", "tiers", "spec"])
def test_an_object_of_a_wrong_shape_is_shown_as_far_as_it_goes(place: str, wrong: Any):
    obj = scheme()
    holder = obj if place in ("status", "spec") else obj["status"]
    holder[place] = wrong
    assert state.scheme(obj)["name"] == "failover-scheme", "one bad object must not take the page away"
    other = {**cluster("local"), place: wrong}
    found = {**instance("local"), place: wrong}
    assert shown(clusters=[Cluster(obj=other, connection=Connection.NONE)], instances=[found])["clusters"], "whatever its kind"


def test_texts_and_tables_are_bounded():
    long = scheme(message="x" * 100_000)
    assert len(state.scheme(long)["message"]) == state.TEXT + 1, "and it ends with an ellipsis"
    rows = shown(schemes=[scheme(f"scheme-{number}") for number in range(state.MOST + 7)])
    assert (len(rows["schemes"]), rows["more"]) == (state.MOST, {"schemes": 7}), "what is left out is counted"


def test_fifty_clusters_are_shown_all():
    names = [f"cluster-{number}" for number in range(50)]
    rows = shown(clusters=map(connected, names), instances=map(instance, names), schemes=[scheme(name) for name in names])
    assert {len(rows[table]) for table in ("clusters", "gateways", "schemes")} == {50}
