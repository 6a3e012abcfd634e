"""`gloo-fed` as a whole, in this process, against API doubles of a management cluster (also the primary's) and a remote one."""

from __future__ import annotations

import asyncio
import time

import pytest
from support_api import api_double, eventually
from support_fed import BLUE, GREEN, SCHEME, World, addresses, make_world, put_failover_service, ready  # noqa: F401 - make_world is a fixture

from controlplane.fed.kinds import FAILOVER_SCHEME, FINALIZER, GLOO_INSTANCE, KUBERNETES_CLUSTER, UPSTREAM

pytestmark = pytest.mark.loopback


async def test_a_scheme_becomes_the_failover_of_its_primary_and_nothing_else_is_touched(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        assert addresses(world.failover()) == ["10.78.192.1"], "the address of the remote failover Service"
        assert world.local.get(UPSTREAM, "gloo-system", BLUE)["spec"]["kube"] == {"serviceName": "s"}, "the rest of the primary is not gloo-fed's"
        assert world.remote.get(GLOO_INSTANCE, "gloo-fed", "remote-gloo-system") is None, "the remote cluster is only read"
        instance = world.local.get(GLOO_INSTANCE, "gloo-fed", "remote-gloo-system")
        assert instance["spec"]["region"] == "us-west-2", "what was found is described in the management cluster"
        status = world.local.get(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")["status"]
        assert status["namespacedStatuses"]["gloo-fed"]["state"] == status["state"] == "ACCEPTED", "flat, and by namespace"
        assert status["observedGeneration"] == 1
        assert all(method != "POST" for method, _ in world.writes()), "nothing went wrong, so there is no event"


async def test_when_all_is_done_nothing_is_written_any_more(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        await asyncio.sleep(0.2)
        done = len(world.writes())
        await asyncio.sleep(0.3)
        assert len(world.writes()) == done, "its own writes start nothing"
    async with world.fed():
        await asyncio.sleep(0.4)
        assert len(world.writes()) == done, "and neither does a restart: everything is as it should be"


async def test_a_new_address_of_the_remote_gateway_is_followed_at_once(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        start = time.monotonic()
        await put_failover_service(world.remote, "10.78.192.2")
        await eventually(lambda: addresses(world.failover()) == ["10.78.192.2"], "the failover follows")
        assert time.monotonic() - start < 2, "an event, not a poll, which comes every five seconds"


async def test_the_order_in_which_things_appear_does_not_matter(world: World):
    async with world.fed():
        await world.scheme()
        await eventually(lambda: world.state()[0] == "INVALID", "nothing is registered")
        await world.register("remote", world.remote)
        await world.register("local", world.local)
        await world.accepted()
        await world.local.remove(UPSTREAM, "gloo-system", BLUE)
        await eventually(lambda: world.state()[0] == "PENDING", "the primary is gone")
        assert world.local.get(UPSTREAM, "gloo-system", BLUE) is None, "and is not brought back as nothing but a failover"
        await world.local.put(UPSTREAM, "gloo-system", BLUE, spec={"kube": {"serviceName": "s"}})
        await world.accepted()
        assert addresses(world.failover()) == ["10.78.192.1"], "the new primary has it again"


async def test_the_end_of_a_scheme_cleans_its_primary(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        assert world.local.get(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")["metadata"]["finalizers"] == [FINALIZER]
        await world.local.remove(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
        await eventually(lambda: world.local.get(FAILOVER_SCHEME, "gloo-fed", "failover-scheme") is None, "it goes")
        await eventually(lambda: world.failover() is None, "and so does what it made")


async def test_a_change_of_the_primary_moves_the_failover(world: World):
    await world.local.put(UPSTREAM, "gloo-system", "other", spec={"kube": {"serviceName": "other"}})
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.scheme(primary={"clusterName": "local", "name": "other", "namespace": "gloo-system"})
        await eventually(lambda: world.failover("other"), "the new primary fails over")
        await eventually(lambda: world.failover(BLUE) is None, "the old one does not any more")


async def test_a_deleted_scheme_is_not_held_by_a_cluster_that_is_not_there(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.local.remove(KUBERNETES_CLUSTER, "gloo-fed", "local")
        await eventually(lambda: world.local.get(GLOO_INSTANCE, "gloo-fed", "local-gloo-system") is None, "the cluster is gone")
        await world.local.remove(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
        await eventually(lambda: world.local.get(FAILOVER_SCHEME, "gloo-fed", "failover-scheme") is None, "the finalizer is released")
        events = [obj for (plural, _, _), obj in world.local.objects.items() if plural == "events"]
        assert [event["reason"] for event in events] == ["PrimaryNotCleaned"], "an event says what was left"
        assert world.failover(), "which is this"
        await world.register("local", world.local)
        await eventually(lambda: world.failover() is None, "and it is removed when the cluster is there again")


async def test_a_deleted_scheme_is_not_held_by_a_lost_cluster(world: World):
    async with api_double() as primary:
        await primary.put(UPSTREAM, "gloo-system", BLUE, spec={"kube": {"serviceName": "s"}})
        await world.register("local", primary)
        await world.register("remote", world.remote)
        await world.scheme()
        async with world.fed():
            await world.accepted()
            await primary.stop()
            await eventually(lambda: world.cluster_state("local")[0] == "FAILED", "the loss is noticed")
            await world.local.remove(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
            await eventually(lambda: world.local.get(FAILOVER_SCHEME, "gloo-fed", "failover-scheme") is None, "the finalizer is released")


async def test_a_lost_remote_cluster_takes_nothing_away_and_is_flagged(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.remote.stop()
        await eventually(lambda: world.cluster_state("remote")[0] == "FAILED", "the loss is in the status of the cluster")
        await eventually(lambda: "does not answer since" in world.state()[1], "and in that of the scheme")
        assert world.state()[0] == "ACCEPTED", "which is still carried out"
        assert addresses(world.failover()) == ["10.78.192.1"], "with the address that was known"
    async with world.fed():
        await asyncio.sleep(0.4)
        assert addresses(world.failover()) == ["10.78.192.1"], "also after a restart, which has never seen the remote cluster"
        assert world.local.get(GLOO_INSTANCE, "gloo-fed", "remote-gloo-system"), "since the instance is still written"
        await world.remote.start()
        await eventually(lambda: world.cluster_state("remote") == ("ACCEPTED", ""), "it is found again by itself", seconds=8)
        await eventually(lambda: world.state() == ("ACCEPTED", ""), "and nothing is left to say")


async def test_a_cluster_that_is_not_registered_any_more_has_no_instance(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.local.remove(KUBERNETES_CLUSTER, "gloo-fed", "remote")
        await eventually(lambda: world.local.get(GLOO_INSTANCE, "gloo-fed", "remote-gloo-system") is None, "it goes")
        await eventually(lambda: world.state()[0] == "INVALID", "the scheme names a cluster that is not registered")
        assert addresses(world.failover()) == ["10.78.192.1"], "but a working failover is not taken away by a mistake elsewhere"


async def test_two_schemes_cannot_have_one_primary(world: World):
    await ready(world)
    async with world.fed():
        await world.accepted()
        await world.scheme("second")
        await eventually(lambda: world.state("second")[0] == "INVALID", "the second is refused")
        assert "gloo-fed/failover-scheme" in world.state("second")[1], "and told who has it"
        await world.local.remove(FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
        await eventually(lambda: world.state("second")[0] == "ACCEPTED", "until it is free")
        assert addresses(world.failover()) == ["10.78.192.1"], "without a moment in between for the second to lose it"


@pytest.mark.parametrize(
    ("kubeconfig", "state", "part"),
    [
        ("not: [a, kubeconfig", "INVALID", "is not YAML"),
        ("{}", "INVALID", "lacks or misnames a field"),
    ],
)
async def test_a_registration_that_cannot_work_says_why(world: World, kubeconfig: str, state: str, part: str):
    await world.register("remote", world.remote, kubeconfig=kubeconfig)
    async with world.fed():
        await eventually(lambda: world.cluster_state("remote")[0] == state, "the status says so")
        assert part in world.cluster_state("remote")[1]
        await world.register("remote", world.remote)
        await eventually(lambda: world.cluster_state("remote")[0] == "ACCEPTED", "a correction is taken")


async def test_a_registration_waits_for_its_secret(world: World):
    await world.local.put(KUBERNETES_CLUSTER, "gloo-fed", "remote", spec={"secretName": "remote"})
    async with world.fed():
        await eventually(lambda: world.cluster_state("remote")[0] == "PENDING", "it waits")
        assert "Secret gloo-fed/remote of type solo.io/kubeconfig does not exist" in world.cluster_state("remote")[1], "and says for what"
        await world.register("remote", world.remote)
        await eventually(lambda: world.cluster_state("remote")[0] == "ACCEPTED", "until it is there")
