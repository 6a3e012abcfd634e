"""Routes: where they lead, in which order, and which VirtualServices a Gateway serves."""

from __future__ import annotations

from typing import Any

import pytest
from translation_support import (
    BLUE_CLUSTER,
    NAMESPACE,
    blue,
    http_gateway,
    http_routes,
    report_of,
    route,
    translated,
    upstream,
    virtual_service,
)

from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit


def test_a_route_leads_to_the_cluster_of_its_upstream() -> None:
    host = http_routes(translated(upstream(), http_gateway(), virtual_service())).virtual_hosts[0]
    (only,) = host.routes
    assert list(host.domains) == ["*"], "as written"
    assert only.match.prefix == "/", "as written"
    assert only.route.cluster == BLUE_CLUSTER, "one cluster per Upstream"
    assert not only.route.HasField("retry_policy"), "without failover nothing is retried, as in Gloo"


def test_the_immediate_failure_header_does_not_leave_the_gateway() -> None:
    headers = http_routes(translated(blue(), http_gateway(), virtual_service())).response_headers_to_remove
    assert "x-envoy-immediate-health-check-fail" in headers, "a proxy in front would eject the whole Gateway"


def test_no_virtual_service_is_an_empty_route_configuration() -> None:
    translation = translated(blue(), http_gateway())
    assert not http_routes(translation).virtual_hosts, "a listener whose routes never come would not open"
    assert len(translation.listeners) == 1, "the listener is there and answers 404"


@pytest.mark.parametrize(
    "objects",
    [
        (),
        (
            upstream(
                spec={"kube": {"serviceName": "a", "serviceNamespace": "b", "servicePort": 1}, "static": {"hosts": [{"addr": "10.0.0.1", "port": 1}]}}
            ),
        ),
    ],
)
def test_a_route_to_a_missing_or_rejected_upstream_answers_503_and_the_others_go_on(objects: tuple[Any, ...]) -> None:
    service = virtual_service(route(matchers=[{"prefix": "/x"}]), route("good"))
    translation = translated(*objects, upstream("good"), http_gateway(), service)
    broken, good = http_routes(translation).virtual_hosts[0].routes
    assert broken.direct_response.status == 503, "as a dead Upstream answers"
    assert NAMESPACE not in broken.direct_response.body.inline_string, "names of objects are nobody's business outside"
    assert good.route.cluster == f"good_{NAMESPACE}", "one bad route costs nobody but itself"
    report = report_of(translation, "VirtualService", "default")
    assert report.state is EdgeState.WARNING, "served, but for what is named"
    assert "spec.virtualHost.routes[0].routeAction.single.upstream: Upstream gloo-system/default-service-blue-10000" in report.reason, (
        "field and value"
    )


def test_a_virtual_service_without_domains_is_for_all_of_them() -> None:
    host = http_routes(translated(upstream(), http_gateway(), virtual_service(domains=[]))).virtual_hosts[0]
    assert list(host.domains) == ["*"], "as in Gloo"


def test_a_domain_stays_with_the_older_virtual_service() -> None:
    older = virtual_service(name="zz", meta={"creationTimestamp": "2026-01-01T00:00:00Z"})
    newer = virtual_service(name="aa", meta={"creationTimestamp": "2026-02-01T00:00:00Z"})
    translation = translated(blue(), http_gateway(), older, newer)
    assert [host.name for host in http_routes(translation).virtual_hosts] == ["gloo-system.zz"], "Envoy would refuse all routes"
    report = report_of(translation, "VirtualService", "aa")
    assert report.state is EdgeState.REJECTED, "the newer one gets nothing"
    assert 'spec.virtualHost.domains[0]: "*" is served already by VirtualService gloo-system/zz' in report.reason, "field, value and owner"


def test_routes_keep_their_order_and_each_matcher_is_a_route() -> None:
    service = virtual_service(route(matchers=[{"prefix": "/b"}, {"prefix": "/a"}]), route(matchers=[]))
    prefixes = [item.match.prefix for item in http_routes(translated(upstream(), http_gateway(), service)).virtual_hosts[0].routes]
    assert prefixes == ["/b", "/a", "/"], "the first that matches is taken; without a matcher, every request"


@pytest.mark.parametrize(
    ("choice", "served"),
    [
        ({}, ["gloo-system.a", "gloo-system.b"]),
        ({"virtualServices": [{"name": "b", "namespace": NAMESPACE}]}, ["gloo-system.b"]),
        ({"virtualServiceSelector": {"team": "x"}}, ["gloo-system.a"]),
        ({"virtualServiceSelector": {"team": "x"}, "virtualServices": [{"name": "b", "namespace": NAMESPACE}]}, ["gloo-system.a"]),
        ({"virtualServiceExpressions": {"expressions": [{"key": "team", "operator": "DoesNotExist"}]}}, ["gloo-system.b"]),
        (
            {"virtualServiceExpressions": {"expressions": [{"key": "team", "values": ["x"]}]}, "virtualServiceSelector": {"no": "no"}},
            ["gloo-system.a"],
        ),
        ({"virtualServiceNamespaces": ["other"]}, []),
        ({"virtualServiceNamespaces": ["other"], "virtualServices": [{"name": "b", "namespace": NAMESPACE}]}, ["gloo-system.b"]),
        ({"virtualServiceNamespaces": ["*"]}, ["gloo-system.a", "gloo-system.b"]),
    ],
)
def test_a_gateway_chooses_its_virtual_services(choice: dict[str, Any], served: list[str]) -> None:
    one = virtual_service(name="a", meta={"labels": {"team": "x"}}, domains=["a"])
    two = virtual_service(name="b", domains=["b"])
    hosts = http_routes(translated(blue(), http_gateway(httpGateway=choice), one, two)).virtual_hosts
    assert [host.name for host in hosts] == served, "more than was asked for must not be served"
