"""The resource models: what they accept, what they say about the rest, and that they lose nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gloo_api import names
from gloo_api.failover_scheme import FailoverScheme
from gloo_api.gloo_instance import GlooInstance
from gloo_api.kubernetes_cluster import KubernetesCluster
from gloo_api.meta import InvalidResource, format_duration, parse_duration
from gloo_api.upstream import Upstream

pytestmark = pytest.mark.unit

CHECK = {"timeout": "1s", "interval": "0.5s", "unhealthyThreshold": 1, "healthyThreshold": 1, "httpHealthCheck": {"path": "/health"}}


def upstream(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "gloo.solo.io/v1", "kind": "Upstream", "metadata": {"name": "a", "namespace": "b"}, "spec": spec}


def problems(value: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidResource) as refused:
        Upstream.parse(value)
    return [str(problem) for problem in refused.value.problems]


def test_what_is_read_is_written_back_unchanged() -> None:
    given = upstream(
        kube={"serviceName": "s", "serviceNamespace": "n", "servicePort": 1},
        healthChecks=[{**CHECK, "unknownHere": {"a": [1]}}],
        outlierDetection={"interval": "1s"},
    )
    given["metadata"]["managedFields"] = [{"manager": "x"}]
    assert Upstream.parse(given).to_object() == given, "a field that is not known belongs to somebody else, and defaults are not invented"


def test_unknown_fields_are_listed_by_path() -> None:
    parsed = Upstream.parse(
        upstream(
            foo=1,
            healthChecks=[CHECK, {**CHECK, "httpHealthCheck": {"path": "/", "responseAssertions": {}}}],
            failover={"prioritizedLocalities": [{"localityEndpoints": [{"lbEndpoints": [{"address": "a", "port": 1, "metadata": {}}]}]}]},
        )
    )
    assert set(parsed.unknown_spec_fields()) == {
        "spec.foo",
        "spec.healthChecks[1].httpHealthCheck.responseAssertions",
        "spec.failover.prioritizedLocalities[0].localityEndpoints[0].lbEndpoints[0].metadata",
    }, "each with the path at which the user finds it"


def test_metadata_and_status_have_no_unknown_fields() -> None:
    given = upstream()
    given["metadata"]["uid"] = "1"
    given["status"] = {"statuses": {"gloo-system": {"state": "Accepted", "more": 1}}}
    assert Upstream.parse(given).unknown_spec_fields() == (), "only what the user asks for is judged"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("interval", "-1s", '"-1s" is not allowed: a duration of more than zero in seconds, such as "1s" or "0.5s"'),
        ("interval", "0s", '"0s" is not allowed: a duration of more than zero in seconds, such as "1s" or "0.5s"'),
        ("interval", 1, '1 is not allowed: a duration of more than zero in seconds, such as "1s" or "0.5s"'),
        ("timeout", "100ms", '"100ms" is not allowed: a duration in seconds, here "0.1s"'),
        ("timeout", "2m", '"2m" is not allowed: a duration in seconds, here "120s"'),
        ("initialJitter", "x", '"x" is not allowed: a duration of zero or more in seconds, such as "1s" or "0.5s"'),
        ("unhealthyThreshold", 0, "0 is not allowed: at least 1"),
        ("healthyThreshold", None, "null is not allowed"),
    ],
)
def test_a_bad_value_is_named_with_its_field_and_what_is_allowed(field: str, value: object, message: str) -> None:
    (problem,) = problems(upstream(healthChecks=[{**CHECK, field: value}]))
    assert problem.startswith(f"spec.healthChecks[0].{field}: {message}"), "field, value, what is allowed"


@pytest.mark.parametrize("field", ["timeout", "interval", "unhealthyThreshold", "healthyThreshold"])
def test_what_gloo_requires_is_required(field: str) -> None:
    check = {name: value for name, value in CHECK.items() if name != field}
    assert problems(upstream(healthChecks=[check])) == [f"spec.healthChecks[0].{field}: is required"], "Gloo would reject it as well"


def test_all_problems_are_named_at_once() -> None:
    given = upstream(kube={"serviceName": "", "servicePort": 99999}, static={"hosts": []})
    assert len(problems(given)) == 4, "nobody wants to find them one by one"


def test_a_secret_value_is_not_shown_for_an_object_in_the_wrong_place() -> None:
    (problem,) = problems(upstream(sslConfig={"secretRef": {"name": {"tls.key": "hidden"}}}))
    assert "hidden" not in problem, "an object is named by its type alone"


@pytest.mark.parametrize("field", ["sslFiles", "sds", "disableTlsSessionResumption"])
def test_a_tls_setting_that_would_be_ignored_is_refused(field: str) -> None:
    (problem,) = problems(upstream(sslConfig={field: {}}))
    assert problem.startswith(f"spec.sslConfig.{field}: is not supported here"), "it would check less than was asked for"


def test_static_hosts_must_not_be_empty() -> None:
    (problem,) = problems(upstream(static={"hosts": []}))
    assert problem.startswith("spec.static.hosts"), "Gloo itself crashed on it"


@pytest.mark.parametrize(("text", "value"), [("1s", 1.0), ("0.5s", 0.5), ("0.000001s", 0.000001), ("0s", 0.0), ("3600s", 3600.0)])
def test_durations_have_one_form(text: str, value: float) -> None:
    assert parse_duration(text) == timedelta(seconds=value), "protobuf's JSON form"
    assert format_duration(timedelta(seconds=value)) == text, "and back"


@pytest.mark.parametrize(("number", "text"), [(0.1, "0.1s"), (10, "10s"), (100, "100s")])
def test_durations_keep_their_zeros(number: float, text: str) -> None:
    assert format_duration(timedelta(seconds=number)) == text, "100 is not 1"


def test_the_cluster_of_an_upstream_is_the_sni_that_asks_for_it() -> None:
    assert names.cluster_name("default-service-green-10000", "gloo-system") == "default-service-green-10000_gloo-system", "Gloo's public rule"
    assert names.discovered_upstream_name("default", "service-green", 10000) == "default-service-green-10000", "Gloo's public rule"
    assert names.gloo_instance_name("remote", "gloo-system") == "remote-gloo-system", "Gloo's public rule"
    assert names.proxy_role("gateway-proxy", "gloo-system") == "gloo-system~gateway-proxy", "Gloo's public rule"


def test_the_guides_scheme_is_read_and_written_back() -> None:
    given = {
        "metadata": {"name": "failover-scheme", "namespace": "gloo-fed"},
        "spec": {
            "failoverGroups": [{"priorityGroup": [{"cluster": "remote", "upstreams": [{"name": "green", "namespace": "gloo-system"}]}]}],
            "primary": {"clusterName": "local", "name": "blue", "namespace": "gloo-system"},
        },
        "status": {"state": "ACCEPTED", "observedGeneration": 1, "namespacedStatuses": {"gloo-fed": {"state": "ACCEPTED"}}},
    }
    assert FailoverScheme.model_validate(given).to_object() == given, "nothing is lost and nothing is added"


def test_a_status_of_another_version_makes_no_object_invalid() -> None:
    given = {"metadata": {"name": "blue"}, "spec": {}, "status": {"failover": {"serving": {"reason": "InventedLater"}}, "statuses": 7}}
    assert Upstream.parse(given).status is None, "it is what a controller said, and is not asked for"


def test_the_identity_of_a_clusters_gateway_is_its_annotation() -> None:
    given = {"metadata": {"name": "remote", "annotations": {names.IDENTITY_ANNOTATION: "failover-gateway.remote"}}, "spec": {"secretName": "remote"}}
    assert KubernetesCluster.parse(given).gateway_identity == "failover-gateway.remote", "as written"
    assert KubernetesCluster.parse({"spec": {"secretName": "remote"}}).gateway_identity is None, "not stated is not empty"


def test_a_gloo_instance_without_anything_is_valid() -> None:
    assert GlooInstance.parse({"spec": {"cluster": "remote"}}).spec.proxies == (), "a cluster in which nothing was found yet"
