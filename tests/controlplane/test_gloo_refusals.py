"""Whom it concerns when an Envoy refuses something (`controlplane.gloo.refusals`)."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.gloo.refusals import refusals
from controlplane.translation.types import GlooInputs, Key, ObjectRef, TlsSecret
from controlplane.xds.cache import ProxyKey
from controlplane.xds.nack import Rejection
from controlplane.xds.resources import ResourceType
from gloo_api.gateway import Gateway
from gloo_api.upstream import Upstream
from gloo_api.virtual_service import VirtualService

pytestmark = pytest.mark.unit

PROXY = ProxyKey(role="gloo-system~gateway-proxy", bind_address="127.77.0.9")


def named(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"namespace": "gloo-system", "name": name}, "spec": spec}


def key(name: str) -> Key:
    return Key("gloo-system", name)


TCP = {"tcpHosts": [{"name": "failover", "destination": {"forwardSniClusterName": {}}}]}
INPUTS = GlooInputs(
    upstreams={key(name): Upstream.parse(named(name, {"static": {"hosts": [{"addr": "10.0.0.1", "port": 1}]}})) for name in ("blue", "green")},
    gateways={
        key("http"): Gateway.parse(named("http", {"bindAddress": "::", "bindPort": 8080, "httpGateway": {}})),
        key("failover-gateway"): Gateway.parse(named("failover-gateway", {"bindAddress": "::", "bindPort": 15443, "tcpGateway": TCP})),
        key("other"): Gateway.parse(named("other", {"bindAddress": "::", "bindPort": 8080, "httpGateway": {}, "proxyNames": ["other"]})),
    },
    secrets={key("client"): TlsSecret(), key("server"): TlsSecret()},
    virtual_services={key("default"): VirtualService.parse(named("default", {"virtualHost": {"domains": ["*"], "routes": []}}))},
)


USERS = {key("client"): {ObjectRef("Upstream", "gloo-system", "blue")}, key("server"): {ObjectRef("Gateway", "gloo-system", "failover-gateway")}}


def concerned(type_: ResourceType, name: str | None) -> list[ObjectRef]:
    found = refusals({PROXY: [Rejection(type=type_, name=name, message="no")]}, inputs=INPUTS, users_of=lambda secret: USERS[secret])
    assert all(texts == {"proxy gloo-system~gateway-proxy refuses this: no"} for texts in found.values()), "the text has the proxy and Envoy's words"
    return sorted(found)


def test_a_cluster_and_its_endpoints_concern_their_upstream():
    assert concerned(ResourceType.CLUSTER, "blue_gloo-system") == [ObjectRef("Upstream", "gloo-system", "blue")]
    assert concerned(ResourceType.ENDPOINT, "green_gloo-system") == [ObjectRef("Upstream", "gloo-system", "green")]


def test_a_listener_concerns_its_gateway():
    assert concerned(ResourceType.LISTENER, "listener-::-15443") == [ObjectRef("Gateway", "gloo-system", "failover-gateway")]


def test_routes_concern_the_gateway_of_the_proxy_and_what_it_serves():
    assert concerned(ResourceType.ROUTE, "listener-::-8080-routes") == [
        ObjectRef("Gateway", "gloo-system", "http"),
        ObjectRef("VirtualService", "gloo-system", "default"),
    ], "and no Gateway of another proxy, though it has the same port"


@pytest.mark.parametrize("name", ["gloo-system/client", "gloo-system/client/ca"])
def test_a_secret_concerns_who_uses_it(name: str):
    assert concerned(ResourceType.SECRET, name) == [ObjectRef("Upstream", "gloo-system", "blue")], "the certificate as well as the authority"


def test_a_refusal_without_a_culprit_concerns_all_of_its_kind():
    assert len(concerned(ResourceType.CLUSTER, None)) == 2, "one of them is to blame, and nothing changes until it is found"


def test_a_resource_that_nobody_owns_concerns_nobody():
    assert concerned(ResourceType.CLUSTER, "gone_gloo-system") == []
