"""Every field of an Upstream arrives in its cluster, and what Envoy would refuse is refused by its path before it gets there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from translation_support import BLUE, BLUE_CLUSTER, GREEN, SSL_CONFIG, blue, cluster_of, kube, report_of, translated, unpacked, upstream
from upstream_fields import FIELDS, MALFORMED, REFUSED, TLS_FIELDS, value_at

from gloo_api.meta import InvalidResource
from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit


def _named(row: tuple[Any, ...]) -> str:
    return json.dumps(row[0])[:90]


@pytest.mark.parametrize(("spec", "path", "expected"), FIELDS, ids=[_named(row) for row in FIELDS])
@pytest.mark.parametrize("failover", [True, False], ids=["failover", "plain"])
def test_a_field_arrives(spec: dict[str, Any], path: str, expected: Any, failover: bool) -> None:
    given = blue(**spec) if failover else upstream(**spec)
    translation = translated(given)
    assert value_at(cluster_of(translation), path) == expected, "user-set values always win"
    warned = "a retry cannot leave a failed priority" in report_of(translation, "Upstream", BLUE).reason
    assert report_of(translation, "Upstream", BLUE).state is (EdgeState.WARNING if warned else EdgeState.ACCEPTED), "a supported field is no problem"


@pytest.mark.parametrize(("config", "path", "expected"), TLS_FIELDS, ids=[_named(row) for row in TLS_FIELDS])
def test_a_tls_field_arrives(config: dict[str, Any], path: str, expected: Any) -> None:
    cluster = cluster_of(translated(upstream(sslConfig={**SSL_CONFIG, **config})))
    assert value_at(unpacked(cluster.transport_socket.typed_config, UpstreamTlsContext), path) == expected, "as written, and never below TLS 1.2"


def test_one_way_tls_shows_no_certificate_and_verifies_all_the_same() -> None:
    cluster = cluster_of(translated(upstream(sslConfig={**SSL_CONFIG, "oneWayTls": True})))
    common = unpacked(cluster.transport_socket.typed_config, UpstreamTlsContext).common_tls_context
    assert not common.tls_certificate_sds_secret_configs, "one way: the server alone shows a certificate"
    assert common.HasField("combined_validation_context"), "and it is verified"


@pytest.mark.parametrize(("spec", "said"), REFUSED, ids=[_named(row) for row in REFUSED])
def test_what_envoy_would_refuse_is_refused_by_its_path(spec: dict[str, Any], said: str) -> None:
    translation = translated(blue(**spec), upstream(GREEN, {"kube": kube("green")}))
    report = report_of(translation, "Upstream", BLUE)
    assert report.state is EdgeState.REJECTED, "Envoy would refuse the cluster, and say so to nobody but its control plane"
    assert said in report.reason, "field, value and what is allowed"
    assert BLUE_CLUSTER not in translation.clusters, "the proxy keeps the last good one"
    assert len(translation.clusters) == 1, "and everything else goes on"


@pytest.mark.parametrize(("spec", "said"), MALFORMED, ids=[_named(row) for row in MALFORMED])
def test_what_cannot_be_read_is_named(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidResource) as error:
        blue(**spec)
    assert said in str(error.value), "field, value and what is allowed"


@pytest.mark.parametrize("name", ["maglev", "ringHash"])
def test_a_balancer_that_a_retry_cannot_leave_is_warned_about(name: str) -> None:
    """kgateway#10457: consistent hashing disturbs failover."""
    report = report_of(translated(blue(loadBalancerConfig={name: {}})), "Upstream", BLUE)
    assert f"spec.loadBalancerConfig.{name}: a retry cannot leave a failed priority" in report.reason, "requests at the switch are lost with it"
    assert report_of(translated(upstream(loadBalancerConfig={name: {}})), "Upstream", BLUE).state is EdgeState.ACCEPTED, "without failover it is fine"


def test_http1_options_of_an_http2_upstream_are_reported() -> None:
    report = report_of(translated(upstream(useHttp2=True, connectionConfig={"http1ProtocolOptions": {"enableTrailers": True}})), "Upstream", BLUE)
    assert "spec.connectionConfig.http1ProtocolOptions: has no effect with useHttp2" in report.reason, "nothing is ignored in silence"
