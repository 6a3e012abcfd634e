"""Issues of Gloo Federation whose cause we could share, each as a test named after it (numbers of kgateway-dev/kgateway, formerly solo-io/gloo).

gloo-fed runs in this process against API doubles that are lost, refuse, race or are put right. docs/robustness.md lists every issue with its test.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import replace

import pytest
from support_api import ApiDouble, api_double, eventually
from support_fed import BLUE, GREEN, World, addresses, make_world, put_failover_service, ready  # noqa: F401 - make_world is a fixture

from controlplane.fed import member as member_module
from controlplane.fed.farewell import NAMESPACE
from controlplane.fed.kinds import FAILOVER_SCHEME, FINALIZER, KUBERNETES_CLUSTER, UPSTREAM
from controlplane.kube.election import LEASE
from controlplane.kube.objects import DEPLOYMENT, SECRET

pytestmark = pytest.mark.loopback


@pytest.fixture
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights are looked at twenty times a second, for tests in which only such a look can notice what happens."""
    monkeypatch.setattr(member_module, "EXAMINE_SECONDS", 0.05)


def finalizers(world: World) -> list[str] | None:
    """Of the scheme; None when it is gone."""
    scheme = world.local.get(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
    return None if scheme is None else scheme["metadata"].get("finalizers", [])


def since_accepted(world: World) -> list[str]:
    """The states of the scheme from the first time that it was accepted."""
    states = world.states()
    return states[states.index("ACCEPTED") :]


async def test_gloo_7309_a_write_that_loses_a_race_on_the_upstream_is_written_again(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        world.local.races = 6
        await put_failover_service(world.remote, "10.78.192.9")
        await eventually(lambda: addresses(world.failover()) == ["10.78.192.9"], "the new address arrives", seconds=15)
        assert world.local.races == 0, "after all those lost races"
        await asyncio.sleep(0.1)
        assert since_accepted(world) == ["ACCEPTED"], "the scheme never heard of them"


async def test_gloo_7309_endless_races_are_retried_by_the_queue(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("controlplane.kube.backoff.random.uniform", lambda low, high: 0.01)
    await ready(world)
    async with world.fed():
        await world.accepted()
        world.local.races = 40
        await put_failover_service(world.remote, "10.78.192.9")
        await eventually(lambda: addresses(world.failover()) == ["10.78.192.9"], "it arrives all the same", seconds=15)


@pytest.mark.parametrize("cluster", ["never-registered", "remote"])
async def test_gloo_5840_a_scheme_with_a_wrong_cluster_can_be_deleted(world: World, cluster: str):
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.scheme(primary={"clusterName": cluster, "name": BLUE, "namespace": "gloo-system"})
        await eventually(lambda: world.state()[0] in ("INVALID", "PENDING"), "it cannot be carried out")
        await world.local.remove(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
        await eventually(lambda: finalizers(world) is None, "and is gone when it is deleted")
        await eventually(lambda: world.failover() is None, "with what it made before it was wrong")


async def test_gloo_7091_a_scheme_whose_cluster_is_deleted_with_it_goes(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.local.remove(KUBERNETES_CLUSTER, "gloo-fed", "local")
        await world.local.remove(SECRET, "gloo-fed", "local")
        await world.local.remove(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
        await eventually(lambda: finalizers(world) is None, "nothing waits for a cluster that is not there")


async def test_gloo_7091_a_scheme_is_not_held_by_a_cluster_that_has_never_answered(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
    async with api_double() as gone:
        await world.register("local", gone)
    async with world.fed():
        await world.local.remove(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
        await eventually(lambda: finalizers(world) is None, "a registration that leads nowhere holds nothing")


async def test_gloo_7091_a_scheme_is_not_held_by_a_cluster_that_will_not_have_its_primary_cleaned(world: World):
    async with api_double() as primary:
        await primary.put(UPSTREAM, "gloo-system", BLUE, spec={"kube": {"serviceName": "s"}})
        await world.register("local", primary)
        await world.register("remote", world.remote)
        await world.scheme()
        async with world.fed():
            await world.accepted()
            primary.failing_writes = (422, "admission webhook denied the request")
            await world.local.remove(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
            await eventually(lambda: finalizers(world) is None, "a few attempts are enough", seconds=8)
            events = [obj for (plural, _, _), obj in world.local.objects.items() if plural == "events"]
            assert ["admission webhook" in event["message"] for event in events] == [True], "an event says why it was left"
            primary.failing_writes = None
            await primary.put(UPSTREAM, "gloo-system", "another", spec={"kube": {"serviceName": "t"}})
            await eventually(
                lambda: "failover" not in primary.get(UPSTREAM, "gloo-system", BLUE)["spec"], "and it is cleaned as soon as it can be", seconds=8
            )


@pytest.mark.parametrize("end", ["deployment deleted", "deployment being deleted", "scaled to nothing", "namespace being deleted"])
async def test_gloo_7091_an_uninstalled_gloo_fed_leaves_no_finalizer(world: World, end: str):
    await ready(world)
    async with world.fed():
        await world.accepted()
        assert finalizers(world) == [FINALIZER]
        going = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
        if end == "deployment deleted":
            await world.local.remove(DEPLOYMENT, "gloo-fed", "gloo-fed")
        elif end == "deployment being deleted":
            await world.local.put(DEPLOYMENT, "gloo-fed", "gloo-fed", **going)
        elif end == "scaled to nothing":
            await world.local.put(DEPLOYMENT, "gloo-fed", "gloo-fed", spec={"replicas": 0})
        else:
            await world.local.put(NAMESPACE, "", "gloo-fed", **going)
    assert finalizers(world) == [], "nobody would be there to remove it"
    assert world.failover(), "what works is left working"


async def test_gloo_7091_a_restarted_gloo_fed_keeps_its_finalizers(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
    assert finalizers(world) == [FINALIZER], "a scheme that is deleted in between is cleaned up after"
    await world.local.remove(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
    async with world.fed():
        await eventually(lambda: finalizers(world) is None, "by the next gloo-fed")
        assert world.failover() is None


async def test_gloo_4134_the_state_of_a_scheme_does_not_flap(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        for round_ in range(10):
            # Whatever goes on in the clusters that changes nothing for the scheme: status, labels, other objects, a restart of a watch.
            await world.remote.put(UPSTREAM, "gloo-system", GREEN, status={"statuses": {"gloo-system": {"state": 1, "round": round_}}})
            await world.remote.put(DEPLOYMENT, "gloo-system", "gateway-proxy", status={"readyReplicas": round_ % 2})
            await world.local.put(KUBERNETES_CLUSTER, "gloo-fed", "remote", metadata={"labels": {"round": str(round_)}})
            if round_ == 5:
                world.remote.drop_connections()
            await asyncio.sleep(0.05)
        world.remote.token = "second"
        await world.register("remote", world.remote)
        await asyncio.sleep(0.5)
    async with world.fed():
        await asyncio.sleep(0.3)
    assert since_accepted(world) == ["ACCEPTED"], "accepted once, and nothing else ever: not by churn, a rotated token or a restart"


async def test_gloo_7814_a_cluster_that_was_down_is_found_again_however_long_it_took(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("controlplane.kube.backoff.random.uniform", lambda low, high: 0.01)  # An hour of attempts in less than a second.
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.remote.stop()
        await eventually(lambda: world.cluster_state("remote")[0] == "FAILED", "the loss is in the status")
        await asyncio.sleep(0.6)
        await world.remote.start()
        await eventually(lambda: world.cluster_state("remote") == ("ACCEPTED", ""), "nobody restarted gloo-fed")


async def test_gloo_7024_failed_to_list_does_not_stick(world: World):
    await ready(world)
    world.remote.failing = (500, "etcdserver: leader changed")
    async with world.fed():
        await eventually(lambda: "etcdserver" in world.cluster_state("remote")[1], "the status has the error of the API server")
        world.remote.failing = None
        await eventually(lambda: world.cluster_state("remote") == ("ACCEPTED", ""), "for as long as it lasts", seconds=8)
        await eventually(lambda: world.state() == ("ACCEPTED", ""), "and the scheme is carried out")


async def test_gloo_5156_a_cluster_that_is_down_at_the_start_is_taken_in_when_it_is_up(world: World):
    await ready(world)
    await world.remote.stop()
    async with world.fed():
        await eventually(lambda: world.cluster_state("remote")[0] == "FAILED", "it says so")
        await eventually(lambda: world.cluster_state("local")[0] == "ACCEPTED", "and the others are not kept waiting")
        await world.remote.start()
        await eventually(lambda: world.state() == ("ACCEPTED", ""), "nothing has to be restarted", seconds=8)


@pytest.mark.usefixtures("look_often")
async def test_gloo_5130_a_deleted_role_is_named_and_its_return_is_enough(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        world.remote.forbidden = {("list", "nodes"), ("watch", "nodes"), ("patch", "upstreams")}
        await eventually(lambda: world.cluster_state("remote")[0] == "FAILED", "noticed though every watch is still open")
        message = world.cluster_state("remote")[1]
        assert "list and watch nodes; patch upstreams.gloo.solo.io in gloo-system" in message, "exactly what is missing"
        assert "`pulumi up --refresh`" in message, "and the next command"
        assert world.state()[0] == "ACCEPTED", "what is known is still carried out"
        assert "may not list and watch nodes" in world.state()[1], "and the scheme says what may be old"
        assert addresses(world.failover()) == ["10.78.192.1"], "nothing is taken away"
        world.remote.forbidden = set()
        await eventually(lambda: world.cluster_state("remote") == ("ACCEPTED", ""), "it heals by itself")
        await eventually(lambda: world.state() == ("ACCEPTED", ""), "and nothing is left to say")


async def test_gloo_5130_a_right_that_was_never_given_is_named(world: World):
    world.remote.failing = (403, 'pods is forbidden: User "system:serviceaccount:gloo-system:gloo-federation" cannot list resource "pods"')
    await ready(world)
    async with world.fed():
        await eventually(lambda: "cannot list resource" in world.cluster_state("remote")[1], "in the words of the API server")
        world.remote.failing = None
        await eventually(lambda: world.state() == ("ACCEPTED", ""), "and it is tried again all the time", seconds=8)


@pytest.mark.usefixtures("look_often")
async def test_gloo_6315_a_refused_token_is_named_and_a_new_one_is_used_at_once(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        world.remote.token = "second"
        await eventually(lambda: "refuses the token" in world.cluster_state("remote")[1], "noticed though every watch is still open")
        assert world.cluster_state("remote")[0] == "FAILED"
        assert "first" not in world.cluster_state("remote")[1], "without the token in it"
        started = time.monotonic()
        await world.register("remote", world.remote)
        await eventually(lambda: world.cluster_state("remote") == ("ACCEPTED", ""), "the Secret is read again when it changes")
        assert time.monotonic() - started < 2, "at once"
        assert since_accepted(world) == ["ACCEPTED"], "and the scheme was never without its cluster"


async def test_gloo_6315_a_bad_new_kubeconfig_does_not_cost_the_cluster(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.register("remote", world.remote, kubeconfig="not: [a, kubeconfig")
        await eventually(lambda: world.cluster_state("remote")[0] == "INVALID", "it is refused")
        await put_failover_service(world.remote, "10.78.192.7")
        await eventually(lambda: addresses(world.failover()) == ["10.78.192.7"], "while the old one works on")


async def test_gloo_4123_a_registration_is_two_objects_in_any_order(world: World):
    await world.scheme()
    async with world.fed():
        for name, api in (("local", world.local), ("remote", world.remote)):
            await world.local.put(KUBERNETES_CLUSTER, "gloo-fed", name, spec={"secretName": f"{name}-access"})
            await eventually(lambda name=name: world.cluster_state(name)[0] == "PENDING", "the object alone waits for its Secret")
            data = {"kubeconfig": base64.b64encode(api.kubeconfig().encode()).decode()}
            await world.local.put(SECRET, "gloo-fed", f"{name}-access", type="solo.io/kubeconfig", data=data)
        await world.accepted()
        assert json.dumps(world.local.get(KUBERNETES_CLUSTER, "gloo-fed", "remote")).count("token") == 0, "which alone holds what is secret"


async def test_gloo_6127_two_gloo_feds_write_in_turns_and_the_second_finishes_what_the_first_left(world: World):
    await ready(world)
    first, second = replace(world.options, identity="gloo-fed-0"), replace(world.options, identity="gloo-fed-1")
    async with replace(world, options=first).fed():
        await world.accepted()
        async with replace(world, options=second).fed():
            await asyncio.sleep(0.3)
            done = len(world.writes())
            await asyncio.sleep(0.3)
            leases = [path for _, path in world.writes()[done:] if "leases" not in path]
            assert not leases, "a standby writes nothing, and neither does a leader that is done"
    assert lease_holder(world.local) == "", "the last one released it"
    async with replace(world, options=second).fed():
        await eventually(lambda: lease_holder(world.local) == "gloo-fed-1", "so the next one leads at once")
        await put_failover_service(world.remote, "10.78.192.5")
        await eventually(lambda: addresses(world.failover()) == ["10.78.192.5"], "and writes")


def lease_holder(api: ApiDouble) -> str:
    return str((api.get(LEASE, "gloo-fed", "gloo-fed") or {}).get("spec", {}).get("holderIdentity"))
