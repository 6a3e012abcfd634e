"""What a component refuses, and that it says which argument, what it was and what is allowed, before anything is made."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from component_samples import SAMPLES, Sample
from program_recorder import Recorder
from program_runs import run_in_cluster
from pulumi.provider.experimental import analyzer

from service_failover.clusters.embedded import EmbeddedCluster
from service_failover.clusters.existing import ExistingCluster
from service_failover.clusters.kind import KindCluster
from service_failover.control_plane_image import ControlPlaneImage
from service_failover.enterprise.gloo import EnterpriseGloo
from service_failover.enterprise.gloo_fed import EnterpriseGlooFed
from service_failover.validation import arguments, integer

pytestmark = pytest.mark.unit

OF_THIS_MACHINE = [
    Sample(component=EmbeddedCluster, args={"cluster_name": "east", "region": "us-east-1", "zone": "us-east-1a"}, makes=()),
    Sample(
        component=KindCluster,
        args={"cluster_name": "east", "kind_name": "e", "owner": "me", "region": "us-east-1", "zone": "us-east-1a", "host_port": 8080},
        makes=(),
    ),
    Sample(component=ControlPlaneImage, args={}, makes=()),
    Sample(component=ExistingCluster, args={"cluster_name": "east", "context": "east"}, makes=()),
]
BY_HELM = [
    Sample(component=EnterpriseGloo, args={"license_key": "a licence key"}, makes=()),
    Sample(component=EnterpriseGlooFed, args={"license_key": "a licence key"}, makes=()),
]
BY_NOUN = {sample.noun: sample for sample in [*SAMPLES, *OF_THIS_MACHINE, *BY_HELM]}
TIER = [{"cluster": "west", "upstreams": ["green"]}]

REFUSED: list[tuple[str, Mapping[str, Any], str, str]] = [
    ("EnterpriseGloo", {"license_key": ""}, "license_key", "some text (it is not shown)"),
    ("EnterpriseGloo", {"version": "latest"}, "version", "a version, such as 1.22.0"),
    ("EnterpriseGloo", {"repository": "http://charts.example"}, "repository", "the https:// URL of a Helm repository"),
    ("EnterpriseGlooFed", {"license_key": ""}, "license_key", "some text (it is not shown)"),
    ("EnterpriseGlooFed", {"version": "1"}, "version", "a version, such as 1.22.0"),
    ("Monitoring", {"cluster_name": "East"}, "cluster_name", "the name of a cluster"),
    ("Monitoring", {"interval_seconds": 0}, "interval_seconds", "a whole number from 1 to 300"),
    ("Monitoring", {"federation": "yes"}, "federation", "true, false"),
    ("Gloo", {"proxy_metrics": "on"}, "proxy_metrics", "true, false"),
    ("ClusterAccess", {"edition": "pro"}, "edition", "open, enterprise"),
    ("FailoverScheme", {"edition": "pro"}, "edition", "open, enterprise"),
    ("BlueGreenApp", {"color": "Blue"}, "color", "1 to 30 characters: a-z, 0-9 and inner '-', such as blue"),
    ("BlueGreenApp", {"color": "b" * 31}, "color", "1 to 30 characters"),
    ("BlueGreenApp", {"health_filter": "all"}, "health_filter", "everything, path"),
    ("BlueGreenApp", {"echo_image": "http echo"}, "echo_image", "the name of a container image"),
    ("BlueGreenApp", {"namespace": "Shop"}, "namespace", "the name of a namespace"),
    ("BlueGreenApp", {"addressing": {"listen_address": "::"}}, "addressing.loopback_address", "missing"),
    (
        "BlueGreenApp",
        {"addressing": {"listen_address": "localhost", "loopback_address": "127.0.0.1"}},
        "addressing.listen_address",
        "an IP address, or $(POD_IP)",
    ),
    (
        "Gloo",
        {"addressing": {"listen_address": "10.0.0.1", "loopback_address": "127.0.0.1", "realise": "10.0.0.0/8=127.0.0.0/9"}},
        "addressing.realise",
        "two networks of one size",
    ),
    (
        "Gloo",
        {"addressing": {"listen_address": "10.0.0.1", "loopback_address": "127.0.0.1", "realise": "10.0.0.0/8"}},
        "addressing.realise",
        "such as 10.64.0.0/10=127.64.0.0/10",
    ),
    (
        "Gloo",
        {"addressing": {"listen_address": "10.0.0.1", "loopback_address": "127.0.0.1", "service_type": "ClusterIP"}},
        "addressing.service_type",
        "LoadBalancer, NodePort",
    ),
    ("Gloo", {"replicas": 0}, "replicas", "a whole number from 1 to 100"),
    ("Gloo", {"replicas": True}, "replicas", "a whole number from 1 to 100"),
    ("Gloo", {"proxy_port": 65536}, "proxy_port", "a whole number from 1 to 65535"),
    ("Gloo", {"watch_namespaces": []}, "watch_namespaces", "a list with at least one entry"),
    ("Gloo", {"watch_namespaces": "default"}, "watch_namespaces", "a list with at least one entry"),
    ("Gloo", {"watch_namespaces": ["shop", "Shop"]}, "watch_namespaces[1]", "the name of a namespace"),
    ("Gloo", {"create_namespace": "no"}, "create_namespace", "true, false"),
    ("Gloo", {"certificate_epoch": 0}, "certificate_epoch", "a whole number from 1 to"),
    ("GlooFed", {"gloo_namespace": ""}, "gloo_namespace", "the name of a namespace"),
    ("ClusterAccess", {"cluster_name": "c" * 41}, "cluster_name", "1 to 40 characters"),
    ("ClusterAccess", {"server": "http://east"}, "server", "the URL of an API server, such as https://10.0.0.1:6443"),
    ("ClusterAccess", {"certificate_authority": "-----BEGIN CERTIFICATE-----"}, "certificate_authority", "PEM in base64"),
    ("Registration", {"gateway_identity": "gateway east"}, "gateway_identity", "a DNS name"),
    ("Registration", {"kubeconfig": ""}, "kubeconfig", "some text (it is not shown)"),
    ("CertificateAuthority", {"common_name": ""}, "common_name", "1 to 64 characters"),
    ("CertificateAuthority", {"validity_hours": -1}, "validity_hours", "a whole number from"),
    ("TlsSecret", {"use": "both"}, "use", "server, client, peer"),
    ("TlsSecret", {"dns_name": "*"}, "dns_name", "a DNS name"),
    ("TlsSecret", {"authority_private_key_pem": 7}, "authority_private_key_pem", "it is not shown"),
    ("FailoverGateway", {"server_names": []}, "server_names", "a list with at least one entry"),
    ("FailoverGateway", {"server_names": ["green"]}, "server_names[0]", "such as default-service-green-10000_gloo-system"),
    ("FailoverGateway", {"client_identities": []}, "client_identities", "a list with at least one entry"),
    ("FailoverGateway", {"node_port": 0}, "node_port", "a whole number from 1 to 65535"),
    ("HealthCheckedUpstream", {"path": "health"}, "path", "a path"),
    ("HealthCheckedUpstream", {"interval": "1"}, "interval", "a duration from 1ms to 3600s, such as 1s, 0.5s or 250ms"),
    ("HealthCheckedUpstream", {"timeout": 1}, "timeout", "a duration from 1ms to 3600s"),
    ("HealthCheckedUpstream", {"unhealthy_threshold": 0}, "unhealthy_threshold", "a whole number from 1 to 100"),
    ("HealthCheckedUpstream", {"panic_threshold": 101}, "panic_threshold", "a whole number from 0 to 100"),
    ("HealthCheckedUpstream", {"service_port": 0}, "service_port", "a whole number from 1 to 65535"),
    ("HealthCheckedUpstream", {"weighted": 1}, "weighted", "true, false"),
    ("FailoverScheme", {"tiers": []}, "tiers", "a list with at least one entry"),
    ("FailoverScheme", {"tiers": [TIER, []]}, "tiers[1]", "a list with at least one entry"),
    ("FailoverScheme", {"tiers": [[{**TIER[0], "weight": 0}]]}, "tiers[0][0].weight", "a whole number from 1 to 1000"),
    ("FailoverScheme", {"tiers": [[{**TIER[0], "wieght": 1}]]}, "tiers[0][0].wieght", "cluster, namespace, upstreams, weight"),
    ("FailoverScheme", {"tiers": [[{"cluster": "west", "upstreams": []}]]}, "tiers[0][0].upstreams", "a list with at least one entry"),
    ("FailoverScheme", {"tiers": [["west"]]}, "tiers[0][0]", "a mapping with cluster, namespace, upstreams, weight"),
    ("FailoverScheme", {"primary": {"cluster": "east"}}, "primary.upstream", "missing"),
    ("Route", {"prefix": "api"}, "prefix", "a path"),
    ("Route", {"upstream": "Blue"}, "upstream", "the name of an object"),
    ("EmbeddedCluster", {"cluster_name": "../east"}, "cluster_name", "the name of a cluster"),
    ("EmbeddedCluster", {"zone": ""}, "zone", "such as us-east-1"),
    ("KindCluster", {"kind_name": "E"}, "kind_name", "a-z, 0-9 and inner '-'"),
    ("KindCluster", {"host_port": 0}, "host_port", "a whole number from 1"),
    ("ControlPlaneImage", {"base_image": "a b"}, "base_image", "the name of a container image"),
    ("ExistingCluster", {"context": ""}, "context", "the name of a context in the kubeconfig"),
    ("ExistingCluster", {"server": "east:6443"}, "server", "the URL of an API server"),
]


def refused(sample: Sample, changes: Mapping[str, Any]) -> pulumi.InputPropertyError:
    """The error of the component. There is no engine: the component must not have come so far as to register anything."""
    with pytest.raises(pulumi.InputPropertyError) as error:
        sample.build(pulumi.ResourceOptions(), changes)
    return error.value


def declared(sample: Sample) -> type[Any]:
    """The TypedDict of the component's arguments."""
    found: type[Any] = sample.component.__init__.__annotations__["args"]
    return found


def may_be_output(annotation: Any) -> bool:
    """Whether it is a pulumi.Input."""
    return analyzer.is_input(analyzer.unwrap_not_required(annotation) if analyzer.is_not_required(annotation) else annotation)


@pytest.fixture(params=BY_NOUN.values(), ids=lambda sample: sample.noun)
def sample(request: pytest.FixtureRequest) -> Sample:
    assert isinstance(request.param, Sample)
    return request.param


@pytest.mark.parametrize(("noun", "changes", "path", "allowed"), REFUSED, ids=[f"{noun}-{path}" for noun, _, path, _ in REFUSED])
def test_a_wrong_argument_is_refused_with_its_path_and_what_is_allowed(noun: str, changes: Mapping[str, Any], path: str, allowed: str) -> None:
    error = refused(BY_NOUN[noun], changes)
    assert error.property_path == path
    assert allowed in error.reason


def test_the_value_is_shown_unless_it_is_a_secret() -> None:
    assert refused(BY_NOUN["BlueGreenApp"], {"color": "Blue"}).reason.startswith('"Blue" is not allowed; allowed: ')
    assert "12345" not in refused(BY_NOUN["TlsSecret"], {"authority_private_key_pem": 12345}).reason


def test_every_argument_has_a_rule(sample: Sample) -> None:
    for name in declared(sample).__annotations__:
        assert refused(sample, {name: object()}).property_path == name, "an object of no use is passed on to the engine"


def test_a_misspelt_argument_is_refused(sample: Sample) -> None:
    error = refused(sample, {"lables": {"team": "payments"}})
    assert error.property_path == "lables", "in silence it would have no effect"
    assert all(name in error.reason for name in sample.args), "what is allowed"


def test_a_missing_argument_is_named_and_none_counts_as_missing(sample: Sample) -> None:
    for name in declared(sample).__required_keys__:
        for absent in (..., None):
            error = refused(sample, {name: absent})
            assert (error.property_path, error.reason) == (name, "missing")


async def test_what_has_to_be_plain_is_refused_as_an_output(sample: Sample) -> None:
    for name, annotation in declared(sample).__annotations__.items():
        if not may_be_output(annotation):
            error = refused(sample, {name: pulumi.Output.from_input("blue")})
            assert error.property_path == name
            assert "this is an output of a resource; allowed: a plain value" in error.reason


@pytest.mark.parametrize(
    ("labels", "path"), [({"team": 7}, "labels.team"), ({"a b": "x"}, "labels.a b"), ({"team": "-"}, "labels.team"), ("a", "labels")]
)
def test_labels_that_kubernetes_would_not_take_are_refused(labels: object, path: str) -> None:
    for sample in SAMPLES:
        if sample.makes:
            error = refused(sample, {"labels": labels})
            assert error.property_path == path
            assert "allowed: " in error.reason


@pytest.mark.parametrize(
    ("noun", "changes", "path"),
    [
        ("BlueGreenApp", {"color": "Blue"}, "color"),
        ("FailoverGateway", {"server_names": ["green"]}, "server_names[0]"),
        ("HealthCheckedUpstream", {"interval": "1"}, "interval"),
        ("Gloo", {"addressing": {"listen_address": "localhost", "loopback_address": "::1"}}, "addressing.listen_address"),
        ("Route", {"labels": {"team": "-"}}, "labels.team"),
    ],
)
def test_a_wrong_output_of_another_resource_is_refused_when_it_is_known(noun: str, changes: dict[str, Any], path: str) -> None:
    ((name, value),) = changes.items()
    ended: list[Recorder] = []
    with pytest.raises(pulumi.InputPropertyError) as error:
        ended.append(run_in_cluster(lambda options: BY_NOUN[noun].build(options, {name: pulumi.Output.from_input(value)})))
    assert error.value.property_path == path
    assert not ended


def test_an_output_in_a_list_is_refused_by_its_place() -> None:
    def build(options: pulumi.ResourceOptions) -> None:
        tier = [{"cluster": "west", "upstreams": ["green", pulumi.Output.from_input("Green")]}]
        BY_NOUN["FailoverScheme"].build(options, {"tiers": [tier]})

    with pytest.raises(pulumi.InputPropertyError) as error:
        run_in_cluster(build)
    assert error.value.property_path == "tiers[0][0].upstreams[1]"


def test_durations_may_be_written_in_milliseconds() -> None:
    program = run_in_cluster(lambda options: BY_NOUN["HealthCheckedUpstream"].build(options, {"interval": "250ms"}))
    (check,) = program.of_kind("Upstream")[0].inputs["spec"]["healthChecks"]
    assert check["interval"] == "0.25s", "which is what protobuf can read"


def test_an_argument_without_a_rule_is_a_mistake_of_the_component() -> None:
    class OneArgs(typing.TypedDict):
        one: int
        two: int

    with pytest.raises(TypeError, match="OneArgs needs a rule for each of its fields; differing: three, two"):
        arguments(OneArgs, one=integer(1, 2), three=integer(1, 2))
