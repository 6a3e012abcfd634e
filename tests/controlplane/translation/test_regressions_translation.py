"""Issues of Gloo whose cause lies in the translation, each as a test named after it (numbers of kgateway-dev/kgateway).

Those that other tests cover already are not repeated: docs/robustness.md lists every issue with its test.
"""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from translation_support import (
    BLUE,
    BLUE_CLUSTER,
    GREEN_CLUSTER,
    SSL_CONFIG,
    blue,
    cluster_of,
    failover,
    lb_endpoint,
    report_of,
    translated,
    unpacked,
)

from controlplane.translation.types import Translation
from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit


def endpoints_of(translation: Translation) -> list[Any]:
    """All endpoints of blue's cluster, whichever way they travel."""
    found = translation.endpoints.get(BLUE_CLUSTER) or cluster_of(translation).load_assignment
    return [endpoint for group in found.endpoints for endpoint in group.lb_endpoints]


def names_asked_for(cluster: Cluster) -> dict[str, str]:
    """The SNI of each transport socket match."""
    return {match.name: unpacked(match.transport_socket.typed_config, UpstreamTlsContext).sni for match in cluster.transport_socket_matches}


def test_gloo_10203_several_failover_endpoints_have_a_health_check_host_each() -> None:
    hosts = ("a.example.com", "b.example.com")
    given = failover(*(lb_endpoint(f"10.78.192.{n}", healthCheckConfig={"hostname": host}) for n, host in enumerate(hosts, 1)))
    checked = [each.endpoint.health_check_config.hostname for each in endpoints_of(translated(blue(failover=given)))]
    assert checked == ["", *hosts], "the primary has none, and so the host of the check"


def test_gloo_3638_an_endpoints_health_check_settings_need_a_check_and_that_is_said() -> None:
    given = failover(lb_endpoint(healthCheckConfig={"hostname": "green"}))
    report = report_of(translated(blue(failover=given, healthChecks=[])), "Upstream", BLUE)
    assert "without spec.healthChecks" in report.reason, "settings that nothing uses are not ignored in silence"
    tcp = [{"timeout": "1s", "interval": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1, "tcpHealthCheck": {}}]
    with_tcp = translated(blue(failover=given, healthChecks=tcp))
    assert report_of(with_tcp, "Upstream", BLUE).state is EdgeState.ACCEPTED, "and any check will do, not an HTTP one as a dummy"


def test_gloo_4642_a_path_for_one_endpoint_is_said_to_have_no_effect() -> None:
    for field, value in (("path", "/ready"), ("method", "POST")):
        given = failover(lb_endpoint(healthCheckConfig={field: value}))
        reason = report_of(translated(blue(failover=given)), "Upstream", BLUE).reason
        assert f"healthCheckConfig.{field}" in reason, "stock Envoy has one path and one method for a cluster"


def test_gloo_5677_health_checks_through_the_gateway_ask_by_the_name_that_requests_ask_by() -> None:
    cluster = cluster_of(translated(blue()))
    assert set(names_asked_for(cluster).values()) == {GREEN_CLUSTER}, "a fixed name: none that a request's Host could rewrite"
    for check in cluster.health_checks:
        assert not check.HasField("transport_socket_match_criteria"), "so a check goes by the same socket as the requests to that endpoint"
        assert not check.HasField("tls_options"), "with the same ALPN"


def test_gloo_10266_a_name_of_the_upstreams_own_is_asked_for_also_beside_failover_endpoints() -> None:
    own = {**SSL_CONFIG, "sni": "own.example.com"}
    hosts = {"static": {"hosts": [{"addr": "10.77.0.1", "port": 443}]}}
    given = blue(**hosts, kube=None, sslConfig=own)
    cluster = cluster_of(translated(given))
    default = unpacked(cluster.transport_socket.typed_config, UpstreamTlsContext)
    assert default.sni == "own.example.com", "the hosts of the Upstream"
    assert set(names_asked_for(cluster).values()) == {GREEN_CLUSTER}, "and the failover endpoint by its own"


def test_gloo_8720_7258_7260_one_dead_host_of_many_spills_as_the_user_says() -> None:
    for factor in (140, 600):
        given = {**failover(lb_endpoint()), "policy": {"overprovisioningFactor": factor}}
        assert translated(blue(failover=given)).endpoints[BLUE_CLUSTER].policy.overprovisioning_factor.value == factor, "by EDS"
        named = {**failover(lb_endpoint("lb.example.com")), "policy": {"overprovisioningFactor": factor}}
        assert cluster_of(translated(blue(failover=named))).load_assignment.policy.overprovisioning_factor.value == factor, (
            "and where Envoy resolves names"
        )
