"""The objects that the guide has its reader type: equal to the guide's, and where they are not, for a reason that is stated here."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from program_recorder import Recorder
from program_runs import InCluster

from gloo_api import failover_scheme, gateway, upstream, virtual_service
from service_failover import envoy
from service_failover.addressing import EMBEDDED
from service_failover.apps import HealthFilter
from service_failover.bluegreen_app import BlueGreenApp, BlueGreenAppArgs
from service_failover.failover_gateway import FailoverGateway
from service_failover.failover_scheme import FailoverScheme, FailoverSchemeArgs
from service_failover.route import Route
from service_failover.upstream import HealthCheckedUpstream, HealthCheckedUpstreamArgs

pytestmark = pytest.mark.unit

CHECK: HealthCheckedUpstreamArgs = {
    "service_namespace": "default",
    "service_name": "service-blue",
    "service_port": 10000,
    "path": "/health",
    "interval": "1s",
    "timeout": "1s",
}


SCHEME: FailoverSchemeArgs = {
    "primary": {"cluster": "local", "upstream": "default-service-blue-10000"},
    "tiers": [[{"cluster": "remote", "upstreams": ["default-service-green-10000"]}]],
}


@pytest.fixture(scope="module")
def blue(in_cluster: InCluster) -> Recorder:
    args: BlueGreenAppArgs = {"color": "blue", "addressing": EMBEDDED, "health_filter": HealthFilter.EVERYTHING}
    return in_cluster(lambda options: BlueGreenApp("blue", args, options))


@pytest.fixture(scope="module")
def failover(in_cluster: InCluster) -> Recorder:
    arguments = {"server_names": ["default-service-green-10000_gloo-system"], "client_identities": ["gateway-proxy.local"]}
    return in_cluster(lambda options: FailoverGateway("gateway", arguments, options))  # type: ignore[arg-type]


def containers(program: Recorder) -> dict[str, dict[str, Any]]:
    (deployment,) = program.of_kind("Deployment")
    return {container["name"]: container for container in deployment.inputs["spec"]["template"]["spec"]["containers"]}


def test_the_failover_gateway_is_the_guides(failover: Recorder) -> None:
    spec = failover.one("Gateway", "failover-gateway").inputs["spec"]
    assert (spec["bindAddress"], spec["bindPort"]) == ("::", 15443)
    (host,) = spec["tcpGateway"]["tcpHosts"]
    assert host["name"] == "failover"
    assert host["destination"] == {"forwardSniClusterName": {}}
    assert host["sslConfig"]["secretRef"] == {"name": "failover-downstream", "namespace": "gloo-system"}


def test_the_failover_gateway_serves_listed_names_to_listed_clients(failover: Recorder) -> None:
    (host,) = failover.one("Gateway", "failover-gateway").inputs["spec"]["tcpGateway"]["tcpHosts"]
    assert host["sslConfig"]["sniDomains"] == ["default-service-green-10000_gloo-system"], "the guide's serves whatever is asked for"
    assert host["sslConfig"]["verifySubjectAltName"] == ["gateway-proxy.local"], "the guide's serves whoever has a certificate"


def test_the_failover_service_is_the_guides(failover: Recorder) -> None:
    service = failover.one("Service", "failover")
    assert service.metadata["labels"].items() >= {"app": "gloo", "gateway-proxy-id": "gateway-proxy", "gloo": "gateway-proxy"}.items()
    assert service.inputs["spec"] == {
        "type": "LoadBalancer",
        "selector": {"gateway-proxy": "live", "gateway-proxy-id": "gateway-proxy"},
        "sessionAffinity": "None",
        "ports": [{"name": "failover", "nodePort": 32000, "port": 15443, "protocol": "TCP", "targetPort": 15443}],
    }


def test_the_sample_app_is_the_guides(blue: Recorder) -> None:
    deployment, service = blue.one("Deployment", "echo-blue"), blue.one("Service", "service-blue")
    selector = {"app": "bluegreen", "text": "blue"}
    assert deployment.inputs["spec"]["selector"]["matchLabels"] == selector
    assert deployment.inputs["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 0
    assert service.metadata["labels"].items() >= selector.items()
    assert service.inputs["spec"] == {
        "type": "ClusterIP",
        "selector": selector,
        "sessionAffinity": "None",
        "ports": [{"name": "color", "port": 10000, "protocol": "TCP", "targetPort": 10000}],
    }
    assert {deployment.metadata["namespace"], service.metadata["namespace"]} == {"default"}


def test_blue_answers_blue_pod_with_the_quotation_marks_of_the_guide(blue: Recorder) -> None:
    assert containers(blue)["echo"]["args"] == ['-text="blue-pod"', "-listen=$(POD_IP):5678"]


def test_the_arguments_refer_to_an_address_that_the_container_knows(blue: Recorder) -> None:
    for name, container in containers(blue).items():
        variables = {entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in container["env"]}
        assert variables == {"POD_IP": "status.podIP"}, name


def test_the_apps_envoy_has_the_ports_of_the_guide(blue: Recorder) -> None:
    envoy = containers(blue)["envoy"]
    assert [port["containerPort"] for port in envoy["ports"]] == [10000, 19000]
    assert envoy["args"][2:] == ["--disable-hot-restart", "--log-level", "info", "--concurrency", "1", "--file-flush-interval-msec", "10"]
    assert yaml.safe_load(envoy["args"][1])["admin"]["address"]["socket_address"]["port_value"] == 19000


def test_a_failed_health_check_leaves_the_app_ready(blue: Recorder) -> None:
    envoy = containers(blue)["envoy"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert envoy[probe].keys() & {"httpGet", "tcpSocket", "exec"} == {"tcpSocket"}, "/health and /ready say no after /healthcheck/fail"
        assert envoy[probe]["tcpSocket"] == {"port": "color"}


@pytest.mark.parametrize(("health_filter", "headers"), [("everything", None), ("path", [{"name": ":path", "string_match": {"exact": "/health"}}])])
def test_the_app_has_the_health_filter_that_was_asked_for(in_cluster: InCluster, health_filter: str, headers: object) -> None:
    args: BlueGreenAppArgs = {"color": "blue", "addressing": EMBEDDED, "health_filter": HealthFilter(health_filter)}
    bootstrap = yaml.safe_load(containers(in_cluster(lambda options: BlueGreenApp("blue", args, options)))["envoy"]["args"][1])
    manager = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    filters = {item["name"].rpartition(".")[2]: item["typed_config"] for item in manager["http_filters"]}
    assert list(filters) == ["health_check", "fault", "sick", "router"], "unhealthy comes before slow, and before what a drill makes it answer"
    assert filters["health_check"].get("headers") == headers, "the guide's matches every request"


@pytest.mark.parametrize("dumper", [yaml.SafeDumper, yaml.CSafeDumper])
def test_a_bootstrap_is_the_same_text_with_and_without_libyaml(dumper: type[yaml.SafeDumper]) -> None:
    for bootstrap in (envoy.sample_app_bootstrap(EMBEDDED, health_filter=HealthFilter.PATH), envoy.gateway_proxy_bootstrap(EMBEDDED, metrics=True)):
        text = yaml.dump(bootstrap, Dumper=dumper, sort_keys=False)
        assert text == envoy.as_argument(bootstrap), "another text would start every pod anew from another machine"


def test_the_app_has_no_node_port_and_no_fixed_address(blue: Recorder) -> None:
    spec = blue.one("Service", "service-blue").inputs["spec"]
    assert "clusterIP" not in spec, "the demonstration of glooctl fixes it, and two of them collide"


def test_the_upstream_is_the_discovered_one_with_the_guides_health_check(in_cluster: InCluster) -> None:
    program = in_cluster(lambda options: HealthCheckedUpstream("primary", CHECK, options))
    resource = program.one("Upstream", "default-service-blue-10000")
    assert resource.metadata["namespace"] == "gloo-system"
    assert resource.inputs["spec"]["kube"] == {"serviceName": "service-blue", "serviceNamespace": "default", "servicePort": 10000}
    (check,) = resource.inputs["spec"]["healthChecks"]
    guide = {"timeout": "1s", "interval": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1, "httpHealthCheck": {"path": "/health"}}
    assert check == {**guide, "noTrafficInterval": "1s"}, "by default a cluster without traffic is checked once a minute"
    assert "failover" not in resource.inputs["spec"], "that is Gloo Federation's"


@pytest.mark.parametrize(("given", "balancing"), [({}, None), ({"panic_threshold": 0}, {"healthyPanicThreshold": 0})])
def test_when_nobody_is_healthy_it_is_as_in_the_guide_unless_something_else_is_asked_for(
    in_cluster: InCluster, given: dict[str, int], balancing: dict[str, int] | None
) -> None:
    args: HealthCheckedUpstreamArgs = {**CHECK, **given}  # type: ignore[typeddict-item] # one more of its keys
    program = in_cluster(lambda options: HealthCheckedUpstream("primary", args, options))
    spec = program.one("Upstream", "default-service-blue-10000").inputs["spec"]
    assert spec.get("loadBalancerConfig") == balancing, "a standby that misses one check while it serves goes on serving, by Gloo's default"


def test_the_scheme_is_the_guides(in_cluster: InCluster) -> None:
    program = in_cluster(lambda options: FailoverScheme("failover", SCHEME, options))
    resource = program.one("FailoverScheme", "failover-scheme")
    assert resource.metadata["namespace"] == "gloo-fed"
    assert resource.inputs["spec"] == {
        "failoverGroups": [
            {"priorityGroup": [{"cluster": "remote", "upstreams": [{"name": "default-service-green-10000", "namespace": "gloo-system"}]}]}
        ],
        "primary": {"clusterName": "local", "name": "default-service-blue-10000", "namespace": "gloo-system"},
    }


def test_the_program_ends_when_the_scheme_is_in_force(in_cluster: InCluster) -> None:
    program = in_cluster(lambda options: FailoverScheme("failover", SCHEME, options))
    resource = program.one("FailoverScheme", "failover-scheme")
    assert (
        resource.metadata["annotations"]["pulumi.com/waitFor"]
        == """jsonpath={$[?(@.state=="ACCEPTED" && @.observedGeneration==$.metadata.generation)]}"""
    )
    assert resource.create_timeout == "2m", "and says so when it does not get there"


def test_the_route_is_what_glooctl_makes(in_cluster: InCluster) -> None:
    program = in_cluster(lambda options: Route("route", {"prefix": "/", "upstream": "default-service-blue-10000"}, options))
    resource = program.one("VirtualService", "default")
    assert resource.metadata["namespace"] == "gloo-system"
    destination = {"upstream": {"name": "default-service-blue-10000", "namespace": "gloo-system"}}
    assert resource.inputs["spec"] == {
        "virtualHost": {"domains": ["*"], "routes": [{"matchers": [{"prefix": "/"}], "routeAction": {"single": destination}}]}
    }
    assert program.one("Gateway", "gateway-proxy").inputs["spec"]["bindPort"] == 8080


def test_every_object_of_gloo_is_one_that_its_models_know_in_full(update: Recorder) -> None:
    models = {
        "Upstream": upstream.Upstream,
        "Gateway": gateway.Gateway,
        "VirtualService": virtual_service.VirtualService,
        "FailoverScheme": failover_scheme.FailoverScheme,
    }
    for kind, model in models.items():
        resources = update.of_kind(kind)
        assert resources, kind
        for resource in resources:
            parsed = model.parse(resource.inputs)
            assert not parsed.unknown_spec_fields(), f"{resource.name} has fields without effect"
            assert resource.inputs["apiVersion"] == model.KIND.api_version
