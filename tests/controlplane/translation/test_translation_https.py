"""HTTPS and the rest of what a Gateway can be: which VirtualServices it serves, who may come in, where TCP connections go."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpConnectionManager
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from translation_support import (
    GREEN,
    GREEN_CLUSTER,
    NAMESPACE,
    failover_gateway,
    http_gateway,
    kube,
    metadata,
    report_of,
    tcp_host,
    translated,
    unpacked,
    upstream,
)

from controlplane.translation import tcp
from controlplane.translation.types import Key, Translation
from gloo_api.meta import InvalidResource
from gloo_api.status import EdgeState
from gloo_api.virtual_service import VirtualService

pytestmark = pytest.mark.unit

SECRET = {"secretRef": {"name": "failover-downstream", "namespace": NAMESPACE}}
GREEN_UPSTREAM = upstream(GREEN, {"kube": kube("green")})
ANSWER = {"directResponseAction": {"status": 200}}


def service(name: str, *, ssl: dict[str, Any] | None, domains: tuple[str, ...] = ("*",), **meta: Any) -> VirtualService:
    spec: dict[str, Any] = {"virtualHost": {"domains": list(domains), "routes": [ANSWER]}}
    if ssl is not None:
        spec["sslConfig"] = ssl
    return VirtualService.parse({"metadata": metadata(name, **meta), "spec": spec})


def https_gateway(**more: Any) -> Any:
    return http_gateway("https", bindPort=8443, ssl=True, **more)


def only_listener(translation: Translation) -> Listener:
    (listener,) = translation.listeners.values()
    assert isinstance(listener, Listener)
    return listener


def hosts(translation: Translation) -> dict[tuple[str, ...], list[str]]:
    """Virtual hosts by the server names of their chain."""
    found = {}
    for chain in only_listener(translation).filter_chains:
        manager = unpacked(chain.filters[0].typed_config, HttpConnectionManager)
        configuration: Any = translation.routes[manager.rds.route_config_name]
        found[tuple(chain.filter_chain_match.server_names)] = [host.name for host in configuration.virtual_hosts]
    return found


def tls_of(translation: Translation) -> DownstreamTlsContext:
    context: DownstreamTlsContext = unpacked(only_listener(translation).filter_chains[0].transport_socket.typed_config, DownstreamTlsContext)
    return context


def test_https_serves_those_with_tls_and_http_those_without() -> None:
    translation = translated(http_gateway(), https_gateway(), service("plain", ssl=None), service("secure", ssl=SECRET))
    configurations: Any = translation.routes
    served = {name: [host.name for host in each.virtual_hosts] for name, each in configurations.items()}
    assert served.pop("listener-::-8080-routes") == ["gloo-system.plain"], "what asks for TLS is not served without"
    ((name, only),) = served.items()
    assert name.startswith("listener-::-8443-routes-"), "the routes of an HTTPS Gateway are told by its name"
    assert only == ["gloo-system.secure"], "and what does not ask for it is not served with it"


def test_virtual_services_with_the_same_tls_settings_share_a_chain() -> None:
    one, two = {**SECRET, "sniDomains": ["A.example.com"]}, {**SECRET, "sniDomains": ["*.b.example.com"]}
    translation = translated(https_gateway(), service("a1", ssl=one, domains=("a1",)), service("a2", ssl=one, domains=("a2",)), service("b", ssl=two))
    assert hosts(translation) == {("a.example.com",): ["gloo-system.a1", "gloo-system.a2"], ("*.b.example.com",): ["gloo-system.b"]}, (
        "on one connection either of them may be asked for; server names are compared in lower case"
    )
    names = [item.name for item in only_listener(translation).listener_filters]
    assert names == ["envoy.filters.listener.tls_inspector"], "without it no server name is read"
    assert len({chain.name for chain in only_listener(translation).filter_chains}) == 2, "each chain has a name of its own"


def test_a_server_name_stays_with_the_older_virtual_service() -> None:
    older = service("zz", ssl={**SECRET, "sniDomains": ["a", "b"]}, creationTimestamp="2026-01-01T00:00:00Z")
    newer = service("aa", ssl={**SECRET, "sniDomains": ["b"], "oneWayTls": True}, creationTimestamp="2026-02-01T00:00:00Z")
    translation = translated(https_gateway(), older, newer)
    assert list(hosts(translation)) == [("a", "b")], "Envoy would refuse the whole listener"
    reason = report_of(translation, "VirtualService", "aa").reason
    assert 'spec.sslConfig.sniDomains: "b" is served already with other TLS settings by VirtualService gloo-system/zz' in reason, "value and owner"


def test_the_same_secret_name_in_another_namespace_is_another_secret() -> None:
    here = service("here", ssl={"secretRef": {"name": "failover-downstream"}, "sniDomains": ["a"]})
    there = VirtualService.parse({**here.to_object(), "metadata": {"name": "there", "namespace": "other"}})
    translation = translated(https_gateway(), here, there)
    assert hosts(translation) == {("a",): ["gloo-system.here"]}, "the second one's certificate is not the first one's"


def test_https_offers_http2_and_http1() -> None:
    common = tls_of(translated(https_gateway(), service("a", ssl=SECRET))).common_tls_context
    assert list(common.alpn_protocols) == ["h2", "http/1.1"], "Gloo's default"
    none = tls_of(translated(https_gateway(), service("a", ssl={**SECRET, "alpnProtocols": ["allow_empty"]}))).common_tls_context
    assert list(none.alpn_protocols) == [], "Gloo's word for none"
    assert common.tls_params.tls_minimum_protocol_version == 3, "never below TLS 1.2"


@pytest.mark.parametrize(("one_way", "required"), [(False, True), (True, False)])
def test_clients_show_a_certificate_when_there_is_a_ca_for_it(one_way: bool, required: bool) -> None:
    context = tls_of(translated(https_gateway(), service("a", ssl={**SECRET, "oneWayTls": one_way})))
    assert context.require_client_certificate.value is required, "Gloo's rule"


def test_the_settings_of_tls_are_carried_out() -> None:
    parameters = {"minimumProtocolVersion": "TLSv1_3", "ecdhCurves": ["X25519"]}
    listener = only_listener(
        translated(https_gateway(), service("a", ssl={**SECRET, "parameters": parameters, "transportSocketConnectTimeout": "3s"}))
    )
    (chain,) = listener.filter_chains
    params = unpacked(chain.transport_socket.typed_config, DownstreamTlsContext).common_tls_context.tls_params
    assert (params.tls_minimum_protocol_version, list(params.ecdh_curves)) == (4, ["X25519"]), "as written"
    assert chain.transport_socket_connect_timeout.seconds == 3, "as written"


def test_a_virtual_service_whose_secret_is_unusable_costs_nobody_else() -> None:
    bad = service("bad", ssl={"secretRef": {"name": "missing"}, "sniDomains": ["bad"]})
    translation = translated(https_gateway(), bad, service("good", ssl={**SECRET, "sniDomains": ["good"]}))
    assert hosts(translation) == {("good",): ["gloo-system.good"]}, "it is left out"
    report = report_of(translation, "VirtualService", "bad")
    assert (report.state, "spec.sslConfig.secretRef: Secret gloo-system/missing" in report.reason) == (EdgeState.REJECTED, True), "field and value"


def test_https_without_a_virtual_service_listens_to_nobody() -> None:
    translation = translated(https_gateway(), service("plain", ssl=None))
    assert not translation.listeners, "there is no certificate to show"
    assert "spec.ssl: no VirtualService with a usable sslConfig" in report_of(translation, "Gateway", "https").reason, "and it says so"


@pytest.mark.parametrize("name", ["*", "a*.example.com", "a b"])
def test_a_server_name_that_envoy_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(InvalidResource, match=r"sslConfig\.sniDomains\[0\]"):
        service("a", ssl={**SECRET, "sniDomains": [name]})


def test_the_proxy_protocol_is_read_before_everything_else() -> None:
    names = [item.name for item in only_listener(translated(https_gateway(useProxyProto=True), service("a", ssl=SECRET))).listener_filters]
    assert names == ["envoy.filters.listener.proxy_protocol", "envoy.filters.listener.tls_inspector"], "the handshake comes after it"


@pytest.mark.parametrize(("given", "limit"), [({}, 1024 * 1024), ({"options": {"perConnectionBufferLimitBytes": 4096}}, 4096)])
def test_the_buffer_that_bounds_retried_bodies_is_said(given: dict[str, Any], limit: int) -> None:
    listener = only_listener(translated(http_gateway(**given)))
    assert listener.per_connection_buffer_limit_bytes.value == limit, "as written, else Envoy's default, on purpose"


def test_web_sockets_pass() -> None:
    manager = unpacked(only_listener(translated(http_gateway())).filter_chains[0].filters[0].typed_config, HttpConnectionManager)
    assert [upgrade.upgrade_type for upgrade in manager.upgrade_configs] == ["websocket"], "as in Gloo"


def multi(*shares: tuple[str, int]) -> dict[str, Any]:
    destinations = [{"destination": {"upstream": {"name": name, "namespace": NAMESPACE}}, "weight": weight} for name, weight in shares]
    return {**tcp_host(), "destination": {"multi": {"destinations": destinations}}}


def proxy_of(translation: Translation) -> TcpProxy:
    found: TcpProxy = unpacked(only_listener(translation).filter_chains[0].filters[-1].typed_config, TcpProxy)
    return found


def test_tcp_connections_are_shared_by_weight() -> None:
    given = failover_gateway(multi((GREEN, 3), ("teal", 1), ("unused", 0)))
    translation = translated(GREEN_UPSTREAM, upstream("teal", {"kube": kube("blue")}), given)
    found = [(each.name, each.weight) for each in proxy_of(translation).weighted_clusters.clusters]
    assert found == [(GREEN_CLUSTER, 3), (f"teal_{NAMESPACE}", 1)], "as written"


def test_the_share_of_a_missing_upstream_is_not_given_to_others() -> None:
    translation = translated(GREEN_UPSTREAM, failover_gateway(multi((GREEN, 1), ("missing", 1))))
    found = [each.name for each in proxy_of(translation).weighted_clusters.clusters]
    assert found == [GREEN_CLUSTER, f"missing_{NAMESPACE}"], "its connections are closed"
    reason = report_of(translation, "Gateway", "failover-gateway").reason
    assert (
        "tcpHosts[0].destination.multi: Upstream gloo-system/missing does not exist or is not usable; connections of its share are closed" in reason
    ), "said"


@pytest.mark.parametrize(("name", "reachable"), [(GREEN, True), ("teal", True), ("unused", False), ("other", False)])
def test_an_upstream_with_a_share_is_reachable_by_tcp(name: str, reachable: bool) -> None:
    given = failover_gateway(multi((GREEN, 3), ("teal", 1), ("unused", 0)))
    found = tcp.exposes(given, cluster=f"{name}_{NAMESPACE}", upstream=Key(NAMESPACE, name))
    assert found is reachable, "its connections are closed when it fails; HTTP's are drained"


def test_the_settings_of_the_tcp_proxy_are_carried_out() -> None:
    gateway = {"tcpHosts": [tcp_host()], "options": {"tcpProxySettings": {"maxConnectAttempts": 5, "idleTimeout": "60s"}}}
    proxy = proxy_of(translated(GREEN_UPSTREAM, failover_gateway(tcpGateway=gateway)))
    assert (proxy.max_connect_attempts.value, proxy.idle_timeout.seconds) == (5, 60), "as written"


def test_an_endpoint_that_refuses_a_tcp_connection_is_not_the_last_that_is_tried() -> None:
    proxy = proxy_of(translated(GREEN_UPSTREAM, failover_gateway(tcpGateway={"tcpHosts": [tcp_host()]})))
    assert proxy.max_connect_attempts.value == tcp.CONNECT_ATTEMPTS > 1, "Envoy's own default is one attempt"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            http_gateway(httpGateway={"virtualServices": [{"name": "a"}], "virtualServiceSelector": {"a": "b"}}),
            "spec.httpGateway.virtualServices: has no effect",
        ),
        (
            http_gateway(httpGateway={"virtualServices": [{"name": "a"}], "virtualServiceNamespaces": ["a"]}),
            "virtualServiceNamespaces: has no effect",
        ),
        (failover_gateway(ssl=True), "spec.ssl: has no effect on TCP"),
    ],
)
def test_what_has_no_effect_is_said(given: Any, said: str) -> None:
    assert said in report_of(translated(GREEN_UPSTREAM, given), "Gateway", given.metadata.name).reason, "nothing is ignored in silence"


def test_headers_cannot_be_changed_on_tcp() -> None:
    host = multi((GREEN, 1))
    host["destination"]["multi"]["destinations"][0]["options"] = {"headerManipulation": {"requestHeadersToRemove": ["x"]}}
    reason = report_of(translated(GREEN_UPSTREAM, failover_gateway(host)), "Gateway", "failover-gateway").reason
    assert "tcpHosts[0].destination.multi.destinations[0].options.headerManipulation: has no effect on TCP" in reason, "there are none"
