"""Which endpoints an Upstream has: ready ones, realised, in a stable order."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from translation_support import BLUE, BLUE_CLUSTER, blue, cluster_of, endpoint_slice, failover, kube, lb_endpoint, report_of, translated, upstream

from controlplane.translation.types import EndpointSlice, Key, Service, Translation
from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit


def pod(number: int, **conditions: Any) -> dict[str, Any]:
    return {"addresses": [f"10.77.0.{number}"], "conditions": conditions}


def addresses(translation: Translation, *, priority: int = 0) -> list[str]:
    groups = (group for group in translation.endpoints[BLUE_CLUSTER].endpoints if group.priority == priority)
    found = [endpoint.endpoint.address.socket_address for group in groups for endpoint in group.lb_endpoints]
    return [f"{address.address}:{address.port_value}" for address in found]


def with_slices(*slices: EndpointSlice, **more: Any) -> Translation:
    return translated(blue(), endpoint_slices={Key("default", f"service-blue-{index}"): item for index, item in enumerate(slices)}, **more)


def test_addresses_are_those_that_a_socket_can_open() -> None:
    translation = translated(blue())
    assert addresses(translation) == ["127.77.0.12:10000"], "the API holds 10.x, the socket needs the realised address"
    assert addresses(translation, priority=1) == ["127.78.192.1:15443"], "so do failover addresses"


def test_only_ready_endpoints_serve() -> None:
    found = with_slices(endpoint_slice(pod(1, ready=True), pod(2, ready=False), pod(3), pod(4, ready=False, serving=True, terminating=True)))
    assert addresses(found) == ["127.77.0.1:10000", "127.77.0.3:10000"], "a condition that is not stated counts as ready"


def test_endpoints_that_still_serve_while_they_end_are_used_when_none_is_ready() -> None:
    slices = endpoint_slice(
        pod(1, ready=False), pod(2, ready=False, serving=True, terminating=True), pod(3, ready=False, serving=False, terminating=True)
    )
    assert addresses(with_slices(slices)) == ["127.77.0.2:10000"], "as kube-proxy does: better than nothing, and it still answers"


def test_the_order_of_slices_changes_nothing() -> None:
    one, two = endpoint_slice(pod(1), pod(2)), endpoint_slice(pod(2), pod(3))
    assert with_slices(one, two).endpoint_versions == with_slices(two, one).endpoint_versions, "an order that changes would be sent again and again"
    assert addresses(with_slices(one, two)) == ["127.77.0.1:10000", "127.77.0.2:10000", "127.77.0.3:10000"], "a pod in two slices counts once"


def test_a_dual_stack_service_counts_each_pod_once() -> None:
    six = endpoint_slice({"addresses": ["fd00::1"]}, addressType="IPv6")
    assert addresses(with_slices(six, endpoint_slice(pod(1)))) == ["127.77.0.1:10000"], "the Service's first family is used"


def test_the_port_is_found_by_the_name_of_the_services_port() -> None:
    assert addresses(with_slices(endpoint_slice(pod(1), port=8888))) == ["127.77.0.1:8888"], "the pod's port, not the Service's"


def test_slices_of_another_service_are_not_touched() -> None:
    assert addresses(with_slices(endpoint_slice(pod(1), color="green"))) == [], "the label says whose slice it is"


def test_a_failover_takes_over_when_there_is_no_endpoint() -> None:
    translation = with_slices()
    assert [group.priority for group in translation.endpoints[BLUE_CLUSTER].endpoints] == [0, 1], "priority 0 keeps its place"


@pytest.mark.parametrize(
    ("services", "why"),
    [
        ({}, "spec.kube.serviceName: Service default/service-blue does not exist"),
        ({Key("default", "service-blue"): Service(port_names={80: ""})}, "spec.kube.servicePort: 10000 is no TCP port"),
        ({Key("default", "service-blue"): Service(port_names={}, external_name="a.b")}, "is an ExternalName"),
    ],
)
def test_a_service_that_cannot_serve_is_warned_about_and_the_failover_goes_on(services: dict[Key, Service], why: str) -> None:
    translation = translated(blue(), services=services)
    assert why in report_of(translation, "Upstream", BLUE).reason, "field and reason are named"
    assert addresses(translation, priority=1), "a Service that is gone is what failover is for"


def test_a_selector_may_only_repeat_the_services_own() -> None:
    same = upstream(spec={"kube": {**kube("blue"), "selector": {"text": "blue"}}})
    assert report_of(translated(same), "Upstream", BLUE).state is EdgeState.ACCEPTED, "Gloo's discovery writes it"
    part = upstream(spec={"kube": {**kube("blue"), "selector": {"version": "2"}}})
    assert report_of(translated(part), "Upstream", BLUE).state is EdgeState.REJECTED, "ignored, it would send requests to other pods than asked for"


def test_static_hosts_by_address_use_eds_and_by_name_use_dns() -> None:
    hosts = [{"addr": "10.77.0.1", "port": 80, "loadBalancingWeight": 3}, {"addr": "10.77.0.2", "port": 80}]
    translation = translated(upstream(spec={"static": {"hosts": hosts}}))
    assert addresses(translation) == ["127.77.0.1:80", "127.77.0.2:80"], "static hosts are realised, too"
    first = translation.endpoints[BLUE_CLUSTER].endpoints[0].lb_endpoints[0]
    assert first.load_balancing_weight.value == 3, "as written"
    named = cluster_of(translated(upstream(spec={"static": {"hosts": [{"addr": "example.com", "port": 80}]}})))
    assert named.type == Cluster.STRICT_DNS, "Envoy resolves names"


def test_an_endpoints_own_health_check_settings_arrive_and_an_empty_one_is_not_sent() -> None:
    def check(given: dict[str, Any] | None) -> Any:
        more = {} if given is None else {"healthCheckConfig": given}
        translation = translated(blue(failover=failover(lb_endpoint(**more))))
        return translation.endpoints[BLUE_CLUSTER].endpoints[1].lb_endpoints[0].endpoint

    assert check({"hostname": "green", "portValue": 9}).health_check_config.hostname == "green", "as written"
    assert check({"portValue": 9}).health_check_config.port_value == 9, "as written"
    for nothing in (None, {}):
        assert not check(nothing).HasField("health_check_config"), "an empty one was a bug of Gloo (kgateway#7414)"


@pytest.mark.parametrize("field", [("path", "/x", "/health"), ("method", "POST", "GET")])
def test_a_check_of_its_own_per_endpoint_is_reported_unless_it_is_that_of_all(field: tuple[str, str, str]) -> None:
    name, other, same = field

    def reason(value: str) -> str:
        return report_of(translated(blue(failover=failover(lb_endpoint(healthCheckConfig={name: value})))), "Upstream", BLUE).reason

    where = "spec.failover.prioritizedLocalities[0].localityEndpoints[0].lbEndpoints[0].healthCheckConfig"
    assert reason(other) == f'{where}.{name}: "{other}" has no effect: Envoy has one {name} for all endpoints, here {same}', "Envoy has no such field"
    assert reason(same) == "", "it is what happens"


def test_localities_arrive() -> None:
    place = {"lbEndpoints": [lb_endpoint()], "locality": {"region": "us-east-1", "zone": "c", "subZone": "d"}}
    translation = translated(blue(failover={"prioritizedLocalities": [{"localityEndpoints": [place]}]}))
    locality = translation.endpoints[BLUE_CLUSTER].endpoints[1].locality
    assert (locality.region, locality.zone, locality.sub_zone) == ("us-east-1", "c", "d"), "metrics by zone say who served"


@pytest.mark.parametrize("places", [({}, {}), ({"region": "r"}, {"region": "r"})])
def test_weighted_groups_in_one_place_keep_a_weight_each(places: tuple[dict[str, str], ...]) -> None:
    groups = [
        {"lbEndpoints": [lb_endpoint(f"10.78.192.{n}")], "locality": place, "loadBalancingWeight": n} for n, place in zip((1, 3), places, strict=True)
    ]
    given = {"prioritizedLocalities": [{"localityEndpoints": groups}]}
    translation = translated(blue(failover=given, loadBalancerConfig={"localityWeightedLbConfig": {}}))
    _, one, two = translation.endpoints[BLUE_CLUSTER].endpoints
    assert (one.load_balancing_weight.value, two.load_balancing_weight.value) == (1, 3), "as written"
    assert one.locality != two.locality, "Envoy makes one of two in the same place, with the weight of the last"
    assert one.locality.region == two.locality.region, "the place itself stays"


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ([{"lbEndpoints": [lb_endpoint(f"10.78.192.{n}", loadBalancingWeight=2**31) for n in (1, 2)]}], "localityEndpoints[0].lbEndpoints"),
        ([{"lbEndpoints": [lb_endpoint(f"10.78.192.{n}")], "loadBalancingWeight": 2**31} for n in (1, 2)], "localityEndpoints"),
    ],
)
def test_weights_that_overflow_are_refused(given: list[dict[str, Any]], path: str) -> None:
    report = report_of(translated(blue(failover={"prioritizedLocalities": [{"localityEndpoints": given}]})), "Upstream", BLUE)
    assert report.state is EdgeState.REJECTED, "Envoy would refuse the endpoints"
    assert f"spec.failover.prioritizedLocalities[0].{path}: the values of loadBalancingWeight add up to {2**32}" in report.reason, "field and value"


def test_a_priority_without_endpoints_keeps_its_place() -> None:
    given = {"prioritizedLocalities": [{"localityEndpoints": []}, *failover(lb_endpoint())["prioritizedLocalities"]]}
    priorities = [group.priority for group in translated(blue(failover=given)).endpoints[BLUE_CLUSTER].endpoints]
    assert priorities == [0, 1, 2], "an endpoint that moves up must prove its health again (envoy#35243)"
