"""Informers against an API server that lists, watches, forgets and breaks (a double; the real one is in the `cluster` tests)."""

from __future__ import annotations

import asyncio

import pytest
from support_api import api_double, eventually, running

from controlplane.kube.backoff import Backoff
from controlplane.kube.informer import Informer
from controlplane.kube.objects import SECRET, SERVICE, Key, Kind

pytestmark = pytest.mark.loopback


class Seen:
    """What an informer told."""

    def __init__(self) -> None:
        self.changes: list[Key] = []
        self.lost = 0

    def change(self, kind: Kind, key: Key) -> None:
        self.changes.append(key)

    def loss(self) -> None:
        self.lost += 1


def informer_of(client, seen: Seen, **options) -> Informer:
    return Informer(client, SERVICE, on_change=seen.change, on_lost=seen.loss, backoff=Backoff(first=0.01, cap=0.05), **options)


async def test_it_holds_what_is_there_and_follows_every_change():
    async with api_double() as api:
        await api.put(SERVICE, "default", "old", spec={"a": 1})
        seen = Seen()
        informer = informer_of(api.client(), seen)
        async with running(informer.run()):
            await asyncio.wait_for(informer.synced.wait(), 5)
            assert list(informer.objects) == [("default", "old")], "synced means that everything has been listed"
            await api.put(SERVICE, "default", "new", spec={"a": 1})
            await eventually(lambda: ("default", "new") in informer.objects, "an addition arrives")
            await api.put(SERVICE, "default", "new", spec={"a": 2})
            await eventually(lambda: informer.objects[("default", "new")]["spec"] == {"a": 2}, "a change arrives")
            await api.remove(SERVICE, "default", "old")
            await eventually(lambda: ("default", "old") not in informer.objects, "a removal arrives")
            assert seen.changes == [("default", "old"), ("default", "new"), ("default", "new"), ("default", "old")], "each is told once"
            assert api.requests.count(("GET", "/api/v1/services")) == 2, "one list and one watch: no polling"


async def test_one_namespace_and_a_field_selector_limit_what_is_read():
    async with api_double() as api:
        await api.put(SECRET, "gloo-system", "tls", type="kubernetes.io/tls", data={})
        await api.put(SECRET, "gloo-system", "other", type="Opaque", data={})
        await api.put(SECRET, "default", "tls", type="kubernetes.io/tls", data={})
        seen = Seen()
        informer = Informer(api.client(), SECRET, on_change=seen.change, namespace="gloo-system", field_selector="type=kubernetes.io/tls")
        async with running(informer.run()):
            await asyncio.wait_for(informer.synced.wait(), 5)
            assert list(informer.objects) == [("gloo-system", "tls")], "what nobody needs is not even asked for"


async def test_a_forgotten_version_leads_to_a_new_list_with_the_removals_in_between():
    async with api_double() as api:
        await api.put(SERVICE, "default", "gone", spec={})
        await api.put(SERVICE, "default", "stays", spec={})
        seen = Seen()
        informer = informer_of(api.client(), seen)
        async with running(informer.run()):
            await asyncio.wait_for(informer.synced.wait(), 5)
            await eventually(lambda: len(api.requests) == 2, "it watches")
            await api.stop()
            del api.objects[("services", "default", "gone")]
            api.forget_versions()
            await api.start()
            await eventually(lambda: ("default", "gone") not in informer.objects, "what went while nobody watched is found by listing")
            assert seen.changes[2:] == [("default", "gone")], "what stayed is not told again"


async def test_a_dropped_connection_is_resumed_without_a_list_and_is_no_loss():
    async with api_double() as api:
        seen = Seen()
        informer = informer_of(api.client(), seen)
        async with running(informer.run()):
            await asyncio.wait_for(informer.synced.wait(), 5)
            await eventually(lambda: len(api.requests) == 2, "it watches")
            api.drop_connections()
            await api.put(SERVICE, "default", "meanwhile", spec={})
            await eventually(lambda: ("default", "meanwhile") in informer.objects, "the watch goes on from the last version")
            assert seen.lost == 0, "one broken watch is normal"
            assert [method for method, _ in api.requests] == ["GET"] * 3, "one list, two watches"


async def test_a_lost_server_keeps_what_is_known_says_so_and_is_tried_for_ever():
    async with api_double() as api:
        await api.put(SERVICE, "default", "known", spec={})
        seen = Seen()
        informer = informer_of(api.client(), seen)
        async with running(informer.run()):
            await asyncio.wait_for(informer.synced.wait(), 5)
            await api.stop()
            lost = await eventually(lambda: informer.lost, "the loss is noticed")
            assert "127.0.0.1" in lost.reason, "the reason names the server"
            assert list(informer.objects) == [("default", "known")], "stale is better than nothing"
            await asyncio.sleep(0.3)
            await api.start()
            await eventually(lambda: informer.lost is None, "it comes back by itself, however long it was away")
            assert seen.lost == 2, "told once when lost and once when back"


async def test_an_error_of_the_server_is_survived():
    async with api_double() as api:
        api.failing = (404, "the server could not find the requested resource")
        seen = Seen()
        informer = informer_of(api.client(), seen)
        async with running(informer.run()):
            await eventually(lambda: informer.lost, "a kind that is not there yet is not an empty one")
            assert not informer.synced.is_set(), "so nothing may be published yet"
            api.failing = None
            await asyncio.wait_for(informer.synced.wait(), 5)


async def test_a_rotated_token_is_read_again():
    async with api_double() as api:
        seen = Seen()
        informer = informer_of(api.client(), seen)
        async with running(informer.run()):
            await asyncio.wait_for(informer.synced.wait(), 5)
            api.token = "second"
            api.drop_connections()
            await api.put(SERVICE, "default", "later", spec={})
            await eventually(
                lambda: ("default", "later") in informer.objects, "the kubeconfig has the new token, and is read when the old one is refused"
            )


async def test_a_change_of_status_alone_does_not_wake_who_does_not_read_it():
    async with api_double() as api:
        await api.put(SERVICE, "default", "it", spec={"a": 1})
        seen = Seen()
        informer = informer_of(api.client(), seen, status=False)
        async with running(informer.run()):
            await asyncio.wait_for(informer.synced.wait(), 5)
            await api.put(SERVICE, "default", "it", status={"said": "by us"})
            await eventually(lambda: informer.objects[("default", "it")].get("status"), "the object is kept up to date")
            assert seen.changes == [("default", "it")], "but a controller's own write must not start it again"


async def test_managed_fields_are_kept_only_where_they_are_needed():
    async with api_double() as api:
        await api.put(SERVICE, "default", "it", spec={"a": 1})
        lean, full = informer_of(api.client(), Seen()), informer_of(api.client(), Seen(), keep_managers=True)
        async with running(lean.run(), full.run()):
            await asyncio.gather(lean.synced.wait(), full.synced.wait())
            assert "managedFields" not in lean.objects[("default", "it")]["metadata"], "they are half of an object's size"
            assert "managedFields" in full.objects[("default", "it")]["metadata"]


async def test_packed_objects_read_as_any_others():
    async with api_double() as api:
        await api.put(SERVICE, "default", "it", spec={"a": 1, "text": "ü"})
        seen = Seen()
        informer = informer_of(api.client(), seen, packed=True, status=False)
        async with running(informer.run()):
            await asyncio.wait_for(informer.synced.wait(), 5)
            assert informer.objects[("default", "it")]["spec"] == {"a": 1, "text": "ü"}
            await api.put(SERVICE, "default", "it", status={"said": "by us"})
            await eventually(lambda: informer.objects[("default", "it")].get("status"), "it is kept up to date")
            assert seen.changes == [("default", "it")], "what does not matter is told from what does"
            await api.remove(SERVICE, "default", "it")
            await eventually(lambda: not informer.objects, "a removal arrives")
            assert informer.objects.get(("default", "it")) is None


async def test_a_long_list_is_read_in_parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("controlplane.kube.client._PAGE", "2")
    async with api_double() as api:
        names = [("default", f"s{index}") for index in range(5)]
        for namespace, name in names:
            await api.put(SERVICE, namespace, name, spec={})
        informer = informer_of(api.client(), Seen())
        async with running(informer.run()):
            await asyncio.wait_for(informer.synced.wait(), 5)
            assert sorted(informer.objects) == names, "all parts are one list"
            assert api.requests[:3] == [("GET", "/api/v1/services")] * 3, "no more of it is in memory at once than a part"


def test_back_off_grows_to_its_cap_and_no_further():
    backoff = Backoff(first=0.1, cap=1.0)
    delays = [backoff.next() for _ in range(100)]
    assert delays[0] <= 0.1, "the first try is quick"
    assert all(delay <= 1.0 for delay in delays), "and it never waits longer than the cap"
    assert min(delays[10:]) >= 0.75, "while a server that is down for long is not hammered"
