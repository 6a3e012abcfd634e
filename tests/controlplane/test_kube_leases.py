"""Leader election: its rules, and electors against an API double that is stopped, refuses, or is edited by somebody else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support_api import ApiDouble, api_double, eventually, running
from support_leases import PATIENT, QUICK, elector

from controlplane.kube.election import LEASE, Action, Sighting, Timing, decide, expires_in, held, holder, released, see
from controlplane.kube.guard import GuardedWriter, NotLeadingError
from controlplane.kube.leases import Leader, leadership
from controlplane.kube.objects import SERVICE

pytestmark = pytest.mark.loopback

TIMING = Timing(lease=10, renew=7, retry=2)


def lease(who: str, *, version: str = "1", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "gloo", "resourceVersion": version}, "spec": {"holderIdentity": who, "leaseDurationSeconds": 10, **spec}}


@pytest.mark.parametrize(
    ("what", "seen_ago", "action", "why"),
    [
        (None, 0, Action.CREATE, "nobody has ever led"),
        (lease("me"), 0, Action.RENEW, "it is ours"),
        (lease("me"), 100, Action.RENEW, "also when it has expired: nobody else has taken it"),
        (lease("other"), 9.9, Action.WAIT, "another may still believe that it leads"),
        (lease("other"), 10.1, Action.TAKE, "another cannot any more"),
        (lease(""), 0, Action.TAKE, "it was released"),
        (lease("other", leaseDurationSeconds=30), 20, Action.WAIT, "the holder's duration counts, not ours"),
        (lease("other", leaseDurationSeconds=None), 9.9, Action.WAIT, "one that was edited by hand has our duration"),
        (lease("other", leaseDurationSeconds=None), 10.1, Action.TAKE, "and ends"),
    ],
)
def test_what_a_replica_does_about_a_lease(what: dict[str, Any] | None, seen_ago: float, action: Action, why: str):
    sighting = Sighting(version="1", at=1000.0 - seen_ago) if what else None
    assert decide(what, sighting, identity="me", timing=TIMING, now=1000.0) is action, why


@pytest.mark.parametrize("renewed", ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"])
def test_clocks_that_differ_between_replicas_do_not_matter(renewed: str):
    other = lease("other", renewTime=renewed)
    sighting = see(other, None, now=1000.0)
    assert decide(other, sighting, identity="me", timing=TIMING, now=1009.0) is Action.WAIT, "it was seen nine seconds ago, whatever time it names"
    assert decide(other, sighting, identity="me", timing=TIMING, now=1011.0) is Action.TAKE


def test_every_renewal_starts_the_wait_anew():
    first = see(lease("other", version="1"), None, now=0.0)
    assert see(lease("other", version="1"), first, now=9.0) == first, "the same version is the same sign of life"
    second = see(lease("other", version="2"), first, now=9.0)
    assert second is not None
    assert expires_in(lease("other"), second, timing=TIMING, now=9.0) == 10, "a new one is a new sign"


def test_the_lease_says_who_leads_since_when_and_the_how_manieth():
    first = held(None, identity="a", timing=TIMING, time="t1")
    assert first == {"holderIdentity": "a", "leaseDurationSeconds": 10, "acquireTime": "t1", "renewTime": "t1", "leaseTransitions": 0}
    renewed = held({"spec": first}, identity="a", timing=TIMING, time="t2")
    assert renewed == {"holderIdentity": "a", "leaseDurationSeconds": 10, "renewTime": "t2"}, "a renewal is no transition, and keeps acquireTime"
    taken = held({"spec": first}, identity="b", timing=TIMING, time="t3")
    assert (taken["leaseTransitions"], taken["acquireTime"]) == (1, "t3")
    after = held({"spec": {**first, **released(time="t4")}}, identity="b", timing=TIMING, time="t5")
    assert after["leaseTransitions"] == 1, "nor is a release: the next holder is"


@pytest.mark.parametrize(("lease_", "renew", "retry"), [(10, 10, 2), (10, 7, 8), (10, 7, 0)])
def test_times_that_let_two_lead_are_refused(lease_: int, renew: float, retry: float):
    with pytest.raises(ValueError, match="must hold"):
        Timing(lease=lease_, renew=renew, retry=retry)


@asynccontextmanager
async def two(timing: Timing = PATIENT) -> AsyncIterator[tuple[ApiDouble, Leader, Leader]]:
    """A leads, B follows."""
    async with api_double() as api:
        a, b = elector(api, "a", timing), elector(api, "b", timing)
        async with running(a.run()):
            await eventually(lambda: a.is_leader, "somebody leads")
            async with running(b.run()):
                await eventually(lambda: b.holder == "a", "the other one follows")
                yield api, a, b


def spec_of(api: ApiDouble) -> dict[str, Any]:
    found = api.get(LEASE, "gloo-system", "gloo")
    return (found or {}).get("spec", {})


async def test_one_leads_and_the_other_follows():
    async with two() as (api, a, b):
        assert (a.is_leader, b.is_leader) == (True, False)
        assert spec_of(api)["holderIdentity"] == "a"
        renewed = spec_of(api)["renewTime"]
        await eventually(lambda: spec_of(api)["renewTime"] != renewed, "it is renewed all the time")
        assert spec_of(api)["leaseTransitions"] == 0


async def test_a_release_lets_the_next_one_lead_at_once():
    async with api_double() as api:
        a, b = elector(api, "a"), elector(api, "b")
        won: list[bool] = []
        b.on_change = won.append
        async with running(a.run()):
            await eventually(lambda: a.is_leader, "it leads")
            standby = asyncio.ensure_future(b.run())
            await eventually(lambda: b.holder == "a", "the other one follows")
        await a.release()
        assert not a.is_leader, "from then on nothing is written"
        await eventually(lambda: b.is_leader, "the lease of a minute is not waited for")
        assert won == [True]
        assert spec_of(api)["leaseTransitions"] == 1
        standby.cancel()


async def test_a_claim_whose_answer_was_not_seen_is_released_too():
    async with api_double() as api:
        a, b = elector(api, "a"), elector(api, "b")
        task = asyncio.ensure_future(a.run())
        await eventually(lambda: spec_of(api).get("holderIdentity") == "a", "the API server has it")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await a.release()
        async with running(b.run()):
            await eventually(lambda: b.is_leader, "nobody waits a minute for a replica that ended while it began")


async def test_a_leader_that_is_killed_is_replaced_when_its_lease_ends():
    async with api_double() as api:
        a, b = elector(api, "a", QUICK), elector(api, "b", QUICK)
        async with running(a.run()):
            await eventually(lambda: a.is_leader, "it leads")
        async with running(b.run()):
            started = time.monotonic()
            await eventually(lambda: b.is_leader, "the other one takes over")
            assert time.monotonic() - started >= 0.9, "and not before the killed one would have noticed"


async def test_a_leader_without_an_api_server_stops_before_another_could_start_and_leads_again_later():
    async with two(QUICK) as (api, a, b):
        terms: list[str] = []

        async def duty() -> None:
            terms.append("begun")
            try:
                await asyncio.Event().wait()
            finally:
                terms.append("ended")

        async with running(a.while_leading(duty), b.while_leading(duty)):
            await eventually(lambda: terms == ["begun"], "one of the two does the duty")
            await api.stop()
            await eventually(lambda: not a.is_leader, "it cannot renew")
            await eventually(lambda: terms == ["begun", "ended"], "so its duties end")
            assert not b.is_leader, "and nobody leads without an API server"
            await api.start()
            await eventually(lambda: terms == ["begun", "ended", "begun"], "a new term begins from the start, whoever's it is", seconds=10)


async def test_a_claim_of_somebody_else_ends_the_term_at_once():
    async with api_double() as api:
        a = elector(api, "a")
        async with running(a.run()):
            await eventually(lambda: a.is_leader, "it leads")
            await api.put(LEASE, "gloo-system", "gloo", spec={"holderIdentity": "by hand", "leaseDurationSeconds": 60})
            await eventually(lambda: not a.is_leader, "it does not argue")
            assert a.holder == "by hand"


async def test_a_deleted_lease_is_made_again():
    async with two() as (api, a, b):
        await api.remove(LEASE, "gloo-system", "gloo")
        await eventually(lambda: api.get(LEASE, "gloo-system", "gloo"), "it is there again")
        await eventually(lambda: a.is_leader != b.is_leader, "and one leads")


async def test_a_restart_under_the_same_name_leads_on_at_once():
    async with api_double() as api:
        before = elector(api, "gloo-0")
        async with running(before.run()):
            await eventually(lambda: before.is_leader, "it leads")
        after = elector(api, "gloo-0")
        async with running(after.run()):
            await eventually(lambda: after.is_leader, "its own lease need not expire")
        assert spec_of(api)["leaseTransitions"] == 0


async def test_after_a_stall_a_leader_knows_that_its_time_is_over_before_it_looks():
    async with api_double() as api:
        a = elector(api, "a", QUICK)
        await api.put(SERVICE, "default", "s", spec={})
        writer = GuardedWriter(api.client(), a)
        async with running(a.run()):
            await eventually(lambda: a.is_leader, "it leads")
            time.sleep(0.8)
            assert not a.is_leader, "the clock says so, nobody had to tell it"
            with pytest.raises(NotLeadingError):
                await writer.merge(SERVICE, namespace="default", name="s", patch={"spec": {"late": True}})
            assert "late" not in api.get(SERVICE, "default", "s")["spec"], "a late write never leaves the process"
            await eventually(lambda: a.is_leader, "with nobody else there it leads again")
            await writer.merge(SERVICE, namespace="default", name="s", patch={"spec": {"on time": True}})
            assert api.get(SERVICE, "default", "s")["spec"]["on time"]


async def test_of_many_that_start_together_one_leads():
    async with api_double() as api:
        all_ = [elector(api, f"replica-{number}") for number in range(6)]
        async with running(*(each.run() for each in all_)):
            await eventually(lambda: len({each.holder for each in all_}) == 1 and all_[0].holder, "all agree")
            assert [each.identity for each in all_ if each.is_leader] == [all_[0].holder], "on one"


async def test_a_missing_right_is_named_with_what_gives_it(caplog: pytest.LogCaptureFixture):
    async with api_double() as api:
        api.failing = (403, "leases.coordination.k8s.io is forbidden")
        a = elector(api, "a")
        with caplog.at_level(logging.WARNING):
            async with running(a.run()):
                await eventually(lambda: caplog.records, "it is said")
                await asyncio.sleep(0.5)
                said = [record for record in caplog.records if record.getMessage().startswith("lease not held")]
                assert len(said) == 1, "once, though it is tried all the time"
                assert "create on leases" in said[0].__dict__["reason"], "with the right that is missing"
                api.failing = None
                await eventually(lambda: a.is_leader, "and it leads as soon as it may")


async def test_without_an_identity_there_is_no_election():
    async with api_double() as api:
        alone = leadership(api.client(), namespace="gloo-system", name="gloo", identity=None)
        done = asyncio.Event()

        async def duty() -> None:
            done.set()

        async with running(alone.run(), alone.while_leading(duty)):
            await asyncio.wait_for(done.wait(), 1)
        assert alone.is_leader
        assert not api.requests, "nor a Lease"
        assert holder(None) == ""
