"""What a FailoverScheme says of who serves: what gloo says of its primary, in the terms of the scheme, and no later than that."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from support_api import api_double, eventually
from support_fed import BLUE, SCHEME, World, make_world, ready  # noqa: F401 - make_world is a fixture

from controlplane import metrics
from controlplane.fed.kinds import FAILOVER_SCHEME, UPSTREAM
from controlplane.fed.serving import scheme_serving, tier_name
from gloo_api.failover_scheme import FailoverScheme
from gloo_api.serving import FailoverStatus

pytestmark = pytest.mark.loopback

GREEN_SERVES = {
    "serving": {
        "priority": 1, "since": "2026-11-24T21:00:00.123Z", "reason": "HealthCheckFailed",
        "message": "priority 0: 10.0.0.1:80 failed its health check",        "confirmed": "Confirmed",
    },
    "standbyProven": True,
    "priorities": [
        {"priority": 0, "healthy": 0, "total": 1, "load": 0, "requestShare": 0},
        {"priority": 1, "healthy": 1, "total": 1, "load": 100, "requestShare": 100, "proven": True},
    ],
    "proxies": {"total": 1, "answering": 1},
}  # fmt: skip


def said(observed: dict[str, Any] | None, *, trouble: str = "", spec: dict[str, Any] = SCHEME) -> dict[str, Any]:
    scheme = FailoverScheme.parse({"metadata": {"name": "s", "namespace": "gloo-fed"}, "spec": spec})
    return scheme_serving(scheme, FailoverStatus.model_validate(observed) if observed is not None else None, trouble=trouble)


def test_the_tier_that_serves_is_named_with_its_cluster() -> None:
    body = said(GREEN_SERVES)
    assert body["serving"]["name"] == "tier 1 (remote)", "the column of kubectl get"
    assert body["serving"]["clusters"] == ["remote"], "and for programs"
    assert body["serving"]["since"] == "2026-11-24T21:00:00.123Z", "Envoy's switch, not the copy's time"
    assert body["standbyProven"] is True, "as gloo says"


def test_every_tier_has_its_clusters_and_upstreams() -> None:
    tiers = said(GREEN_SERVES)["tiers"]
    assert [tier["clusters"] for tier in tiers] == [["local"], ["remote"]], "the primary is the first"
    assert tiers[1]["upstreams"] == ["remote/gloo-system/default-service-green-10000"], "what the priority stands for"
    assert (tiers[0]["healthy"], tiers[1]["requestShare"], tiers[1]["proven"]) == (0, 100, True), "gloo's figures"
    assert "proven" not in tiers[0], "the primary is no standby"


def test_a_tier_of_several_clusters_names_each_once() -> None:
    member = {"cluster": "remote", "upstreams": [{"name": "a", "namespace": "n"}, {"name": "b", "namespace": "n"}]}
    other = {"cluster": "other", "upstreams": [{"name": "a", "namespace": "n"}]}
    body = said(GREEN_SERVES, spec={**SCHEME, "failoverGroups": [{"priorityGroup": [member, other, member]}]})
    assert body["serving"]["name"] == "tier 1 (remote, other)", "readable"
    assert len(body["tiers"][1]["upstreams"]) == 5, "each Upstream"


def test_names_of_tiers() -> None:
    assert tier_name(0, ("local",)) == "primary (local)", "the primary is no tier 0"
    assert tier_name(2, ("far",)) == "tier 2 (far)", "counted from the first standby"
    assert tier_name(None, ()) == "nobody", "nothing is healthy"


def test_what_is_old_is_said_to_be_old() -> None:
    lost = said(GREEN_SERVES, trouble="its API server does not answer")
    assert lost["serving"]["stale"] == "cluster local: its API server does not answer", "the last known state stays, flagged"
    silent = {**GREEN_SERVES, "proxies": {"total": 1, "answering": 0, "staleSince": "2026-11-24T21:00:05.000Z", "message": "p: ConnectError"}}
    assert "since 2026-11-24T21:00:05.000Z no proxy of local" in said(silent)["serving"]["stale"], "and why"
    assert "stale" not in said(GREEN_SERVES)["serving"], "no empty field"


def test_proxies_that_differ_are_in_the_message() -> None:
    body = said({**GREEN_SERVES, "proxies": {"total": 3, "answering": 3, "message": "b sends to priority 0"}})
    assert body["serving"]["message"].endswith("failed its health check; b sends to priority 0"), "one path may be broken"


def test_without_anything_observed_nothing_is_said() -> None:
    assert said(None) == {}, "gloo has not looked yet"


def test_a_priority_that_the_scheme_has_no_more_is_left_out() -> None:
    extra = [*GREEN_SERVES["priorities"], {"priority": 2, "healthy": 1, "total": 1}]  # type: ignore[misc] # the list of the dictionary above
    assert len(said({**GREEN_SERVES, "priorities": extra})["tiers"]) == 2, "the primary is being changed"


async def see(world: World, status: dict[str, Any]) -> None:
    """gloo writes into the primary's status."""
    obj = world.local.get(UPSTREAM, "gloo-system", BLUE)
    await world.local.put(UPSTREAM, "gloo-system", BLUE, manager="gloo-serving", spec=obj["spec"], status=status, metadata=obj["metadata"])


def status(world: World) -> dict[str, Any]:
    found: dict[str, Any] = (world.local.get(FAILOVER_SCHEME, "gloo-fed", "failover-scheme") or {}).get("status") or {}
    return found


async def test_a_switch_is_in_the_schemes_status_at_once(world: World) -> None:
    await ready(world)
    async with world.fed():
        await world.accepted()
        started = time.monotonic()
        await see(world, {"failover": GREEN_SERVES})
        await eventually(lambda: status(world).get("serving", {}).get("name") == "tier 1 (remote)", "the scheme says so")
        assert time.monotonic() - started < 2, "an event, not a poll, which comes every five seconds"
        assert status(world)["state"] == "ACCEPTED", "Gloo's own fields are as they were"
        assert status(world)["namespacedStatuses"]["gloo-fed"]["state"] == "ACCEPTED", "also by namespace"


def measured() -> float | None:
    labels = {"namespace": "gloo-fed", "scheme": "failover-scheme"}
    return metrics.REGISTRY.get_sample_value("service_failover_scheme_serving_priority", labels)


async def test_the_metrics_are_those_of_the_replica_that_leads_after_a_restart_too(world: World) -> None:
    await ready(world)
    async with world.fed():
        await world.accepted()
        await see(world, {"failover": GREEN_SERVES})
        await eventually(lambda: measured() == 1, "they say that green serves")
    assert measured() is None, "one that has ended says nothing of who serves: it would never be corrected"
    async with world.fed():
        await eventually(lambda: measured() == 1, "the next one says it, although the status was right and it has written nothing")


async def test_a_share_that_moves_does_not_have_schemes_planned_again(world: World) -> None:
    await ready(world)
    async with world.fed():
        await world.accepted()
        await see(world, {"failover": GREEN_SERVES})
        await eventually(lambda: status(world).get("serving"), "it is copied")
        await asyncio.sleep(0.1)
        before = len(world.writes())
        moved = {**GREEN_SERVES, "priorities": [{**each, "requestShare": 50} for each in GREEN_SERVES["priorities"]]}  # type: ignore[attr-defined]
        await see(world, {"failover": moved})
        await eventually(lambda: status(world)["tiers"][0]["requestShare"] == 50, "the share is copied")
        await asyncio.sleep(0.1)
        assert len(world.writes()) == before + 1, "by one write, and nothing else"


async def test_when_gloo_says_nothing_any_more_neither_does_the_scheme(world: World) -> None:
    await ready(world)
    async with world.fed():
        await world.accepted()
        await see(world, {"failover": GREEN_SERVES})
        await eventually(lambda: status(world).get("serving"), "it is copied")
        await see(world, {})
        await eventually(lambda: "serving" not in status(world), "it is taken away")
        assert status(world)["state"] == "ACCEPTED", "and only that"


async def test_a_rival_scheme_says_nothing_of_who_serves(world: World) -> None:
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.scheme("rival")
        await eventually(lambda: world.state("rival")[0] == "INVALID", "the primary has a scheme already")
        await see(world, {"failover": GREEN_SERVES})
        await eventually(lambda: status(world).get("serving"), "the first one says it")
        await asyncio.sleep(0.1)
        rival = world.local.get(FAILOVER_SCHEME, "gloo-fed", "rival")
        assert "serving" not in rival["status"], "the other has no part in it"


async def test_a_lost_primary_cluster_is_flagged_and_what_was_known_stays(world: World) -> None:
    async with api_double() as primary:
        await primary.put(UPSTREAM, "gloo-system", BLUE, spec={"kube": {"serviceName": "s"}}, status={"failover": GREEN_SERVES})
        await world.register("local", primary)
        await world.register("remote", world.remote)
        await world.scheme()
        async with world.fed():
            await eventually(lambda: status(world).get("serving"), "it is copied")
            await primary.stop()
            await eventually(lambda: "does not answer" in status(world)["serving"].get("stale", ""), "it is flagged", seconds=10)
            assert status(world)["serving"]["name"] == "tier 1 (remote)", "the last that was known"


async def test_a_status_of_another_version_breaks_nothing(world: World) -> None:
    await ready(world)
    async with world.fed():
        await world.accepted()
        await see(world, {"failover": {"serving": {"priority": "one"}, "priorities": "none"}})
        await asyncio.sleep(0.2)
        assert "serving" not in status(world), "what cannot be read is not copied"
        await see(world, {"failover": GREEN_SERVES})
        await eventually(lambda: status(world).get("serving"), "and what can be is")
