"""Registration: what Gloo Federation may do in a cluster, the kubeconfig that says so, and how the management cluster learns of it."""

from __future__ import annotations

import json

import pulumi
import pytest
from program_recorder import Recorder
from program_runs import InCluster

from gloo_api.kubernetes_cluster import KubernetesCluster
from service_failover.cluster_access import ClusterAccess, ClusterAccessArgs, kubeconfig
from service_failover.edition_settings import Edition
from service_failover.federation_rights import GLOO_GROUPS, cluster_rules, namespace_rules
from service_failover.registration import Registration

pytestmark = pytest.mark.unit

WRITES = {"create", "update", "patch", "delete", "deletecollection"}


@pytest.fixture(scope="module")
def access(in_cluster: InCluster) -> Recorder:
    return in_cluster(
        lambda options: ClusterAccess(
            "access", {"cluster_name": "east", "server": "https://127.77.0.1:6443", "certificate_authority": "Q0E="}, options
        )
    )


@pytest.fixture(scope="module")
def registration(in_cluster: InCluster) -> Recorder:
    return in_cluster(
        lambda options: Registration(
            "east", {"cluster_name": "east", "kubeconfig": "a kubeconfig", "gateway_identity": "failover-gateway.east"}, options
        )
    )


def test_the_token_is_an_explicit_one(access: Recorder) -> None:
    secret = access.one("Secret", "gloo-federation-token")
    assert secret.inputs["type"] == "kubernetes.io/service-account-token"
    assert secret.metadata["annotations"]["kubernetes.io/service-account.name"] == access.of_kind("ServiceAccount")[0].key[1]
    assert {urn.rsplit("::", 1)[1] for urn in secret.depends_on} >= {"access-account"}, "Kubernetes deletes a token Secret whose account is not there"


def test_the_token_is_awaited_for_longer_than_the_default(access: Recorder) -> None:
    secret = access.one("Secret", "gloo-federation-token")
    assert secret.metadata["annotations"]["pulumi.com/waitFor"] == "jsonpath={.data.token}"
    assert secret.create_timeout == "1m"


def test_federation_writes_upstreams_and_nothing_else(access: Recorder) -> None:
    written = {
        (group, resource)
        for rule in [*namespace_rules(), *cluster_rules()]
        if WRITES & set(rule["verbs"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert written == {("gloo.solo.io", "upstreams")}
    (role,) = access.of_kind("Role")
    assert role.metadata["namespace"] == "gloo-system"
    assert role.inputs["rules"] == namespace_rules()


def test_federation_cannot_read_secrets(access: Recorder) -> None:
    for role in [*access.of_kind("Role"), *access.of_kind("ClusterRole")]:
        assert all("secrets" not in rule["resources"] for rule in role.inputs["rules"]), "a stolen kubeconfig must not give away the cluster's keys"


def test_of_the_whole_cluster_it_reads_upstreams_and_nodes(access: Recorder) -> None:
    (role,) = access.of_kind("ClusterRole")
    assert {resource for rule in role.inputs["rules"] for resource in rule["resources"]} == {"upstreams", "nodes"}
    assert {verb for rule in role.inputs["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_the_kubeconfig_is_secret_and_has_the_token() -> None:
    program = Recorder().run(
        lambda: ClusterAccess("access", {"cluster_name": "east", "server": "https://host:6443", "certificate_authority": "Q0E="})
    )
    urn = program.component("ClusterAccess").urn
    assert program.secret_outputs[urn] == {"kubeconfig"}
    known = json.loads(program.outputs[urn]["kubeconfig"])
    assert known["users"][0]["user"] == {"token": "TOKEN"}, "decoded from the Secret"


def test_the_kubeconfig_verifies_the_server() -> None:
    known = json.loads(kubeconfig(cluster="east", user="federation", server="https://host:6443", certificate_authority="Q0E=", token="t"))
    assert known["clusters"] == [{"name": "east", "cluster": {"server": "https://host:6443", "certificate-authority-data": "Q0E="}}]
    assert "insecure-skip-tls-verify" not in json.dumps(known), "glooctl sets it for local clusters"
    assert known["current-context"] == "east"


def test_a_registration_is_what_gloo_federation_looks_for(registration: Recorder) -> None:
    secret, cluster = registration.one("Secret", "east"), registration.one("KubernetesCluster", "east")
    assert secret.inputs["type"] == "solo.io/kubeconfig"
    assert secret.inputs["stringData"].keys() == {"kubeconfig"}
    assert secret.metadata["namespace"] == cluster.metadata["namespace"] == "gloo-fed"
    assert KubernetesCluster.parse(cluster.inputs).spec.secret_name == "east"
    assert not KubernetesCluster.parse(cluster.inputs).unknown_spec_fields()
    assert cluster.metadata["annotations"]["servicefailover.dev/gateway-identity"] == "failover-gateway.east"


def test_the_kubeconfig_of_a_registration_is_secret_whatever_it_was_made_from(registration: Recorder) -> None:
    assert "stringData" in registration.one("Secret", "east").secret_inputs


def test_the_cluster_is_announced_after_its_kubeconfig(registration: Recorder) -> None:
    after = {urn.rsplit("::", 1)[1] for urn in registration.one("KubernetesCluster", "east").depends_on}
    assert "east-kubeconfig" in after, "otherwise federation would report a cluster without one"


def test_the_two_halves_take_their_clusters_from_their_options(in_cluster: InCluster) -> None:
    def build(options: pulumi.ResourceOptions) -> None:
        access = ClusterAccess("access", {"cluster_name": "e", "server": "https://h", "certificate_authority": "Q0E="}, options)
        Registration("registration", {"cluster_name": "e", "kubeconfig": access.kubeconfig, "gateway_identity": "g"}, options)

    program = in_cluster(build)
    assert {resource.provider.rsplit("::", 1)[1] for resource in program.kubernetes()} == {"cluster"}


@pytest.fixture(scope="module")
def enterprise_access(in_cluster: InCluster) -> Recorder:
    args: ClusterAccessArgs = {"cluster_name": "east", "server": "https://h:6443", "certificate_authority": "Q0E=", "edition": Edition.ENTERPRISE}
    return in_cluster(lambda options: ClusterAccess("access", args, options))


def test_solos_federation_gets_the_names_of_its_documented_registration(enterprise_access: Recorder) -> None:
    assert enterprise_access.one("ServiceAccount", "east").metadata["namespace"] == "gloo-system", "the account is called as the cluster is"
    assert enterprise_access.one("ClusterRole", "gloo-federation-controller")
    binding = enterprise_access.one("ClusterRoleBinding", "east-gloo-federation-controller-clusterrole-binding")
    assert binding.inputs["roleRef"]["name"] == "gloo-federation-controller"
    assert [(subject["name"], subject["namespace"]) for subject in binding.inputs["subjects"]] == [("east", "gloo-system")]


def test_solos_federation_gets_the_rights_of_its_documented_registration(enterprise_access: Recorder) -> None:
    (role,) = enterprise_access.of_kind("ClusterRole")
    granted = {
        (group, resource): set(rule["verbs"]) for rule in role.inputs["rules"] for group in rule["apiGroups"] for resource in rule["resources"]
    }
    read = {"get", "list", "watch"}
    assert granted == {
        **{(group, "*"): {"*"} for group in GLOO_GROUPS},
        **{("apps", kind): read for kind in ("deployments", "daemonsets")},
        **{("", kind): read for kind in ("pods", "nodes", "services")},
    }
    (role,) = enterprise_access.of_kind("Role")
    assert role.inputs["rules"] == [{"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get"]}]


def test_neither_federation_can_read_secrets(enterprise_access: Recorder) -> None:
    for role in [*enterprise_access.of_kind("Role"), *enterprise_access.of_kind("ClusterRole")]:
        assert all("" not in rule["apiGroups"] or "secrets" not in rule["resources"] for rule in role.inputs["rules"])


def test_solos_federation_gets_an_explicit_token_of_its_own_account(enterprise_access: Recorder) -> None:
    secret = enterprise_access.one("Secret", "gloo-federation-token")
    assert secret.inputs["type"] == "kubernetes.io/service-account-token"
    assert secret.metadata["annotations"]["kubernetes.io/service-account.name"] == "east"


def test_the_kubeconfig_for_solos_federation_names_its_account() -> None:
    args: ClusterAccessArgs = {"cluster_name": "east", "server": "https://h:6443", "certificate_authority": "Q0E=", "edition": Edition.ENTERPRISE}
    program = Recorder().run(lambda: ClusterAccess("access", args))
    known = json.loads(program.outputs[program.component("ClusterAccess").urn]["kubeconfig"])
    assert known["contexts"][0]["context"] == {"cluster": "east", "user": "east"}
    assert known["users"] == [{"name": "east", "user": {"token": "TOKEN"}}]
