"""Gloo and Gloo Federation as installed: their rights, their command lines, what starts after what."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from program_recorder import UNKNOWN, Recorder, Resource
from program_runs import InCluster

from gloo_api.crds import custom_resource_definitions
from gloo_api.names import PROXY_STATUS_PORT_NAME
from service_failover.addressing import CONTAINERS, EMBEDDED, KIND, Addressing
from service_failover.gloo import Gloo, GlooArgs, object_rules, own_rules, service_rules
from service_failover.gloo import url as gloo_url
from service_failover.gloo_fed import GlooFed, fed_rules
from service_failover.names import CONSOLE_PORT

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def gloo(in_cluster: InCluster) -> Recorder:
    args: GlooArgs = {"addressing": EMBEDDED, "watch_namespaces": ["default"], "proxy_port": 8080}
    return in_cluster(lambda options: Gloo("gloo", args, options), schemas=True)


@pytest.fixture(scope="module")
def fed(in_cluster: InCluster) -> Recorder:
    return in_cluster(lambda options: GlooFed("fed", {}, options), schemas=True)


def container(program: Recorder, deployment: str) -> dict[str, Any]:
    (found,) = program.one("Deployment", deployment).inputs["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def allowed(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(group, resource, verb) for rule in rules for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}


def names(urns: frozenset[str]) -> set[str]:
    return {urn.rsplit("::", 1)[1] for urn in urns}


def test_the_definitions_are_those_of_the_models_word_for_word(gloo: Recorder, fed: Recorder) -> None:
    written = {resource.key[1]: resource.inputs["spec"] for program in (gloo, fed) for resource in program.of_kind("CustomResourceDefinition")}
    assert written == {definition["metadata"]["name"]: definition["spec"] for definition in custom_resource_definitions()}, "Pulumi renamed a field"


def test_each_control_plane_brings_its_own_definitions(gloo: Recorder, fed: Recorder) -> None:
    assert {resource.inputs["spec"]["group"] for resource in gloo.of_kind("CustomResourceDefinition")} == {"gloo.solo.io", "gateway.solo.io"}
    assert {resource.inputs["spec"]["group"] for resource in fed.of_kind("CustomResourceDefinition")} == {"fed.solo.io", "multicluster.solo.io"}


def test_a_definition_is_there_when_it_is_established(gloo: Recorder) -> None:
    for definition in gloo.of_kind("CustomResourceDefinition"):
        assert definition.metadata["annotations"]["pulumi.com/waitFor"] == "condition=Established"


def test_gloo_gets_the_command_line_of_an_embedded_cluster(gloo: Recorder) -> None:
    assert container(gloo, "gloo")["args"] == [
        "gloo",
        "--namespace=$(POD_NAMESPACE)",
        "--watch-namespaces=default",
        "--xds-address=$(POD_IP):9977",
        "--health-address=$(POD_IP):9978",
        "--realise=10.64.0.0/10=127.64.0.0/10",
    ]


def test_where_addresses_can_be_dialled_gloo_is_not_told_to_change_them(in_cluster: InCluster) -> None:
    program = in_cluster(lambda options: Gloo("gloo", {"addressing": CONTAINERS, "watch_namespaces": ["default"], "proxy_port": 80}, options))
    assert not [argument for argument in container(program, "gloo")["args"] if argument.startswith("--realise")]
    assert "--health-address=0.0.0.0:9978" in container(program, "gloo")["args"], "where a port-forward comes too, as on the pod's own loopback"


@pytest.mark.parametrize(
    ("addressing", "address", "url"),
    [
        (EMBEDDED, "10.77.192.1", "http://127.77.192.1:80"),
        (CONTAINERS, "10.77.192.1", "http://10.77.192.1:80"),
        (CONTAINERS, "lb.example.com", "http://lb.example.com:80"),
        (KIND, "", ""),
    ],
)
def test_clients_of_this_machine_are_given_a_url_that_they_can_dial(addressing: Addressing, address: str, url: str) -> None:
    assert gloo_url(addressing, address, 80) == url


def test_the_url_is_an_output() -> None:
    recorded = Recorder().run(lambda: Gloo("gloo", {"addressing": EMBEDDED, "proxy_port": 80}))
    assert recorded.outputs[recorded.component("Gloo").urn]["proxy_url"] == "http://127.77.192.1:80"


def test_images_of_ones_own_are_used(in_cluster: InCluster) -> None:
    image, proxy_image = "registry.example/controlplane:1", "registry.example/envoy:1"
    program = in_cluster(lambda options: Gloo("gloo", {"addressing": EMBEDDED, "image": image, "proxy_image": proxy_image}, options))
    assert container(program, "gloo")["image"] == image
    assert container(program, "gateway-proxy")["image"] == proxy_image


def test_without_load_balancers_the_proxy_is_a_port_of_the_nodes(in_cluster: InCluster) -> None:
    made: list[Gloo] = []
    program = in_cluster(lambda options: made.append(Gloo("gloo", {"addressing": KIND, "proxy_port": 80}, options)))
    service = program.one("Service", "gateway-proxy")
    assert service.inputs["spec"]["type"] == "NodePort", "there is no load balancer to wait for"
    assert service.inputs["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP", "nodePort": 30080}]
    assert "allocateLoadBalancerNodePorts" not in service.inputs["spec"], "the API server refuses it here"
    assert service.metadata["annotations"] == {"pulumi.com/skipAwait": "true"}, "no address will come"
    assert program.outputs[program.component("Gloo").urn]["proxy_address"] in ("", UNKNOWN), "and none is made up"


def test_where_there_are_load_balancers_the_proxy_has_one_and_no_port_of_the_nodes(gloo: Recorder) -> None:
    service = gloo.one("Service", "gateway-proxy")
    assert service.inputs["spec"]["type"] == "LoadBalancer"
    assert service.inputs["spec"]["allocateLoadBalancerNodePorts"] is False, "one more way in would be one too many"
    assert service.metadata["annotations"] == {"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0]}"}, "its address is an output"


def test_federation_asks_the_nodes_resolver_where_only_that_knows_the_other_clusters(in_cluster: InCluster, fed: Recorder) -> None:
    def policy(program: Recorder) -> str:
        return str(program.one("Deployment", "gloo-fed").inputs["spec"]["template"]["spec"]["dnsPolicy"])

    on_kind = in_cluster(lambda options: GlooFed("fed", {"addressing": KIND}, options))
    assert policy(on_kind) == "Default", "Docker's DNS names the nodes of all clusters"
    assert policy(fed) == "ClusterFirst", "elsewhere the cluster's DNS may know more than the node's"


def test_the_keys_for_xds_come_from_secrets(gloo: Recorder) -> None:
    for deployment, secret in (("gloo", "gloo-xds-server"), ("gateway-proxy", "gloo-xds-client")):
        env = {entry["name"]: entry["valueFrom"] for entry in container(gloo, deployment)["env"]}
        assert env["XDS_TLS_KEY"] == {"secretKeyRef": {"name": secret, "key": "tls.key"}}
        assert env["XDS_TLS_CRT"] == {"secretKeyRef": {"name": secret, "key": "tls.crt"}}
        assert env["XDS_TLS_CA"] == {"secretKeyRef": {"name": secret, "key": "ca.crt"}}


def test_the_certificates_for_xds_name_gloo_and_its_proxy(gloo: Recorder) -> None:
    requests = {request.name: request.inputs["dnsNames"] for request in gloo.of_type("tls:index/certRequest:CertRequest")}
    assert requests == {"gloo-xds-server-request": ["gloo.gloo-system.svc"], "gloo-xds-client-request": ["gateway-proxy.gloo-system"]}


def test_the_certificates_for_xds_are_good_for_both_directions(gloo: Recorder) -> None:
    for certificate in gloo.of_type("tls:index/locallySignedCert:LocallySignedCert"):
        uses = certificate.inputs["allowedUses"]
        assert uses == ["digital_signature", "server_auth", "client_auth"], "the proxy asks gloo for configuration, gloo asks the proxy who serves"


def test_gloo_finds_every_replica_of_the_proxy_by_a_service_without_an_address(gloo: Recorder) -> None:
    service = gloo.one("Service", "gateway-proxy-status").inputs["spec"]
    assert service["clusterIP"] == "None", "each replica is asked, not one of them"
    assert service["ports"] == [{"name": PROXY_STATUS_PORT_NAME, "port": 9979, "targetPort": 9979, "protocol": "TCP"}], "gloo looks for the name"
    assert service["selector"].items() <= gloo.one("Deployment", "gateway-proxy").inputs["spec"]["template"]["metadata"]["labels"].items()
    assert ("discovery.k8s.io", "endpointslices", "watch") in allowed(own_rules()), "and may look"


def test_a_pod_starts_anew_when_its_certificate_does(gloo: Recorder) -> None:
    for deployment in ("gloo", "gateway-proxy"):
        annotations = gloo.one("Deployment", deployment).inputs["spec"]["template"]["metadata"]["annotations"]
        assert annotations["servicefailover.dev/certificate"], "it reads the certificate when it starts, and never again"


def test_gloo_starts_when_it_may_read_what_it_reads(gloo: Recorder) -> None:
    after = names(gloo.one("Deployment", "gloo").depends_on)
    assert {"gloo-account", "gloo-default-role", "gloo-default-binding", "gloo-gloo-system-role", "gloo-gloo-system-binding"} <= after
    assert "gloo-upstream-definition" in after
    assert "gloo-xds-server-secret" in after


def test_the_proxy_starts_after_the_service_whose_address_it_is_given(gloo: Recorder) -> None:
    after = names(gloo.one("Deployment", "gateway-proxy").depends_on)
    assert {"gloo-service", "gloo-xds-client-secret"} <= after
    assert "gloo-deployment" not in after, "the two start side by side"


def test_nothing_waits_for_the_endpoints_of_a_service(gloo: Recorder) -> None:
    for service in gloo.of_kind("Service"):
        assert service.metadata["annotations"].keys() & {"pulumi.com/skipAwait", "pulumi.com/waitFor"}, f"{service.name} costs ten seconds"


def test_the_proxys_service_is_awaited_until_it_has_its_address(gloo: Recorder) -> None:
    service = gloo.one("Service", "gateway-proxy")
    assert service.metadata["annotations"] == {"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0]}"}
    assert service.inputs["spec"]["type"] == "LoadBalancer"
    assert service.inputs["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP"}]
    assert service.inputs["spec"]["allocateLoadBalancerNodePorts"] is False, "it could be given the failover Service's port"


def test_the_pods_of_the_proxy_are_those_that_the_guides_service_selects(gloo: Recorder) -> None:
    labels = gloo.one("Deployment", "gateway-proxy").inputs["spec"]["template"]["metadata"]["labels"]
    assert labels.items() >= {"gateway-proxy": "live", "gateway-proxy-id": "gateway-proxy", "gloo": "gateway-proxy"}.items()


def roles(program: Recorder) -> dict[str, Resource]:
    return {role.metadata["namespace"]: role for role in program.of_kind("Role")}


def test_gloo_may_read_services_where_it_watches_and_nowhere_else(gloo: Recorder) -> None:
    assert not gloo.of_kind("ClusterRole"), "nothing that gloo reads is outside of its namespaces"
    assert roles(gloo).keys() == {"default", "gloo-system"}
    assert allowed(roles(gloo)["default"].inputs["rules"]) == allowed([*service_rules(), *object_rules()])
    assert allowed(roles(gloo)["gloo-system"].inputs["rules"]) == allowed([*object_rules(), *own_rules()])


def test_gloo_writes_upstreams_in_its_own_namespace_only() -> None:
    writes = {"create", "update", "patch", "delete"}
    assert {resource for _, resource, verb in allowed([*service_rules(), *object_rules()]) if verb in writes} == {
        "upstreams/status",
        "gateways/status",
        "routetables/status",
        "virtualservices/status",
    }, "elsewhere it reports and does not change"
    assert ("gloo.solo.io", "upstreams", "patch") in allowed(own_rules())


def test_a_control_plane_may_hold_its_own_lease_and_no_other() -> None:
    for name, rules in (("gloo", own_rules()), ("gloo-fed", fed_rules("gloo-fed"))):
        leases = [rule for rule in rules if "leases" in rule["resources"]]
        named, unnamed = ([rule for rule in leases if ("resourceNames" in rule) is wanted] for wanted in (True, False))
        assert [rule["resourceNames"] for rule in named] == [[name]], "the Lease that its replicas contend for"
        assert allowed(named) == {("coordination.k8s.io", "leases", verb) for verb in ("get", "list", "watch", "patch")}
        assert allowed(unnamed) == {("coordination.k8s.io", "leases", "create")}, "Kubernetes cannot bind a creation to a name"


def test_gloo_fed_sees_of_its_own_namespace_only_whether_it_is_going() -> None:
    about_itself = [rule for rule in fed_rules("gloo-fed") if {"deployments", "namespaces"} & set(rule["resources"])]
    assert [(rule["verbs"], rule["resourceNames"]) for rule in about_itself] == [(["get"], ["gloo-fed"])] * 2


def test_a_replica_is_told_its_name(gloo: Recorder, fed: Recorder) -> None:
    for program, deployment in ((gloo, "gloo"), (fed, "gloo-fed")):
        env = {entry["name"]: entry["valueFrom"] for entry in container(program, deployment)["env"]}
        assert env["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}, "by which it contends for writing"


def test_gloo_fed_reads_kubeconfigs_in_its_own_namespace_only(fed: Recorder) -> None:
    assert not fed.of_kind("ClusterRole")
    assert roles(fed).keys() == {"gloo-fed"}
    assert allowed(roles(fed)["gloo-fed"].inputs["rules"]) == allowed(fed_rules("gloo-fed"))
    assert ("", "secrets", "create") not in allowed(fed_rules("gloo-fed"))


def test_gloo_fed_gets_its_command_line(fed: Recorder) -> None:
    assert container(fed, "gloo-fed")["args"] == [
        "gloo-fed",
        "--namespace=$(POD_NAMESPACE)",
        "--gloo-namespace=gloo-system",
        "--health-address=0.0.0.0:9978",
        "--console-address=127.0.0.1:9980",
    ]


def test_a_role_is_bound_to_the_account_that_it_is_for(gloo: Recorder, fed: Recorder) -> None:
    for program in (gloo, fed):
        for binding in program.of_kind("RoleBinding"):
            (subject,) = binding.inputs["subjects"]
            account = program.one("ServiceAccount", subject["name"])
            assert subject["namespace"] == account.metadata["namespace"]
            assert binding.inputs["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": subject["name"]}
            assert (subject["name"], binding.metadata["namespace"]) in {(role.key[1], role.metadata["namespace"]) for role in program.of_kind("Role")}


def test_the_foundation_is_what_later_objects_need() -> None:
    made: list[Any] = []
    Recorder().run(
        lambda: made.extend([Gloo("gloo", {"addressing": EMBEDDED, "watch_namespaces": ["default"], "proxy_port": 80}), GlooFed("fed", {})])
    )
    for component, definitions in zip(made, (4, 3), strict=True):
        kinds = [type(resource).__name__ for resource in component.foundation]
        assert kinds == ["Namespace", *["CustomResourceDefinition"] * definitions], "and not the Deployments, which would be waited for"


def test_the_program_gives_the_options_on(in_cluster: InCluster) -> None:
    program = in_cluster(
        lambda options: GlooFed("fed", {}, pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")])))
    )
    assert all(resource.provider.endswith("::cluster") for resource in program.kubernetes() if resource.type != "pulumi:providers:kubernetes")


@pytest.mark.parametrize(("addressing", "address"), [(CONTAINERS, "127.0.0.1"), (EMBEDDED, "$(POD_IP)")])
def test_the_console_is_where_only_a_port_forward_comes(in_cluster: InCluster, addressing: Addressing, address: str) -> None:
    program = in_cluster(lambda options: GlooFed("fed", {"addressing": addressing}, options))
    found = container(program, "gloo-fed")
    assert f"--console-address={address}:{CONSOLE_PORT}" in found["args"], "it has no login: the cluster's RBAC says who may forward a port"
    assert [port["name"] for port in found["ports"]] == ["health"], "no Service, and nothing that looks at ports, is led to it"
