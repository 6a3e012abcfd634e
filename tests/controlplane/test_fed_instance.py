"""What a cluster looks like from outside: addresses, region, zones (`controlplane.fed.instance`)."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.fed.instance import Found, instance_spec

pytestmark = pytest.mark.unit

LABELS = {"gateway-proxy": "live", "gateway-proxy-id": "gateway-proxy", "gloo": "gateway-proxy"}


def deployment(name: str, *, labels: dict[str, str], image: str = "envoyproxy/envoy:v1.40.0") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "gloo-system", "name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"image": image}]}},
        },
        "status": {"availableReplicas": 1, "readyReplicas": 1},
    }


def service(name: str = "failover", *, type_: str = "LoadBalancer", ingress: list[dict[str, str]] | None = None, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "failover", "port": 15443, "nodePort": 32000}]
    return {
        "metadata": {"namespace": "gloo-system", "name": name},
        "spec": {"type": type_, "selector": {"gateway-proxy": "live"}, "ports": ports, **spec},
        "status": {"loadBalancer": {"ingress": ingress} if ingress else {}},
    }


def node(name: str, *, region: str = "us-east-1", zone: str = "us-east-1c", ready: str = "True", **addresses: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone}},
        "status": {
            "addresses": [{"type": type_, "address": address} for type_, address in addresses.items()],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


PROXY = deployment("gateway-proxy", labels=LABELS)


def endpoints(*services: dict[str, Any], nodes: tuple[dict[str, Any], ...] = ()) -> list[dict[str, Any]]:
    spec = instance_spec(Found(deployments=[PROXY], services=services, nodes=nodes), cluster="remote", namespace="gloo-system")
    assert spec is not None, "there is a proxy"
    return spec["proxies"][0]["ingressEndpoints"]


def test_a_load_balancer_is_reached_at_its_address_and_port():
    assert endpoints(service(ingress=[{"ip": "10.78.192.1"}])) == [
        {"address": "10.78.192.1", "serviceName": "failover", "ports": [{"port": 15443, "name": "failover"}]}
    ]


def test_a_load_balancer_may_have_a_host_name():
    assert endpoints(service(ingress=[{"hostname": "lb.example"}]))[0]["address"] == "lb.example"


def test_a_load_balancer_without_an_address_is_not_reached_yet():
    assert endpoints(service(), nodes=(node("n", InternalIP="10.0.0.1"),)) == [], "its node port is no promise of a load balancer"


def test_a_node_port_is_reached_at_every_ready_node_outside_address_first():
    found = endpoints(
        service(type_="NodePort"),
        nodes=(
            node("a", InternalIP="10.0.0.1"),
            node("b", InternalIP="10.0.0.2", ExternalIP="203.0.113.2"),
            node("c", ready="False", InternalIP="10.0.0.3"),
        ),
    )
    assert [(each["address"], each["ports"][0]["port"]) for each in found] == [("10.0.0.1", 32000), ("203.0.113.2", 32000)]


def test_services_of_other_pods_and_inner_services_give_no_address():
    assert endpoints(service(selector={"app": "other"}, ingress=[{"ip": "10.0.0.9"}])) == [], "it does not lead to the proxy"
    assert endpoints(service(selector={}, ingress=[{"ip": "10.0.0.9"}])) == [], "a Service without a selector leads to nobody known"
    assert endpoints(service(type_="ClusterIP")) == [], "it cannot be reached from outside"


def test_region_zone_replicas_and_versions_are_described():
    pod = {"metadata": {"namespace": "gloo-system", "name": "p", "labels": LABELS}, "spec": {"nodeName": "n"}}
    found = Found(
        deployments=[PROXY, deployment("gloo", labels={"app": "gloo"}, image="registry.example:5000/controlplane:0.1.0@sha256:00")],
        pods=[pod],
        nodes=[node("n"), node("other", zone="us-east-1d")],
    )
    spec = instance_spec(found, cluster="remote", namespace="gloo-system")
    assert spec is not None
    assert (spec["cluster"], spec["region"]) == ("remote", "us-east-1")
    assert spec["controlPlane"] == {"namespace": "gloo-system", "version": "0.1.0"}
    proxy = spec["proxies"][0]
    assert proxy["zones"] == ["us-east-1c"], "only the zones that its pods are in"
    assert (proxy["version"], proxy["replicas"], proxy["readyReplicas"]) == ("v1.40.0", 2, 1)


def test_a_cluster_without_gloo_is_no_instance():
    assert instance_spec(Found(deployments=[deployment("web", labels={"app": "web"})]), cluster="c", namespace="gloo-system") is None
