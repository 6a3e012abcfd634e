"""Gateways become listeners: who may come in, by which name, and where they end up."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpConnectionManager
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import ON_DOWNSTREAM_TLS_HANDSHAKE, TcpProxy
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from translation_support import (
    AUTHORITY,
    CLIENT,
    GREEN,
    GREEN_CLUSTER,
    NAMESPACE,
    SERVER,
    failover_gateway,
    http_gateway,
    kube,
    report_of,
    secret,
    tcp_host,
    translated,
    unpacked,
    upstream,
)

from controlplane.translation.types import Key, Translation
from gloo_api.gateway import Gateway
from gloo_api.meta import InvalidResource
from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit

GREEN_UPSTREAM = upstream(GREEN, {"kube": kube("green")})


def only_listener(translation: Translation) -> Listener:
    (listener,) = translation.listeners.values()
    assert isinstance(listener, Listener)
    return listener


def tls_of(translation: Translation) -> DownstreamTlsContext:
    context = unpacked(only_listener(translation).filter_chains[0].transport_socket.typed_config, DownstreamTlsContext)
    assert isinstance(context, DownstreamTlsContext)
    return context


def test_an_http_gateway_gets_its_routes_by_rds_on_the_same_stream() -> None:
    listener = only_listener(translated(http_gateway()))
    manager = unpacked(listener.filter_chains[0].filters[0].typed_config, HttpConnectionManager)
    assert manager.rds.config_source.HasField("ads"), "one stream keeps clusters before routes"
    assert manager.rds.route_config_name in translated(http_gateway()).routes, "what the listener asks for is there"
    assert manager.use_remote_address.value, "what a client says about its own address is not believed"


ALL = "0.0.0.0"  # noqa: S104 - what is under test


@pytest.mark.parametrize(
    ("bind", "proxy", "bound"),
    [("::", "127.77.0.9", "127.77.0.9"), (ALL, "127.77.0.9", "127.77.0.9"), ("10.1.2.3", "127.77.0.9", "10.1.2.3"), (ALL, None, ALL)],
)
def test_a_gateway_on_all_addresses_binds_the_proxys_own(bind: str, proxy: str | None, bound: str) -> None:
    address = only_listener(translated(http_gateway(bindAddress=bind), bind_address=proxy)).address.socket_address
    assert (address.address, address.port_value) == (bound, 8080), "processes share the host: two proxies must not want the same address"


def test_the_wildcard_of_ipv6_takes_ipv4_too() -> None:
    address = only_listener(translated(http_gateway(), bind_address=None)).address.socket_address
    assert (address.address, address.ipv4_compat) == ("::", True), "otherwise nobody could come by IPv4"


def test_a_server_name_chooses_the_cluster() -> None:
    listener = only_listener(translated(GREEN_UPSTREAM, failover_gateway()))
    names = [item.name for item in listener.filter_chains[0].filters]
    assert names == ["envoy.filters.network.sni_cluster", "envoy.filters.network.tcp_proxy"], "sni_cluster sets what tcp_proxy dials"
    assert [item.name for item in listener.listener_filters] == ["envoy.filters.listener.tls_inspector"], "without it no server name is ever read"
    proxy = unpacked(listener.filter_chains[0].filters[1].typed_config, TcpProxy)
    assert proxy.WhichOneof("cluster_specifier") == "cluster", "Envoy requires one"
    assert proxy.cluster == "", "without a server name nothing is reached"


def test_the_upstream_is_dialled_after_the_client_is_known() -> None:
    proxy = unpacked(only_listener(translated(failover_gateway())).filter_chains[0].filters[1].typed_config, TcpProxy)
    assert proxy.upstream_connect_mode == ON_DOWNSTREAM_TLS_HANDSHAKE, "strangers could make connections to the upstream otherwise"


def test_only_the_listed_server_names_come_in() -> None:
    match = only_listener(translated(failover_gateway())).filter_chains[0].filter_chain_match
    assert list(match.server_names) == [GREEN_CLUSTER], "any other cluster of the proxy would be within reach of every client"


def test_a_client_needs_a_certificate_of_the_ca_with_the_right_name() -> None:
    context = tls_of(translated(failover_gateway()))
    common = context.common_tls_context
    assert context.require_client_certificate.value, "a ca.crt means that clients are verified"
    (san,) = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    assert (san.san_type, san.matcher.exact) == (san.DNS, CLIENT), "not every certificate of the CA is a client"
    assert common.combined_validation_context.validation_context_sds_secret_config.name == f"{NAMESPACE}/failover-downstream/ca", (
        "the CA comes by SDS"
    )
    assert common.tls_params.tls_minimum_protocol_version == common.tls_params.TLSv1_2, "nothing older is spoken"
    assert list(common.alpn_protocols) == ["http/1.1"], "the bytes are passed on unread, so nothing may be negotiated that the upstream cannot speak"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.example.com", "DNS"), ("spiffe://cluster/ns/a", "URI"), ("a@example.com", "EMAIL"), ("10.0.0.1", "IP_ADDRESS")],
)
def test_the_form_of_a_name_says_its_type(name: str, kind: str) -> None:
    context = tls_of(translated(failover_gateway(tcp_host(verifySubjectAltName=[name]))))
    (san,) = context.common_tls_context.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    assert san.san_type == getattr(san, kind), "a name of the wrong type never matches"


def test_without_ca_nobody_is_asked_for_a_certificate_and_that_is_said() -> None:
    secrets = {Key(NAMESPACE, "failover-downstream"): secret(AUTHORITY.issue(SERVER), ca="")}
    translation = translated(failover_gateway(tcp_host(verifySubjectAltName=[])), secrets=secrets)
    assert not tls_of(translation).require_client_certificate.value, "as in Gloo: a certificate is asked for exactly when there is a ca.crt"
    assert "anyone can connect" in report_of(translation, "Gateway", "failover-gateway").reason, "nobody should be surprised by it"


def test_one_way_tls_asks_for_no_certificate() -> None:
    translation = translated(failover_gateway(tcp_host(verifySubjectAltName=[], oneWayTls=True)))
    assert not tls_of(translation).require_client_certificate.value, "as written, even with a ca.crt"


def test_names_cannot_be_verified_without_ca() -> None:
    secrets = {Key(NAMESPACE, "failover-downstream"): secret(AUTHORITY.issue(SERVER), ca="")}
    translation = translated(failover_gateway(), secrets=secrets)
    report = report_of(translation, "Gateway", "failover-gateway")
    assert report.state is EdgeState.REJECTED, "an open door where a lock was asked for is no service"
    assert not translation.listeners, "nothing listens"
    assert "spec.tcpGateway.tcpHosts[0].sslConfig.verifySubjectAltName" in report.reason, "the field is named"


def test_an_open_choice_of_clusters_is_warned_about() -> None:
    translation = translated(failover_gateway(tcp_host(sni_domains=())))
    report = report_of(translation, "Gateway", "failover-gateway")
    assert report.state is EdgeState.WARNING, "the guide's Gateway works, and says what it opens"
    assert "reaches every Upstream of this proxy" in report.reason, "what is at stake"


def test_a_single_destination_is_dialled_whatever_the_name() -> None:
    host = {**tcp_host(), "destination": {"single": {"upstream": {"name": GREEN, "namespace": NAMESPACE}}}}
    listener = only_listener(translated(GREEN_UPSTREAM, failover_gateway(host)))
    (only,) = listener.filter_chains[0].filters
    assert unpacked(only.typed_config, TcpProxy).cluster == GREEN_CLUSTER, "as written"


def test_one_bad_host_costs_nobody_but_itself() -> None:
    bad = tcp_host("bad", sni_domains=("x",), secretRef={"name": "missing", "namespace": NAMESPACE})
    translation = translated(failover_gateway(bad, tcp_host()))
    assert [chain.name for chain in only_listener(translation).filter_chains] == ["failover"], "the good host goes on"
    report = report_of(translation, "Gateway", "failover-gateway")
    assert report.state is EdgeState.WARNING, "served, but for what is named"
    assert "spec.tcpGateway.tcpHosts[0].sslConfig.secretRef: Secret gloo-system/missing does not exist" in report.reason, "field and value"


def test_two_hosts_for_one_name_would_make_envoy_refuse_the_listener() -> None:
    translation = translated(failover_gateway(tcp_host("one"), tcp_host("two")))
    assert [chain.name for chain in only_listener(translation).filter_chains] == ["one"], "the first keeps the name"
    assert 'host "one" has it already' in report_of(translation, "Gateway", "failover-gateway").reason, "who has it"


def test_a_port_stays_with_the_older_gateway() -> None:
    newer = http_gateway("aa", meta={"creationTimestamp": "2026-02-01T00:00:00Z"})
    older = http_gateway("zz", meta={"creationTimestamp": "2026-01-01T00:00:00Z"})
    translation = translated(newer, older)
    assert len(translation.listeners) == 1, "two listeners cannot bind one port"
    assert report_of(translation, "Gateway", "zz").state is EdgeState.ACCEPTED, "the older one goes on"
    reason = report_of(translation, "Gateway", "aa").reason
    assert "spec.bindPort: 8080 is taken by Gateway gloo-system/zz" in reason, "field, value and owner"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"bindAddress": "localhost"}, 'spec.bindAddress: "localhost" is not allowed'),
        ({"tcpGateway": {"tcpHosts": []}, "httpGateway": None}, "spec.tcpGateway.tcpHosts: is empty"),
    ],
)
def test_a_bad_gateway_is_rejected_by_field(given: dict[str, Any], field: str) -> None:
    translation = translated(http_gateway(**given), failover_gateway())
    report = report_of(translation, "Gateway", "gateway-proxy")
    assert report.state is EdgeState.REJECTED, "it cannot be served as asked for"
    assert field in report.reason, "field and value are named"
    assert set(translation.listeners) == {"listener-::-15443"}, "one bad Gateway costs nobody but itself"


def test_a_gateway_of_another_proxy_is_not_served() -> None:
    translation = translated(http_gateway(proxyNames=["other"]))
    assert not translation.listeners, "it is for another proxy"
    assert not translation.reports, "and so is the report"


@pytest.mark.parametrize("field", ["sslFiles", "sds", "ocspStaplePolicy", "disableTlsSessionResumption"])
def test_tls_settings_that_are_not_understood_are_refused(field: str) -> None:
    given: dict[str, Any] = {field: {}}
    with pytest.raises(InvalidResource, match=rf"spec\.tcpGateway\.tcpHosts\[0\]\.sslConfig\.{field}: is not supported here"):
        failover_gateway(tcp_host(**given))


@pytest.mark.parametrize("given", [{"httpGateway": None}, {"tcpGateway": {"tcpHosts": [tcp_host()]}}])
def test_a_gateway_is_of_one_kind(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidResource, match="exactly one of httpGateway and tcpGateway"):
        http_gateway(**given)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"hybridGateway": {}}, r"spec\.hybridGateway"),
        ({"httpGateway": {"options": {"waf": {}}}}, r"spec\.httpGateway\.options\.waf"),
        (
            {"httpGateway": None, "tcpGateway": {"tcpHosts": [tcp_host()], "options": {"connectionLimit": {}}}},
            r"spec\.tcpGateway\.options\.connectionLimit",
        ),
    ],
)
def test_a_protection_that_would_be_ignored_is_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidResource, match=f"{field}: is not supported here"):
        http_gateway(**given)


def test_a_gateway_without_address_is_refused() -> None:
    with pytest.raises(InvalidResource, match=r"spec\.bindAddress: is required"):
        Gateway.parse({"spec": {"bindPort": 1}})
