"""TLS towards the endpoints of an Upstream: whose certificate is shown, who must answer, by which name, and what a bad Secret costs."""

from __future__ import annotations

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from translation_support import (
    AUTHORITY,
    BLUE,
    BLUE_CLUSTER,
    CLIENT,
    GREEN_CLUSTER,
    NAMESPACE,
    SERVER,
    SSL_CONFIG,
    blue,
    cluster_of,
    failover,
    lb_endpoint,
    report_of,
    secret,
    translated,
    unpacked,
)

from controlplane.translation.types import Key
from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit


def failover_tls(cluster: Cluster) -> UpstreamTlsContext:
    (match,) = cluster.transport_socket_matches
    context = unpacked(match.transport_socket.typed_config, UpstreamTlsContext)
    assert isinstance(context, UpstreamTlsContext)
    return context


def test_the_own_endpoints_are_plain_and_the_failover_endpoint_is_mutual_tls() -> None:
    translation = translated(blue())
    cluster, assignment = cluster_of(translation), translation.endpoints[BLUE_CLUSTER]
    own, other = (group.lb_endpoints[0] for group in assignment.endpoints)
    assert not cluster.HasField("transport_socket"), "without sslConfig the Upstream's own endpoints are plain text"
    assert not own.metadata.filter_metadata, "an endpoint without a match uses the cluster's own transport socket"
    (match,) = cluster.transport_socket_matches
    assert other.metadata.filter_metadata["envoy.transport_socket_match"] == match.match, "the endpoint names its TLS settings"


def test_the_failover_endpoint_asks_by_sni_and_verifies_who_answers() -> None:
    context = failover_tls(cluster_of(translated(blue())))
    common = context.common_tls_context
    assert context.sni == GREEN_CLUSTER, "the Gateway finds the cluster by this name"
    (san,) = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    assert san.matcher.exact == SERVER, "any certificate of the CA would do otherwise, a client's too"
    assert common.combined_validation_context.validation_context_sds_secret_config.name == f"{NAMESPACE}/failover-upstream/ca", "the CA comes by SDS"
    assert common.tls_params.tls_minimum_protocol_version == common.tls_params.TLSv1_2, "nothing older is spoken"


def test_the_client_certificate_comes_by_sds_on_the_same_stream() -> None:
    translation = translated(blue())
    (certificate,) = failover_tls(cluster_of(translation)).common_tls_context.tls_certificate_sds_secret_configs
    assert certificate.sds_config.HasField("ads"), "a new certificate must not make a new cluster"
    assert set(translation.secrets) == {f"{NAMESPACE}/failover-upstream", f"{NAMESPACE}/failover-upstream/ca"}, "a proxy gets what it uses, no more"


def test_http1_is_forced_by_alpn() -> None:
    assert list(failover_tls(cluster_of(translated(blue()))).common_tls_context.alpn_protocols) == ["http/1.1"], "the far end may know no h2"


def test_rotating_a_certificate_changes_no_cluster() -> None:
    before = translated(blue())
    secrets = {Key(NAMESPACE, "failover-upstream"): secret(AUTHORITY.issue(CLIENT))}
    after = translated(blue(), secrets=secrets)
    assert before.clusters == after.clusters, "a changed cluster would lose its connections and the health of its endpoints"
    assert before.secrets != after.secrets, "the new certificate arrives"


def test_own_tls_settings_are_for_all_endpoints_without_their_own() -> None:
    cluster = cluster_of(translated(blue(sslConfig=SSL_CONFIG, failover=failover({"address": "10.78.0.5", "port": 1}))))
    assert cluster.transport_socket.name == "envoy.transport_sockets.tls", "sslConfig is the default of the cluster"
    assert not cluster.transport_socket_matches, "an endpoint without settings of its own uses the default"


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        ({}, "does not exist"),
        ({Key(NAMESPACE, "failover-upstream"): secret(ca="")}, "needs a ca.crt"),
        ({Key(NAMESPACE, "failover-upstream"): secret(ca="no certificate")}, "ca.crt holds no PEM certificate"),
    ],
)
def test_a_bad_failover_secret_costs_the_failover_endpoint_and_not_the_primary(secrets: dict[Key, object], why: str) -> None:
    translation = translated(blue(), secrets=secrets)
    own, other = translation.endpoints[BLUE_CLUSTER].endpoints
    assert len(own.lb_endpoints) == 1, "the primary goes on"
    assert not other.lb_endpoints, "a failover without its TLS settings would leak or fail"
    report = report_of(translation, "Upstream", BLUE)
    assert report.state is EdgeState.WARNING, "served, but for what is named"
    assert "spec.failover.prioritizedLocalities[0].localityEndpoints[0].lbEndpoints[0].upstreamSslConfig" in report.reason, "the field is named"
    assert why in report.reason, "the reason is named"


def test_a_key_that_is_not_the_certificates_is_refused_without_showing_it() -> None:
    one, other = AUTHORITY.issue(CLIENT), AUTHORITY.issue(CLIENT)
    mixed = secret(type(one)(certificate=one.certificate, key=other.key))
    report = report_of(translated(blue(), secrets={Key(NAMESPACE, "failover-upstream"): mixed}), "Upstream", BLUE)
    assert "tls.key is not the key of the certificate in tls.crt" in report.reason, "Envoy would refuse the secret, and say so to nobody"
    assert "PRIVATE" not in report.reason + repr(mixed), "a key never shows in a text"


def test_a_server_that_is_not_verified_is_warned_about() -> None:
    config = {name: value for name, value in SSL_CONFIG.items() if name != "verifySubjectAltName"}
    translation = translated(
        blue(failover=failover(lb_endpoint(upstreamSslConfig=config))), secrets={Key(NAMESPACE, "failover-upstream"): secret(ca="")}
    )
    assert "the server is not verified" in report_of(translation, "Upstream", BLUE).reason, "the guide's own commands leave ca.crt out"
    assert not failover_tls(cluster_of(translation)).common_tls_context.WhichOneof("validation_context_type"), "as in Gloo, no CA means no check"


def test_an_http2_upstream_is_spoken_to_in_http2_and_offers_it_by_alpn() -> None:
    cluster = cluster_of(translated(blue(useHttp2=True)))
    (options,) = cluster.typed_extension_protocol_options.values()
    assert unpacked(options, HttpProtocolOptions).explicit_http_config.HasField("http2_protocol_options"), "asked for"
    assert list(failover_tls(cluster).common_tls_context.alpn_protocols) == ["h2"], "the far side is an opaque pipe to the same kind of server"
