"""The whole program, as an update and as a preview from nothing: what holds for all of its resources, and that the guide's chain is complete."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from functools import cache

import pytest
from program_recorder import UNKNOWN, Recorder, Resource
from program_runs import CHECKOUT, run_program

from service_failover import names
from service_failover.draining import GRACE_SECONDS

pytestmark = pytest.mark.unit


@pytest.fixture(params=["update", "preview"])
def program(request: pytest.FixtureRequest) -> Recorder:
    recorder = request.getfixturevalue(request.param)
    assert isinstance(recorder, Recorder)
    return recorder


def cluster_of(resource: Resource) -> str:
    """The cluster that a Kubernetes object goes to, by its provider."""
    return resource.provider.rsplit("::", 1)[1].removesuffix("-provider")


def containers(program: Recorder) -> list[tuple[str, dict]]:
    return [
        (f"{deployment.name}/{container['name']}", container)
        for deployment in program.of_kind("Deployment")
        for container in deployment.inputs["spec"]["template"]["spec"]["containers"]
    ]


def test_the_program_reads_like_a_table_of_contents() -> None:
    assert len((CHECKOUT / "__main__.py").read_text().splitlines()) <= 95


def test_preview_shows_the_resources_of_the_update(update: Recorder, preview: Recorder) -> None:
    assert preview.resources.keys() == update.resources.keys(), "no resource may depend on a value that only an update knows"


def test_every_kubernetes_object_has_the_provider_of_its_cluster(program: Recorder) -> None:
    for resource in program.kubernetes():
        assert cluster_of(resource) in {"local", "remote"}, f"{resource.name} would land in whatever cluster the user's kubeconfig names"


def test_every_kubernetes_object_goes_with_its_cluster(program: Recorder) -> None:
    for resource in program.kubernetes():
        deleted_with = resource.deleted_with or next((around.deleted_with for around in program.ancestors(resource) if around.deleted_with), "")
        assert deleted_with.endswith(f"command:local:Command::{cluster_of(resource)}-cluster"), (
            f"{resource.name} would be deleted by itself, one by one"
        )


def test_no_input_is_the_text_of_an_output(program: Recorder) -> None:
    for resource in program.resources.values():
        assert "Calling __str__" not in json.dumps(resource.inputs), f"{resource.name} formats an output as a string"


def test_every_resource_is_in_a_component_of_this_project(program: Recorder) -> None:
    for resource in program.resources.values():
        if resource.type.startswith("service-failover:index:"):
            assert not resource.custom
        else:
            around = [component.type for component in program.ancestors(resource)]
            assert around, f"{resource.name} lies at the top of the tree"
            assert around[0].startswith("service-failover:index:")


def test_components_register_their_outputs_once_and_last(program: Recorder) -> None:
    registered = Counter(entry for entry in program.registrations if entry.startswith("outputs of"))
    for component in (resource for resource in program.resources.values() if not resource.custom):
        assert registered[f"outputs of {component.urn}"] == 1, (
            f"{component.name} registers its outputs {registered[f'outputs of {component.urn}']} times"
        )


def test_children_are_named_after_their_component(program: Recorder) -> None:
    for resource in program.resources.values():
        parent = program.resources.get(resource.parent)
        if parent:
            assert resource.name.startswith(f"{parent.name}-"), f"{resource.name} in {parent.name}: two of the component would collide"


def test_every_object_says_that_it_belongs_to_this_project(program: Recorder) -> None:
    for resource in program.kubernetes():
        labels = resource.metadata["labels"]
        assert labels["app.kubernetes.io/part-of"] == "service-failover", resource.name
        assert labels["app.kubernetes.io/managed-by"] == "pulumi", resource.name
        assert labels["app.kubernetes.io/name"], resource.name


def test_every_object_has_the_name_that_the_program_gives_it(program: Recorder) -> None:
    for resource in program.kubernetes():
        assert resource.metadata["name"], f"{resource.name} would get a name with random letters, which the guide's commands cannot use"


def test_every_container_has_probes_and_requests(program: Recorder) -> None:
    for name, container in containers(program):
        assert {"readinessProbe", "livenessProbe"} <= container.keys(), name
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
        assert container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"], name


def test_a_machine_that_is_too_busy_is_no_outage(program: Recorder) -> None:
    """Where all are slow at once, a proxy that loses its readiness, or a control plane that is started anew, makes it worse."""
    probes = {
        (deployment.key[1], kind): container[kind]
        for deployment in program.of_kind("Deployment")
        for container in deployment.inputs["spec"]["template"]["spec"]["containers"]
        for kind in ("readinessProbe", "livenessProbe")
    }
    for name in ("gateway-proxy", "gloo", "gloo-fed"):
        alive = probes[name, "livenessProbe"]
        assert alive["periodSeconds"] * alive["failureThreshold"] >= 60, f"{name} has a minute to start"
    ready = probes["gateway-proxy", "readinessProbe"]
    assert ready["timeoutSeconds"] * ready["failureThreshold"] >= 15, "as long as a request may take"


def test_an_old_pod_goes_when_a_new_one_is_ready(program: Recorder) -> None:
    for deployment in program.of_kind("Deployment"):
        assert deployment.inputs["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}, (
            deployment.name
        )


def test_a_gateway_proxy_sends_its_clients_away_before_it_ends(update: Recorder) -> None:
    proxies = [each for each in update.of_kind("Deployment") if each.key[1] == "gateway-proxy"]
    assert proxies, "one in each cluster"
    for proxy in proxies:
        pod = proxy.inputs["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        shell, option, script = container["lifecycle"]["preStop"]["exec"]["command"]
        assert (shell, option) == ("bash", "-c"), "the image of Envoy has a shell, and no HTTP client"
        assert "$(" not in script.splitlines()[0], "Kubernetes replaces no variables in a hook: the shell does"
        assert "POD_IP" in {each["name"] for each in container["env"]}, "which it finds its admin port by, where the network is shared"
        assert pod["terminationGracePeriodSeconds"] == GRACE_SECONDS, "or Kubernetes would end the hook"


def test_no_container_runs_with_more_than_it_needs(program: Recorder) -> None:
    for name, container in containers(program):
        security = container["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0, name
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert "privileged" not in security, name


def test_only_the_control_planes_can_talk_to_an_api_server(program: Recorder) -> None:
    for deployment in program.of_kind("Deployment"):
        pod = deployment.inputs["spec"]["template"]["spec"]
        if deployment.key[1] in {"gloo", "gloo-fed"}:
            assert pod["serviceAccountName"] == deployment.key[1]
        else:
            assert pod["automountServiceAccountToken"] is False, f"{deployment.name} has a token that it does not need"


def test_no_pod_shares_anything_with_its_host(program: Recorder) -> None:
    for deployment in program.of_kind("Deployment"):
        pod = deployment.inputs["spec"]["template"]["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & pod.keys(), deployment.name


def test_images_have_a_version(program: Recorder) -> None:
    for name, container in containers(program):
        assert not container["image"].endswith(":latest"), name
        assert ":" in container["image"], name


def test_the_image_of_the_control_plane_has_the_version_of_the_project() -> None:
    assert tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"] == names.VERSION


def test_no_role_is_more_than_a_list_of_what_is_needed(program: Recorder) -> None:
    for role in [*program.of_kind("Role"), *program.of_kind("ClusterRole")]:
        for rule in role.inputs["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], role.name


def test_secrets_can_be_read_in_the_namespace_of_their_reader_only(program: Recorder) -> None:
    readers = {
        (role.metadata.get("namespace"), role.key[1])
        for role in [*program.of_kind("Role"), *program.of_kind("ClusterRole")]
        if any("secrets" in rule["resources"] for rule in role.inputs["rules"])
    }
    assert readers == {("gloo-system", "gloo"), ("gloo-fed", "gloo-fed")}


def test_keys_are_in_secrets_and_nowhere_else(update: Recorder) -> None:
    for resource in update.resources.values():
        for key, value in resource.inputs.items():
            if "KEY " in json.dumps(value) or "TOKEN" in json.dumps(value):
                assert key in resource.secret_inputs, f"{resource.name}.{key} holds a key and would be stored as plain text"
                assert resource.kind == "Secret" or resource.type.startswith("tls:"), f"{resource.name} holds a key"


def test_the_chain_of_the_guide_is_complete(program: Recorder) -> None:
    expected = {
        ("local", "Secret", "failover-upstream"),
        ("remote", "Secret", "failover-downstream"),
        ("remote", "Gateway", "failover-gateway"),
        ("remote", "Service", "failover"),
        ("local", "Deployment", "echo-blue"),
        ("local", "Service", "service-blue"),
        ("remote", "Deployment", "echo-green"),
        ("remote", "Service", "service-green"),
        ("local", "Upstream", "default-service-blue-10000"),
        ("local", "FailoverScheme", "failover-scheme"),
        ("local", "VirtualService", "default"),
        ("local", "KubernetesCluster", "local"),
        ("local", "KubernetesCluster", "remote"),
    }
    found = {(cluster_of(resource), *resource.key) for resource in program.kubernetes()}
    assert expected <= found, f"missing: {expected - found}"


def test_what_the_guide_has_in_one_cluster_is_in_one_cluster(program: Recorder) -> None:
    for kind, name, cluster in (
        ("Secret", "failover-upstream", "local"),
        ("Secret", "failover-downstream", "remote"),
        ("Gateway", "failover-gateway", "remote"),
        ("Deployment", "gloo-fed", "local"),
        ("FailoverScheme", "failover-scheme", "local"),
    ):
        assert cluster_of(program.one(kind, name)) == cluster


def test_the_green_upstream_is_left_to_discovery(program: Recorder) -> None:
    assert [upstream.key[1] for upstream in program.of_kind("Upstream")] == ["default-service-blue-10000"]


def test_the_scheme_waits_for_all_that_it_needs(update: Recorder) -> None:
    waits_for = {urn.rsplit("::", 1)[1] for urn in update.one("FailoverScheme", "failover-scheme").depends_on}
    assert {
        "local-registration-cluster",
        "remote-registration-cluster",
        "failover-upstream-secret",
        "remote-failover-downstream-secret",
        "remote-failover-gateway-gateway",
        "local-blue-deployment",
        "remote-green-deployment",
        "primary-upstream",
    } <= waits_for, "a failure would be found by a time-out of the scheme, and not where it happened"


def test_the_clusters_begin_while_the_rest_is_read(update: Recorder) -> None:
    kinds = [update.resources[urn].kind for urn in dict.fromkeys(update.registrations) if urn in update.resources]
    begun = kinds[: 1 + max(index for index, kind in enumerate(kinds) if kind == "EmbeddedCluster")]
    assert set(begun) <= {"Stack", "EmbeddedCluster", "Command"}, "the engine makes them meanwhile, which takes longest"


def test_the_outputs_are_those_that_tools_rely_on(update: Recorder) -> None:
    assert update.exports["proxyUrl"] == "http://127.77.192.1:8080", "the address of the proxy's Service as this machine reaches it"
    assert update.exports["contexts"] == {"local": "embedded-local", "remote": "embedded-local"}
    assert update.exports["kubeconfigs"].keys() == {"local", "remote"}
    assert update.exports["rotationEpoch"] == 1, "from which the next update may take one step"
    assert update.secret_exports == {"kubeconfigs"}, "kubeconfigs hold the keys of administrators; the rest is to be seen"


def test_a_preview_from_nothing_knows_no_output(preview: Recorder) -> None:
    exports = dict(preview.exports)
    assert (exports.pop("rotationEpoch"), exports.pop("edition")) == (1, "open"), "they are in the configuration; a preview stores no output"
    assert set(exports.values()) == {UNKNOWN}
    assert preview.secret_exports == {"kubeconfigs"}


def test_a_third_tier_gets_a_gateway_and_a_certificate_of_its_own() -> None:
    clusters = [{"name": name, "region": "r", "zone": "z", "management": name == "a"} for name in "abc"]
    apps = [{"color": "blue", "cluster": "a"}, {"color": "green", "cluster": "c"}, {"color": "blue", "cluster": "b"}]
    program = run_program(changes={"clusters": clusters, "apps": apps})
    assert {cluster_of(gateway) for gateway in program.of_kind("Gateway") if gateway.key[1] == "failover-gateway"} == {"b", "c"}
    groups = program.one("FailoverScheme", "failover-scheme").inputs["spec"]["failoverGroups"]
    assert [group["priorityGroup"][0]["cluster"] for group in groups] == ["c", "b"], "the order of apps is the order of failover"
    requests = [request.inputs["dnsNames"] for request in program.of_type("tls:index/certRequest:CertRequest")]
    assert ["failover-gateway.b"] in requests
    assert ["failover-gateway.c"] in requests


def test_clusters_of_a_tier_share_it_by_weight() -> None:
    clusters = [{"name": name, "region": "r", "zone": "z", "management": name == "a"} for name in "abcd"]
    apps = [{"color": color, "cluster": name} for color, name in zip(("blue", "green", "yellow", "red"), "abcd", strict=True)]
    tiers = [[{"cluster": "b", "weight": 3}, {"cluster": "c", "weight": 1}], [{"cluster": "d"}]]
    program = run_program(changes={"clusters": clusters, "apps": apps, "tiers": tiers})
    groups = program.one("FailoverScheme", "failover-scheme").inputs["spec"]["failoverGroups"]
    assert [[(each["cluster"], each.get("localityWeight")) for each in group["priorityGroup"]] for group in groups] == [
        [("b", 3), ("c", 1)],
        [("d", None)],
    ]
    upstream = program.one("Upstream", "default-service-blue-10000").inputs["spec"]
    assert upstream["loadBalancerConfig"] == {"localityWeightedLbConfig": {}}, "without it the weights have no effect"


def test_a_gateway_serves_every_app_of_its_cluster_that_takes_over() -> None:
    apps = [{"color": "blue", "cluster": "local"}, {"color": "green", "cluster": "remote"}, {"color": "yellow", "cluster": "remote"}]
    program = run_program(changes={"apps": apps})
    (host,) = program.one("Gateway", "failover-gateway").inputs["spec"]["tcpGateway"]["tcpHosts"]
    assert host["sslConfig"]["sniDomains"] == ["default-service-green-10000_gloo-system", "default-service-yellow-10000_gloo-system"]
    (group,) = program.one("FailoverScheme", "failover-scheme").inputs["spec"]["failoverGroups"]
    assert [each["name"] for each in group["priorityGroup"][0]["upstreams"]] == ["default-service-green-10000", "default-service-yellow-10000"]


@cache
def otherwise() -> Recorder:
    """The colors have changed places, and the check and the image are other ones: settings that have nothing to do with each other."""
    apps = [{"color": "blue", "cluster": "remote"}, {"color": "green", "cluster": "local"}]
    check = {"path": "/ready?deep=1", "interval": "1s", "timeout": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1}
    return run_program(changes={"apps": apps, "healthCheck": check, "controlPlaneImage": "registry.example/team/controlplane:7"})


def test_the_primary_need_not_be_in_the_management_cluster() -> None:
    program = otherwise()
    assert cluster_of(program.one("Upstream", "default-service-blue-10000")) == "remote"
    assert cluster_of(program.one("VirtualService", "default")) == "remote", "the route is where the primary is"
    assert cluster_of(program.one("FailoverScheme", "failover-scheme")) == "local", "the scheme is where Gloo Federation is"
    assert program.exports["proxyUrl"].startswith("http://127.77."), "and so is the URL"


def test_the_checked_path_and_the_image_are_the_users_to_choose() -> None:
    program = otherwise()
    (health_check,) = program.one("Upstream", "default-service-blue-10000").inputs["spec"]["healthChecks"]
    assert health_check["httpHealthCheck"] == {"path": "/ready?deep=1"}
    images = [container["image"] for _, container in containers(program) if container["name"] in ("gloo", "gloo-fed")]
    assert images == ["registry.example/team/controlplane:7"] * 3, "gloo in two clusters and gloo-fed in one"
