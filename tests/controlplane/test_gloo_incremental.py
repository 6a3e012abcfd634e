"""A change costs what it changes, and comes to the same as translating everything anew."""

from __future__ import annotations

from typing import Any

import pytest
import support_objects as objects
from support_incremental import PROXY, TYPES, Cluster, present
from support_objects import NAMESPACE, Object, place

from controlplane.gloo.kinds import UPSTREAM, VIRTUAL_SERVICE
from controlplane.kube.objects import SECRET
from controlplane.translation import layers
from controlplane.translation.results import Resources
from controlplane.translation.types import Key, ObjectRef

pytestmark = pytest.mark.unit


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(
        objects.checked("blue"),
        objects.upstream("green"),
        *(make(name) for make in (objects.service, objects.endpoint_slice) for name in ("blue", "green")),
        objects.secret("client"),
        objects.secret("server", objects.SECOND),
        objects.gateway(),
        objects.tcp_gateway(),
        objects.virtual_service("first", objects.to("blue"), domain="a.example.com"),
        objects.virtual_service("second", objects.to("green"), domain="b.example.com"),
    )


def named(changes: Resources[bytes]) -> dict[str, set[str]]:
    return {each: set(getattr(changes, each)) for each in TYPES if getattr(changes, each)}


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the Upstreams and VirtualServices that are translated from now on."""
    seen: list[str] = []
    for what in ("translate_upstream", "virtual_host"):
        original = getattr(layers, what)
        monkeypatch.setattr(layers, what, lambda obj, original=original, **more: (seen.append(obj.metadata.name), original(obj, **more))[1])
    return seen


def test_a_change_of_endpoints_translates_their_upstream_alone(cluster: Cluster, translated: list[str]) -> None:
    sent = cluster.put(objects.endpoint_slice("blue", "10.77.0.99"))
    assert translated == ["blue"], "its routes and every other Upstream stay as they are"
    assert sent.endpoints["blue_gloo-system"] is not None, "the endpoints go out"
    assert set(named(sent)) <= {"clusters", "endpoints"}, "and no listener, route or secret"


def test_a_change_of_an_upstream_leaves_its_routes_alone(cluster: Cluster, translated: list[str]) -> None:
    before = cluster.has[PROXY].clusters["blue_gloo-system"]
    sent = cluster.put(objects.checked("blue", interval="2s"))
    assert translated == ["blue"], "a route depends on whether the Upstream can be used, not on how it is checked"
    assert sent.clusters["blue_gloo-system"] != before, "the cluster goes out"


def test_a_route_follows_its_upstream_in_what_matters_to_it(cluster: Cluster, translated: list[str]) -> None:
    sent = cluster.put(objects.upstream("blue"))
    assert sorted(translated) == ["blue", "first"], "without failover its routes retry otherwise"
    assert "routes" in named(sent)
    cluster.remove((UPSTREAM, NAMESPACE, "blue"))
    assert cluster.state_of("VirtualService", "first") == "Warning", "a route without its Upstream is reported"
    cluster.put(objects.checked("blue"))
    assert cluster.state_of("VirtualService", "first") == "Accepted", "and comes back with it"


def test_a_virtual_service_changes_its_gateways_routes_alone(cluster: Cluster, translated: list[str]) -> None:
    sent = cluster.put(objects.virtual_service("second", objects.to("blue"), domain="b.example.com"))
    assert translated == ["second"], "the other virtual host is put in as it was"
    assert named(sent) == {"routes": {"listener-::-8080-routes"}}


@pytest.mark.parametrize(
    ("newest", "names"),
    [
        (objects.secret("client", objects.SECOND), {"gloo-system/client"}),
        (objects.secret("client", ca=objects.AUTHORITY.pem + objects.NEXT_AUTHORITY.pem), {"gloo-system/client/ca"}),
    ],
    ids=["leaf", "two authorities"],
)
def test_a_rotated_secret_changes_no_cluster_and_no_listener(cluster: Cluster, translated: list[str], newest: Object, names: set[str]) -> None:
    sent = cluster.put(newest)
    assert named(sent) == {"secrets": names}, "what is new goes out by SDS, so that no connection is closed"
    assert translated == [], "and nothing is even translated"


def test_a_secret_that_no_proxy_would_take_leaves_the_one_before_in_use(cluster: Cluster) -> None:
    sent = cluster.put(objects.secret("client", objects.FIRST, key=objects.SECOND.key))
    assert named(sent) == {}, "half of a rotation changes nothing"
    assert cluster.state_of("Upstream", "blue") == "Warning", "who uses it is told"
    assert "tls.key is not the key" in cluster.reports[ObjectRef("Upstream", NAMESPACE, "blue")].reason, "why the newer one is not used"
    cluster.put(objects.secret("client", objects.SECOND))
    assert cluster.state_of("Upstream", "blue") == "Accepted", "the other half ends it"


def test_a_secret_goes_when_nothing_uses_it(cluster: Cluster) -> None:
    sent = cluster.put(objects.upstream("blue"))
    assert sent.secrets == {"gloo-system/client": None, "gloo-system/client/ca": None}, "a key that is not needed does not stay with a proxy"
    assert cluster.inputs.now.secrets.keys() >= {Key(NAMESPACE, "client")}, "though the Secret is still there"


def test_one_translation_that_raises_costs_its_object_alone(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    original = layers.translate_upstream

    def broken(upstream: Any, **more: Any) -> Any:
        if upstream.metadata.name == "blue":
            raise IndexError("a defect; text that could quote a secret")
        return original(upstream, **more)

    monkeypatch.setattr(layers, "translate_upstream", broken)
    blue = cluster.has[PROXY].clusters["blue_gloo-system"]
    sent = cluster.change({place(each): each for each in (objects.checked("blue", interval="2s"), objects.checked("green"))})[PROXY]
    assert "green_gloo-system" in sent.clusters, "every other object goes on"
    assert cluster.has[PROXY].clusters["blue_gloo-system"] == blue, "what it gave last stays"
    assert cluster.defects == [ObjectRef("Upstream", NAMESPACE, "blue")], "the log is told"
    reason = cluster.reports[ObjectRef("Upstream", NAMESPACE, "blue")].reason
    assert "internal error" in reason, "and so is the status"
    assert "secret" not in reason, "without the error's own text"
    monkeypatch.setattr(layers, "translate_upstream", original)
    assert cluster.put(objects.checked("blue", interval="3s")).clusters["blue_gloo-system"] != blue, "the next version is tried again"
    assert cluster.state_of("Upstream", "blue") == "Accepted"


@pytest.mark.parametrize(("what", "ref"), [("virtual_host", "VirtualService first"), ("translate_gateway", "Gateway http")])
def test_a_route_or_gateway_that_raises_keeps_what_serves(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, what: str, ref: str) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a defect")

    before = present(cluster.has[PROXY])
    monkeypatch.setattr(layers if what == "virtual_host" else layers.listener, what, broken)
    cluster.put(objects.virtual_service("first", objects.to("green"), domain="a.example.com"))
    assert present(cluster.has[PROXY]) == before, "the last version of the route stays"
    kind, name = ref.split()
    assert "internal error" in cluster.reports[ObjectRef(kind, NAMESPACE, name)].reason


def test_an_object_that_is_not_valid_leaves_the_version_before(cluster: Cluster) -> None:
    changed = cluster.inputs.read(UPSTREAM, Key(NAMESPACE, "blue"), objects.upstream("blue", healthChecks=[{"timeout": "soon"}]))
    assert changed == set(), "nothing of it reaches the translation"
    assert cluster.inputs.problems(ObjectRef("Upstream", NAMESPACE, "blue"))[0].path == "spec.healthChecks[0].timeout"
    assert cluster.inputs.now.upstreams[Key(NAMESPACE, "blue")].spec.failover is not None, "the last valid version is still there"


@pytest.mark.parametrize("value", [{"metadata": {}}, {"spec": 7, "metadata": {}}, {"metadata": {"labels": 3}}])
def test_an_object_that_cannot_be_read_costs_nobody_else(cluster: Cluster, value: Object) -> None:
    for kind in (VIRTUAL_SERVICE, UPSTREAM, SECRET):
        cluster.inputs.read(kind, Key(NAMESPACE, "odd"), {"kind": kind.kind, **value})
    assert set(cluster.inputs.now.upstreams) >= {Key(NAMESPACE, "blue"), Key(NAMESPACE, "green")}, "whatever the API server let through"


def test_the_users_of_a_secret_are_known(cluster: Cluster) -> None:
    assert cluster.translator.users_of(Key(NAMESPACE, "client")) == {ObjectRef("Upstream", NAMESPACE, "blue")}
    assert cluster.translator.users_of(Key(NAMESPACE, "server")) == {ObjectRef("Gateway", NAMESPACE, "failover")}
