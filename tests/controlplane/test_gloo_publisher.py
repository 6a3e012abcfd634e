"""What is published when: all of it once, then what changes, a bounded number of objects at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import support_objects as objects
from support_api import eventually, running
from support_objects import NAMESPACE, Object, place

from controlplane.gloo import publisher as publisher_module
from controlplane.gloo.publisher import Publisher
from controlplane.kube.objects import Kind
from controlplane.translation.translator import Translator
from controlplane.translation.types import ObjectRef, Report
from controlplane.xds.cache import ProxyKey, SnapshotCache
from controlplane.xds.resources import ResourceType
from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit

PROXY = ProxyKey(role="gloo-system~gateway-proxy", bind_address="127.77.0.9")
MANY = 20


class Gloo:
    """A publisher, the cluster that it reads, and what it has reported."""

    def __init__(self, *present: Object) -> None:
        self.objects: dict[tuple[Kind, tuple[str, str]], Object] = {}
        self.told: list[Mapping[ObjectRef, Report | None]] = []
        self.cache = SnapshotCache()
        self.read: list[str] = []
        self.publisher = Publisher(cache=self.cache, namespace=NAMESPACE, get=self._get, report=self.told.append, realise=lambda address: address)
        for each in present:
            self.put(each)

    def _get(self, kind: Kind, key: tuple[str, str]) -> Object | None:
        return self.objects.get((kind, key))

    def put(self, value: Object) -> None:
        kind, *key = place(value)
        self.objects[kind, (key[0], key[1])] = value
        self.publisher.changed(kind, (key[0], key[1]))

    def remove(self, value: Object) -> None:
        kind, *key = place(value)
        del self.objects[kind, (key[0], key[1])]
        self.publisher.changed(kind, (key[0], key[1]))

    def names(self, type_: ResourceType) -> set[str]:
        snapshot = self.cache.snapshot(PROXY)
        return set(snapshot.of(type_).items) if snapshot else set()

    def settle(self) -> int:
        """Publish until nothing is left; returns in how many steps."""
        steps = 1
        while self.publisher.publish():
            steps += 1
        return steps


def upstreams(number: int = MANY) -> list[Object]:
    return [objects.upstream(f"u{index}") for index in range(number)]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "BATCH", 4)


@pytest.mark.usefixtures("small_batches")
def test_nothing_is_published_before_everything_has_been_translated_once() -> None:
    gloo = Gloo(*upstreams(), objects.gateway())
    with gloo.cache.session(PROXY, node="envoy"):
        assert gloo.publisher.publish(), "there is more than one step of work"
        assert gloo.cache.snapshot(PROXY) is None, "half a configuration would take the other half away"
        assert gloo.told == [], "and half a translation says of objects what is not true"
        gloo.settle()
        assert len(gloo.names(ResourceType.CLUSTER)) == MANY
        assert len(gloo.told) == 1, "then all is said at once"
        assert gloo.publisher.published.is_set()


@pytest.mark.usefixtures("small_batches")
def test_a_change_of_endpoints_overtakes_a_flood_of_others() -> None:
    gloo = Gloo(objects.upstream("blue"), objects.service("blue"), objects.endpoint_slice("blue"))
    with gloo.cache.session(PROXY, node="envoy"):
        gloo.settle()
        before = gloo.cache.snapshot(PROXY)
        for each in upstreams():
            gloo.put(each)
        gloo.put(objects.endpoint_slice("blue", "10.77.0.99"))
        assert gloo.publisher.publish(), "the flood is not done"
        after = gloo.cache.snapshot(PROXY)
        assert before is not None
        assert after is not None
        assert after.endpoints.items["blue_gloo-system"] != before.endpoints.items["blue_gloo-system"], (
            "but the endpoints are out with its first part"
        )
        assert gloo.settle() >= 4, "the rest goes out in parts"
        assert len(gloo.names(ResourceType.CLUSTER)) == MANY + 1


@pytest.mark.usefixtures("small_batches")
def test_what_others_refer_to_comes_before_them_and_goes_after_them() -> None:
    gloo = Gloo(objects.gateway())
    ref = ObjectRef("VirtualService", NAMESPACE, "first")
    with gloo.cache.session(PROXY, node="envoy"):
        gloo.settle()
        gloo.put(objects.virtual_service("first", objects.to("u19")))
        for each in upstreams():
            gloo.put(each)
        gloo.settle()
        states = [told[ref].state for told in gloo.told if told.get(ref)]  # type: ignore[union-attr] # those without are left out
        assert states == [EdgeState.ACCEPTED], "a route that comes with its Upstream never answers 503 in between"
        for each in upstreams():
            gloo.remove(each)
        gloo.remove(objects.virtual_service("first"))
        gloo.settle()
        assert [told[ref] for told in gloo.told if ref in told][1:] == [None], "nor does one that goes with it"
        assert gloo.names(ResourceType.CLUSTER) == set()


def test_only_what_has_changed_is_reported() -> None:
    gloo = Gloo(*upstreams(3))
    gloo.settle()
    gloo.put(objects.upstream("u1", unknownField=1))
    gloo.settle()
    assert list(gloo.told[-1]) == [ObjectRef("Upstream", NAMESPACE, "u1")]
    assert gloo.told[-1][ObjectRef("Upstream", NAMESPACE, "u1")].state is EdgeState.WARNING  # type: ignore[union-attr]
    gloo.remove(objects.upstream("u1"))
    gloo.settle()
    assert gloo.told[-1] == {ObjectRef("Upstream", NAMESPACE, "u1"): None}, "and what is gone"


def test_a_proxy_that_connects_later_gets_everything() -> None:
    gloo = Gloo(*upstreams(3))
    gloo.settle()
    with gloo.cache.session(PROXY, node="envoy"):
        gloo.settle()
        assert len(gloo.names(ResourceType.CLUSTER)) == 3, "though nothing has changed since"
    plain = ProxyKey(role=PROXY.role)
    with gloo.cache.session(plain, node="envoy"):
        gloo.settle()
        assert gloo.cache.snapshot(plain) is not None, "also one that reports were made for before it came"


def test_a_role_that_is_none_gets_no_listener() -> None:
    gloo = Gloo(objects.upstream("blue"), objects.gateway())
    odd = [ProxyKey(role=role) for role in ("gateway-proxy", "~gateway-proxy", "gloo-system~", "")]
    with (
        gloo.cache.session(odd[0], node="a"),
        gloo.cache.session(odd[1], node="b"),
        gloo.cache.session(odd[2], node="c"),
        gloo.cache.session(odd[3], node="d"),
    ):
        gloo.settle()
        for key in odd:
            snapshot = gloo.cache.snapshot(key)
            assert snapshot is not None, "it is answered, so that it does not wait for ever"
            assert not snapshot.listeners.items, "but a proxy is named by its namespace and its name"


async def test_after_a_defect_it_is_tried_again_from_a_clean_slate(monkeypatch: pytest.MonkeyPatch) -> None:
    gloo = Gloo(*upstreams(3))
    original = Translator.update

    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("a defect of the translator itself")

    with gloo.cache.session(PROXY, node="envoy"):
        async with running(gloo.publisher.run()):
            await asyncio.wait_for(gloo.publisher.published.wait(), 5)
            monkeypatch.setattr(Translator, "update", broken)
            gloo.remove(objects.upstream("u0"))
            gloo.put(objects.upstream("u3"))
            await asyncio.sleep(0.1)
            assert gloo.names(ResourceType.CLUSTER) == {f"u{index}_gloo-system" for index in (0, 1, 2)}, "the proxies keep what they have"
            monkeypatch.setattr(Translator, "update", original)
            await eventually(
                lambda: gloo.names(ResourceType.CLUSTER) == {f"u{index}_gloo-system" for index in (1, 2, 3)}, "nothing of the lost changes is missing"
            )
