"""Gloo Enterprise and Gloo Federation by Helm: what is installed, with which values, before what; and where the licence key is not to be found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
import yaml
from program_recorder import READ_ADDRESS, UNKNOWN, Recorder, Resource
from program_runs import CHECKOUT, InCluster, default_config, run_program
from pulumi.runtime import rpc

from service_failover.addressing import KIND
from service_failover.clusters.existing import ExistingCluster
from service_failover.enterprise import charts
from service_failover.enterprise.gloo import EnterpriseGloo, gloo_values
from service_failover.enterprise.gloo_fed import EnterpriseGlooFed, fed_values

pytestmark = pytest.mark.unit

LICENSE = "a-licence-key-that-nobody-may-see"
RELEASE = "kubernetes:helm.sh/v3:Release"
UNKNOWN_ID = rpc.UNKNOWN
"""By it the engine knows that there is nothing to read yet."""


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two contexts, local and remote, whose clusters nobody else uses."""
    cluster = {"server": "https://192.0.2.1:6443", "certificate-authority-data": "Q0E="}
    document = {
        "clusters": [{"name": name, "cluster": {**cluster, "server": f"https://{name}:6443"}} for name in ("local", "remote")],
        "users": [{"name": name, "user": {"token": "t"}} for name in ("local", "remote")],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in ("local", "remote")],
    }
    file = tmp_path_factory.mktemp("contexts") / "config"
    file.write_text(yaml.safe_dump(document))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(file))
        patch.setattr(ExistingCluster, "owns_namespace", lambda self, name: True)
        yield


def enterprise_program(*, preview: bool = False, **changes: Any) -> Recorder:
    """The whole program as `edition: enterprise` on two clusters that exist."""
    existing = {"clusterKind": "existing", "clusters": [{"name": "local", "management": True}, {"name": "remote"}]}
    return run_program(preview=preview, changes={"edition": "enterprise", "licenseKey": LICENSE, **existing, **changes}, secrets={"licenseKey"})


@pytest.fixture(scope="module", params=[False, True], ids=["update", "preview"])
def program(request: pytest.FixtureRequest, kubeconfig: None) -> Recorder:
    return enterprise_program(preview=request.param)


def releases(program: Recorder) -> dict[tuple[str, str], Resource]:
    """The releases by cluster and chart."""
    return {(cluster_of(release), release.inputs["chart"]): release for release in program.of_type(RELEASE)}


def cluster_of(resource: Resource) -> str:
    return resource.provider.rsplit("::", 1)[1].removesuffix("-provider")


def names(urns: frozenset[str]) -> set[str]:
    return {urn.rsplit("::", 1)[1] for urn in urns}


def test_gloo_is_in_every_cluster_and_federation_in_one(program: Recorder) -> None:
    assert releases(program).keys() == {("local", "gloo-ee"), ("remote", "gloo-ee"), ("local", "gloo-fed")}


def test_charts_come_from_their_maker_in_one_version(program: Recorder) -> None:
    for (_, chart), release in releases(program).items():
        assert release.inputs["version"] == "1.22.0", "whatever is newest would be another program every day"
        assert release.inputs["repositoryOpts"] == {"repo": f"https://storage.googleapis.com/{chart}-helm"}


def test_the_version_is_written_in_one_place() -> None:
    assert default_config()["glooVersion"] == charts.VERSION, "the default of the component is that of a stack"


def test_releases_have_the_names_and_namespaces_of_the_documentation(program: Recorder) -> None:
    found = {(release.inputs["name"], release.inputs["namespace"]) for release in releases(program).values()}
    assert found == {("gloo", "gloo-system"), ("gloo-fed", "gloo-fed")}


def test_a_failed_installation_leaves_nothing_and_a_good_one_is_ready(program: Recorder) -> None:
    for release in releases(program).values():
        assert release.inputs["atomic"] is True, "the name of a release that was given up is taken, and the next `up` would be refused"
        assert not release.inputs.get("skipAwait"), "what depends on it needs its pods, its definitions and its address"


def test_another_version_and_a_mirror_can_be_chosen(kubeconfig: None) -> None:
    program = enterprise_program(glooVersion="1.21.8", glooRepository="https://charts.example/solo")
    for release in releases(program).values():
        assert release.inputs["version"] == "1.21.8"
        assert release.inputs["repositoryOpts"] == {"repo": "https://charts.example/solo"}


def test_values_of_gloo() -> None:
    values = gloo_values(license_key="key", service_type="LoadBalancer", proxy_port=8081, replicas=1)
    proxy = values["gloo"]["gatewayProxies"]["gatewayProxy"]
    assert values["license_key"] == "key"
    assert values["gloo-fed"] == {"enabled": False}, "federation is a release of its own"
    assert proxy["service"] == {"type": "LoadBalancer", "httpPort": 8081, "httpNodePort": 30080}
    assert proxy["podTemplate"]["httpPort"] == 8080, "where the program's HTTP Gateway binds"
    assert proxy["gatewaySettings"] == {"disableGeneratedGateways": True}, "the chart's Gateway has the name of the program's"
    assert proxy["failover"] == {"enabled": False}, "the failover gateway of the program binds the same port"
    assert "podDisruptionBudget" not in json.dumps(values), "a single pod could never be drained"
    assert "antiAffinity" not in proxy


def test_values_of_gloo_leave_out_what_failover_does_not_need() -> None:
    values = gloo_values(license_key="key", service_type="LoadBalancer", proxy_port=8080, replicas=1)
    off = [values["rateLimit"], values["observability"], values["prometheus"], values["global"]["extensions"]["extAuth"]]
    assert off == [{"enabled": False}] * 4
    assert values["grafana"] == {"defaultInstallationEnabled": False}


def test_several_replicas_are_drained_one_at_a_time() -> None:
    gloo = gloo_values(license_key="key", service_type="LoadBalancer", proxy_port=8080, replicas=3)["gloo"]
    proxy = gloo["gatewayProxies"]["gatewayProxy"]
    assert gloo["gloo"] == {"deployment": {"replicas": 3}, "podDisruptionBudget": {"maxUnavailable": 1}}
    assert proxy["kind"] == {"deployment": {"replicas": 3}}
    assert proxy["podDisruptionBudget"] == {"maxUnavailable": 1}
    assert proxy["antiAffinity"] is True, "not all of them on one node"


def test_values_of_federation() -> None:
    assert fed_values(license_key="key") == {
        "license_key": "key",
        "glooFedApiserver": {"enable": False},
        "enableMultiClusterRbac": False,
    }


def test_the_licence_key_is_in_the_values_of_the_releases_and_secret_there(program: Recorder) -> None:
    for release in releases(program).values():
        assert release.inputs["values"]["license_key"] == LICENSE
        assert "values" in release.secret_inputs, f"{release.name} would store it as plain text"


def test_the_licence_key_is_nowhere_else(program: Recorder) -> None:
    for resource in program.resources.values():
        for key, value in resource.inputs.items():
            if (resource.type, key) != (RELEASE, "values"):
                assert LICENSE not in json.dumps(value), f"{resource.name}.{key}"
    assert LICENSE not in json.dumps([program.outputs, program.exports, [read.inputs for read in program.reads]])


@pytest.mark.parametrize("build", [EnterpriseGloo, EnterpriseGlooFed])
def test_the_licence_key_is_secret_whatever_it_was_made_from(in_cluster: InCluster, build: Any) -> None:
    program = in_cluster(lambda options: build("it", {"license_key": LICENSE}, options))
    (release,) = program.of_type(RELEASE)
    assert "values" in release.secret_inputs


def test_nothing_of_the_open_control_plane_is_there(program: Recorder) -> None:
    assert program.of_kind("CustomResourceDefinition") == [], "the charts bring their own, and two owners would fight"
    assert {each.key[1] for each in program.of_kind("Deployment")} == {"echo-blue", "echo-green"}, "the apps and nothing else"
    assert not [each.name for each in program.of_kind("Secret") if "xds" in each.name]
    assert not {each.type for each in program.resources.values()} & {f"service-failover:index:{noun}" for noun in ("Gloo", "GlooFed", "GatewayProxy")}


def test_the_chain_of_the_guide_is_that_of_the_open_edition(program: Recorder) -> None:
    expected = {
        ("local", "Secret", "failover-upstream"),
        ("remote", "Secret", "failover-downstream"),
        ("remote", "Gateway", "failover-gateway"),
        ("remote", "Service", "failover"),
        ("local", "Upstream", "default-service-blue-10000"),
        ("local", "FailoverScheme", "failover-scheme"),
        ("local", "VirtualService", "default"),
        ("local", "Gateway", "gateway-proxy"),
        ("local", "KubernetesCluster", "local"),
        ("local", "KubernetesCluster", "remote"),
    }
    assert expected <= {(cluster_of(resource), *resource.key) for resource in program.kubernetes()}


def test_custom_resources_wait_for_the_release_that_brings_their_definitions(program: Recorder) -> None:
    brings = {
        "Gateway": "{cluster}-gloo-release",
        "VirtualService": "{cluster}-gloo-release",
        "Upstream": "{cluster}-gloo-release",
        "FailoverScheme": "gloo-fed-release",
        "KubernetesCluster": "gloo-fed-release",
    }
    for kind, release in brings.items():
        found = program.of_kind(kind)
        assert found, f"there is no {kind}"
        for resource in found:
            waits_for = set().union(*(names(each.depends_on) for each in (resource, *program.ancestors(resource))))
            assert release.format(cluster=cluster_of(resource)) in waits_for, f"{resource.name} may be created before its definition is there"


def test_a_scheme_is_awaited_in_the_form_of_its_federation(program: Recorder) -> None:
    annotations = program.one("FailoverScheme", "failover-scheme").metadata["annotations"]
    assert annotations == {"pulumi.com/waitFor": 'jsonpath={$..[?(@.state=="ACCEPTED")]}'}, "its status has a level more than ours"


def test_discovery_takes_the_upstream_for_one_of_its_own(program: Recorder) -> None:
    upstream = program.one("Upstream", "default-service-blue-10000")
    assert upstream.metadata["labels"]["discovered_by"] == "kubernetesplugin", "it would stop at a name that is taken, and discover nothing after it"


def test_registrations_have_the_rights_of_solos_federation(program: Recorder) -> None:
    for role in program.of_kind("ClusterRole"):
        assert {"apiGroups": ["gloo.solo.io"], "resources": ["*"], "verbs": ["*"]} in role.inputs["rules"]
    assert {account.key[1] for account in program.of_kind("ServiceAccount")} == {"local", "remote"}


def test_a_release_waits_for_its_namespace(program: Recorder) -> None:
    for (cluster, chart), release in releases(program).items():
        component = {"gloo-ee": f"{cluster}-gloo", "gloo-fed": "gloo-fed"}[chart]
        assert f"{component}-namespace" in names(release.depends_on)
        assert [around.name for around in program.ancestors(release)] == [component]


def test_a_namespace_of_somebody_else_is_left_to_them(in_cluster: InCluster) -> None:
    def build(options: pulumi.ResourceOptions) -> None:
        EnterpriseGloo("gloo", {"license_key": "k", "proxy_port": 80, "create_namespace": False}, options)
        EnterpriseGlooFed("fed", {"license_key": "k", "create_namespace": False}, options)

    program = in_cluster(build)
    assert program.of_kind("Namespace") == []
    assert len(program.of_type(RELEASE)) == 2


def test_everything_is_in_the_cluster_of_its_options(in_cluster: InCluster) -> None:
    program = in_cluster(lambda options: EnterpriseGloo("gloo", {"license_key": "k", "proxy_port": 80}, options) and None)
    made = [resource for resource in program.kubernetes() if resource.type != "pulumi:providers:kubernetes"]
    assert {resource.provider.rsplit("::", 1)[1] for resource in [*made, *program.reads]} == {"cluster"}


def test_where_there_is_no_load_balancer_the_proxy_is_on_a_port_of_the_nodes(in_cluster: InCluster) -> None:
    program = in_cluster(lambda options: EnterpriseGloo("gloo", {"license_key": "k", "addressing": KIND, "proxy_port": 80}, options) and None)
    (release,) = program.of_type(RELEASE)
    service = release.inputs["values"]["gloo"]["gatewayProxies"]["gatewayProxy"]["service"]
    assert service == {"type": "NodePort", "httpPort": 80, "httpNodePort": 30080}


def test_clients_call_the_service_that_helm_made(kubeconfig: None) -> None:
    program = enterprise_program()
    assert {(cluster_of(read), read.inputs["id"]) for read in program.reads} == {
        ("local", "gloo-system/gateway-proxy"),
        ("remote", "gloo-system/gateway-proxy"),
    }
    assert program.exports["proxyUrl"] == f"http://{READ_ADDRESS}:8080", "the port for HTTP, which need not be the first"


def test_a_preview_of_a_stack_that_is_not_there_reads_nothing(kubeconfig: None) -> None:
    program = enterprise_program(preview=True)
    assert {read.inputs["id"] for read in program.reads} == {UNKNOWN_ID}, "the Service is not there before the release is"
    assert program.exports["proxyUrl"] == UNKNOWN


@pytest.mark.parametrize("preview", [False, True])
def test_without_a_licence_key_nothing_is_made(kubeconfig: None, preview: bool) -> None:
    recorder: list[Recorder] = []
    with pytest.raises(pulumi.RunError, match=r"licenseKey: missing; .*pulumi config set --secret service-failover:licenseKey"):
        recorder.append(enterprise_program(preview=preview, licenseKey=""))
    assert not recorder, "the program did not run to its end"


def test_the_components_say_what_they_are_in_the_project_file() -> None:
    declared = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())["config"]["licenseKey"]
    assert declared["default"] == "", "a stack of the open edition needs none"
    assert "secret" not in declared, "with a default Pulumi would refuse every stack; the program itself refuses a key that is none"
