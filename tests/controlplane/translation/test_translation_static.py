"""Fixed hosts: which server name each is asked for, and what Gloo's shorthands for TLS become."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from translation_support import BLUE, SSL_CONFIG, blue, cluster_of, report_of, translated, unpacked, upstream

from gloo_api.meta import InvalidResource
from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit

NO_SNI = {name: value for name, value in SSL_CONFIG.items() if name != "sni"}


def static(*hosts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"static": {"hosts": [{"port": 8443, **host} for host in hosts], **more}}


def server_names(spec: dict[str, Any]) -> list[str]:
    """The server name that each host is asked for; "plain" without TLS."""
    translation = translated(upstream(spec=spec))
    cluster = cluster_of(translation)
    own = unpacked(cluster.transport_socket.typed_config, UpstreamTlsContext).sni if cluster.HasField("transport_socket") else "plain"
    by_name = {match.name: unpacked(match.transport_socket.typed_config, UpstreamTlsContext).sni for match in cluster.transport_socket_matches}
    (group,) = (translation.endpoints.get(cluster.name) or cluster.load_assignment).endpoints
    matches = [endpoint.metadata.filter_metadata["envoy.transport_socket_match"] for endpoint in group.lb_endpoints]
    return [by_name[match["tls"]] if "tls" in match else own for match in matches]


@pytest.mark.parametrize(
    ("spec", "expected", "why"),
    [
        (static({"addr": "a.example"}, {"addr": "10.77.0.1"}), ["plain", "plain"], "nobody asked for TLS"),
        ({**static({"addr": "a.example"}, {"addr": "10.77.0.1"}), "sslConfig": NO_SNI}, ["a.example", ""], "an address is no server name"),
        ({**static({"addr": "a.example"}), "sslConfig": SSL_CONFIG}, [SSL_CONFIG["sni"]], "the user's sni is not overwritten (gloo#10266)"),
        ({**static({"addr": "a.example", "sniAddr": "b.example"}), "sslConfig": SSL_CONFIG}, ["b.example"], "the host's own wins"),
        ({**static({"addr": "a.example"}, autoSniRewrite=False), "sslConfig": NO_SNI}, [""], "switched off"),
        (static({"addr": "a.example", "port": 443}), ["a.example"], "port 443 means TLS, as in Gloo"),
        (static({"addr": "a.example", "port": 443}, useTls=False), ["plain"], "unless it is said not to"),
        (static({"addr": "10.77.0.1", "sniAddr": "b.example"}, useTls=True), ["b.example"], "TLS without sslConfig"),
    ],
)
def test_a_static_host_is_asked_for_its_name(spec: dict[str, Any], expected: list[str], why: str) -> None:
    assert server_names(spec) == expected, why


def test_tls_that_verifies_nobody_is_warned_about() -> None:
    report = report_of(translated(upstream(spec=static({"addr": "a.example", "port": 443}))), "Upstream", BLUE)
    assert "the server is not verified" in report.reason, "Gloo's shorthand encrypts and trusts everyone"


def test_a_failover_endpoint_keeps_its_own_server_name() -> None:
    """kgateway#5677: rewriting the server name of static hosts broke the checks of failover endpoints."""
    given = blue(sslConfig=NO_SNI).to_object()["spec"]
    spec = {name: value for name, value in given.items() if name != "kube"} | static({"addr": "a.example"})
    cluster = cluster_of(translated(upstream(spec=spec)))
    names = sorted(unpacked(match.transport_socket.typed_config, UpstreamTlsContext).sni for match in cluster.transport_socket_matches)
    assert names == ["a.example", SSL_CONFIG["sni"]], "each endpoint has its own"


def test_no_hosts_are_refused() -> None:
    """kgateway#6374: a primary without hosts brought the control plane down."""
    with pytest.raises(InvalidResource, match=r"spec\.static\.hosts"):
        upstream(spec={"static": {"hosts": []}})


def test_weights_arrive_and_may_not_overflow() -> None:
    hosts = static({"addr": "10.77.0.1", "loadBalancingWeight": 2**31}, {"addr": "10.77.0.2", "loadBalancingWeight": 2**31})
    report = report_of(translated(upstream(spec=hosts)), "Upstream", BLUE)
    assert report.state is EdgeState.REJECTED, "Envoy would refuse the endpoints"
    assert f"spec.static.hosts: the values of loadBalancingWeight add up to {2**32}" in report.reason, "field and value"


def test_a_path_of_a_host_is_reported() -> None:
    spec = {**static({"addr": "10.77.0.1", "healthCheckConfig": {"path": "/x"}}), "healthChecks": blue().to_object()["spec"]["healthChecks"]}
    report = report_of(translated(upstream(spec=spec)), "Upstream", BLUE)
    assert 'spec.static.hosts[0].healthCheckConfig.path: "/x" has no effect' in report.reason, "Envoy has one path for all hosts"


def test_the_same_address_twice_stays_two() -> None:
    hosts = static({"addr": "10.77.0.1", "sniAddr": "a.example"}, {"addr": "10.77.0.1", "sniAddr": "b.example"})
    cluster = cluster_of(translated(upstream(spec={**hosts, "sslConfig": SSL_CONFIG})))
    assert cluster.type == Cluster.STATIC, "EDS would keep the first (envoy#22417)"
