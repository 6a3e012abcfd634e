"""Discovery of Upstreams: the decisions (pure), and that they are carried out whoever comes first (against an API double)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support_api import ApiDouble, api_double, eventually, running

from controlplane.gloo import discoverer as discoverer_module
from controlplane.gloo.discoverer import Discoverer
from controlplane.gloo.discovery import MANAGER, Action, Target, Targets, decide
from controlplane.gloo.kinds import UPSTREAM
from controlplane.kube.objects import SERVICE
from controlplane.kube.view import ClusterView

pytestmark = pytest.mark.loopback

NAMESPACE = "gloo-system"
NAME = "default-service-blue-10000"
BLUE = ("default", "service-blue")
TARGET = Target(service="service-blue", namespace="default", port=10000)


def service(name: str = "service-blue", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "default", "name": name}, "spec": {"ports": [{"port": 10000, "protocol": "TCP"}], **spec}}


def upstream(*, managers: dict[str, dict[str, Any]], spec: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "gloo-system",
            "name": NAME,
            "labels": {"discovered_by": "kubernetesplugin"},
            "managedFields": [{"manager": name, "fieldsV1": fields} for name, fields in managers.items()],
        },
        "spec": {"kube": TARGET.spec} if spec is None else spec,
    }


OURS = {MANAGER: {"f:spec": {"f:kube": {}}}}
USERS = {"kubectl-patch": {"f:spec": {"f:healthChecks": {}}}}


def test_every_tcp_port_of_a_service_is_an_upstream_named_after_it():
    ports = [{"port": 10000}, {"port": 19000, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    targets = Targets(namespace="gloo-system")
    assert targets.put(BLUE, service(ports=ports)) == {(NAMESPACE, NAME), (NAMESPACE, "default-service-blue-19000")}
    assert targets[(NAMESPACE, NAME)] == TARGET


def test_an_external_name_is_no_upstream():
    targets = Targets(namespace="gloo-system")
    targets.put(BLUE, service(type="ExternalName"))
    assert not targets, "it has no endpoints in the cluster"


def test_a_change_of_a_service_concerns_what_it_changes():
    targets = Targets(namespace="gloo-system")
    targets.put(BLUE, service(ports=[{"port": 10000}, {"port": 19000}]))
    assert targets.put(BLUE, service(ports=[{"port": 10000, "name": "other"}, {"port": 19000}])) == set(), "a name of a port is not ours"
    assert targets.put(BLUE, service(ports=[{"port": 10000}])) == {(NAMESPACE, "default-service-blue-19000")}, "a port that is gone is"
    assert targets.put(BLUE, None) == {(NAMESPACE, NAME)}, "and a Service that is gone"
    assert not targets


def test_of_two_services_that_yield_one_name_the_first_has_it():
    first, second = ("a", "b-c"), ("a-b", "c")
    name = (NAMESPACE, "a-b-c-1")
    targets = Targets(namespace="gloo-system")
    assert targets.put(second, in_namespace("a-b", "c")) == {name}
    assert targets.put(first, in_namespace("a", "b-c")) == {name}, "whoever comes first"
    assert targets[name].service == "b-c"
    assert targets.put(second, None) == set(), "the other one changes nothing"
    targets.put(second, in_namespace("a-b", "c"))
    assert targets.put(first, None) == {name}
    assert targets[name].service == "c", "and gets it when the first is gone"


def in_namespace(namespace: str, name: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"ports": [{"port": 1}]}}


@pytest.mark.parametrize(
    ("observed", "expected", "why"),
    [
        (None, Action.APPLY, "it is missing"),
        (upstream(managers=OURS), Action.KEEP, "it is as it should be"),
        (upstream(managers=OURS | USERS), Action.KEEP, "what others own in it is theirs"),
        (upstream(managers={"pulumi": {"f:spec": {"f:kube": {}}}}), Action.APPLY, "the program made it first: discovery joins as an owner"),
        (upstream(managers=OURS, spec={"kube": {"serviceName": "other"}}), Action.APPLY, "it says something else"),
    ],
)
def test_what_to_do_while_the_service_is_there(observed, expected: Action, why: str):
    assert decide(TARGET, observed) is expected, why


@pytest.mark.parametrize(
    ("observed", "expected", "why"),
    [
        (None, Action.KEEP, "there is nothing to remove"),
        (upstream(managers=OURS), Action.DELETE, "discovery made it and nobody else uses it"),
        (upstream(managers=OURS | USERS), Action.KEEP, "somebody else owns fields in it"),
        (
            upstream(managers=OURS | {"gloo-fed": {"f:spec": {"f:failover": {}}}}),
            Action.KEEP,
            "its failover is what serves now that the Service is gone",
        ),
        (upstream(managers={"pulumi": {"f:spec": {"f:kube": {}}}}), Action.KEEP, "discovery did not make it"),
    ],
)
def test_what_to_do_when_the_service_is_gone(observed, expected: Action, why: str):
    assert decide(None, observed) is expected, why


@asynccontextmanager
async def discovering(api: ApiDouble):
    client = api.client()
    view = ClusterView(client, on_change=lambda kind, key: discoverer.changed(kind, key))
    view.watch(SERVICE, status=False)
    view.watch(UPSTREAM, status=False, keep_managers=True)
    discoverer = Discoverer(view=view, writer=client, namespace="gloo-system")
    async with running(view.run()):
        await asyncio.wait_for(view.synced(), 5)
        async with running(discoverer.run()):
            yield discoverer


def writes(api: ApiDouble) -> list[str]:
    return [method for method, _ in api.requests if method != "GET"]


async def test_a_service_becomes_an_upstream_and_goes_with_it():
    async with api_double() as api, discovering(api):
        await api.put(SERVICE, "default", "service-blue", spec=service()["spec"])
        made = await eventually(lambda: api.get(UPSTREAM, "gloo-system", NAME), "it is discovered")
        assert made["spec"] == {"kube": {"serviceName": "service-blue", "serviceNamespace": "default", "servicePort": 10000}}, "nothing but spec.kube"
        assert made["metadata"]["labels"] == {"discovered_by": "kubernetesplugin"}
        await api.remove(SERVICE, "default", "service-blue")
        await eventually(lambda: api.get(UPSTREAM, "gloo-system", NAME) is None, "it goes with its Service")
        assert writes(api) == ["PATCH", "DELETE"], "one write each, no loop"


async def test_what_others_add_to_a_discovered_upstream_stays():
    async with api_double() as api, discovering(api) as discoverer:
        await api.put(SERVICE, "default", "service-blue", spec=service()["spec"])
        made = await eventually(lambda: api.get(UPSTREAM, "gloo-system", NAME), "it is discovered")
        await api.put(UPSTREAM, "gloo-system", NAME, manager="kubectl-patch", spec={**made["spec"], "healthChecks": [{"timeout": "1s"}]})
        await api.put(SERVICE, "default", "service-blue", spec={"ports": [{"port": 10000}, {"port": 1}]})
        await eventually(lambda: api.get(UPSTREAM, "gloo-system", "default-service-blue-1"), "the other port is discovered")
        assert "healthChecks" in api.get(UPSTREAM, "gloo-system", NAME)["spec"], "discovery does not touch what it does not own"
        await api.remove(SERVICE, "default", "service-blue")
        await eventually(lambda: api.get(UPSTREAM, "gloo-system", "default-service-blue-1") is None, "the one that is only discovery's goes")
        await eventually(lambda: discoverer.idle, "all is done")
        assert api.get(UPSTREAM, "gloo-system", NAME), "the other one has another owner now"


async def test_the_program_may_create_the_upstream_first():
    async with api_double() as api:
        await api.put(UPSTREAM, "gloo-system", NAME, manager="pulumi", spec={"kube": TARGET.spec, "healthChecks": [{"timeout": "1s"}]})
        async with discovering(api) as discoverer:
            await api.put(SERVICE, "default", "service-blue", spec=service()["spec"])
            await eventually(lambda: "labels" in api.get(UPSTREAM, "gloo-system", NAME)["metadata"], "discovery joins")
            assert "healthChecks" in api.get(UPSTREAM, "gloo-system", NAME)["spec"], "and changes nothing that is there"
            await api.remove(SERVICE, "default", "service-blue")
            await eventually(lambda: discoverer.idle, "all is done")
            assert api.get(UPSTREAM, "gloo-system", NAME), "who made it takes it away"


async def test_an_upstream_that_is_deleted_comes_back_after_a_while(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(discoverer_module, "RETURN_SECONDS", 1.0)
    async with api_double() as api, discovering(api):
        await api.put(SERVICE, "default", "service-blue", spec=service()["spec"])
        await eventually(lambda: api.get(UPSTREAM, "gloo-system", NAME), "it is discovered")
        await api.remove(UPSTREAM, "gloo-system", NAME)
        await asyncio.sleep(0.1)
        assert api.get(UPSTREAM, "gloo-system", NAME) is None, "who deletes it can see it gone"
        await eventually(lambda: api.get(UPSTREAM, "gloo-system", NAME), "but the Service is still there")
