"""Upstreams become clusters that lose nothing when they fail over. The rules are those of Envoy's defaults that would lose requests."""

from __future__ import annotations

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.health_check.event_sinks.file.v3.file_pb2 import HealthCheckEventFileSink
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from envoy.type.v3.http_pb2 import HTTP1, HTTP2
from translation_support import (
    BLUE,
    BLUE_CLUSTER,
    GREEN,
    GREEN_CLUSTER,
    HEALTH_CHECK,
    SSL_CONFIG,
    blue,
    cluster_of,
    failover,
    failover_gateway,
    http_gateway,
    kube,
    lb_endpoint,
    report_of,
    tcp_host,
    translated,
    unpacked,
    upstream,
    virtual_service,
)

from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit


def test_a_kube_upstream_gets_its_endpoints_by_eds_on_the_same_stream() -> None:
    cluster = cluster_of(translated(blue()))
    assert cluster.name == BLUE_CLUSTER, "the name is also the SNI that other clusters ask for"
    assert cluster.type == Cluster.EDS, "endpoints must come and go without touching the cluster"
    assert cluster.eds_cluster_config.eds_config.HasField("ads"), "one stream keeps CDS before EDS"


def test_a_second_change_of_health_is_not_delayed() -> None:
    config = cluster_of(translated(blue())).common_lb_config
    assert config.HasField("update_merge_window"), "left out, Envoy waits a second before it sees the second change"
    assert config.update_merge_window.ToNanoseconds() == 0, "every change of health counts at once"


def test_an_upstream_without_traffic_is_checked_as_often_as_any() -> None:
    check = cluster_of(translated(blue(healthChecks=[{**HEALTH_CHECK, "interval": "0.2s"}]))).health_checks[0]
    assert check.no_traffic_interval.ToMilliseconds() == 200, "Envoy's default of 60 s hides a failure before the first request"


def test_the_users_interval_without_traffic_wins() -> None:
    check = cluster_of(translated(blue(healthChecks=[{**HEALTH_CHECK, "noTrafficInterval": "7s"}]))).health_checks[0]
    assert check.no_traffic_interval.seconds == 7, "user-set values always win"


def test_every_timing_of_a_health_check_arrives() -> None:
    given = {
        "unhealthyInterval": "2s",
        "unhealthyEdgeInterval": "3s",
        "healthyEdgeInterval": "4s",
        "initialJitter": "5s",
        "intervalJitter": "6s",
        "intervalJitterPercent": 7,
        "reuseConnection": False,
        "alwaysLogHealthCheckFailures": True,
        "eventLogPath": "/dev/null",
    }
    check = cluster_of(translated(blue(healthChecks=[{**HEALTH_CHECK, **given}]))).health_checks[0]
    seconds = [
        getattr(check, name).seconds
        for name in (
            "timeout",
            "interval",
            "unhealthy_interval",
            "unhealthy_edge_interval",
            "healthy_edge_interval",
            "initial_jitter",
            "interval_jitter",
        )
    ]
    assert seconds == [1, 1, 2, 3, 4, 5, 6], "each field has its own place"
    assert check.interval_jitter_percent == 7, "percent is passed on as it is"
    assert check.reuse_connection.value is False, "false is a value, not an absence"
    assert check.always_log_health_check_failures, "asked for"
    sink = unpacked(check.event_logger[0].typed_config, HealthCheckEventFileSink)
    assert sink.event_log_path == "/dev/null", "the event log is a sink: the plain field is deprecated"


def test_health_check_details_arrive() -> None:
    http = {
        "path": "/ok",
        "host": "blue",
        "method": "HEAD",
        "serviceName": "blue",
        "expectedStatuses": [{"start": 200, "end": 202}],
        "requestHeadersToAdd": [{"header": {"key": "x-a", "value": "b"}, "append": False}],
    }
    check = cluster_of(translated(blue(healthChecks=[{**HEALTH_CHECK, "httpHealthCheck": http}]))).health_checks[0].http_health_check
    assert (check.path, check.host, check.service_name_matcher.prefix) == ("/ok", "blue", "blue"), "as written"
    assert (check.expected_statuses[0].start, check.expected_statuses[0].end) == (200, 202), "half-open, as in Envoy"
    assert check.request_headers_to_add[0].header.key == "x-a", "as written"


@pytest.mark.parametrize(("given", "codec"), [({}, HTTP1), ({"useHttp2": True}, HTTP2)])
def test_health_checks_speak_what_the_upstream_speaks(given: dict[str, bool], codec: int) -> None:
    cluster = cluster_of(translated(blue(**given)))
    assert cluster.health_checks[0].http_health_check.codec_client_type == codec, "a check in the wrong protocol fails for ever"


def test_all_requests_in_flight_may_retry_at_once() -> None:
    (threshold,) = cluster_of(translated(blue())).circuit_breakers.thresholds
    assert threshold.retry_budget.budget_percent.value == 100, "at a failover every request in flight retries at the same moment"
    assert threshold.retry_budget.min_retry_concurrency.value > 100_000, "while they wait to be sent again none of them is active: percent of nothing"


def test_requests_that_wait_for_a_frozen_endpoint_take_no_room_from_the_others() -> None:
    (threshold,) = cluster_of(translated(blue())).circuit_breakers.thresholds
    for limit in (threshold.max_connections, threshold.max_pending_requests, threshold.max_requests):
        assert limit.value > 100_000, "the limits are the whole cluster's: at 1024 the healthy priority would be refused too"


def test_the_users_limits_win_each_for_itself() -> None:
    (threshold,) = cluster_of(translated(blue(circuitBreakers={"maxRequests": 7}))).circuit_breakers.thresholds
    assert threshold.max_requests.value == 7, "as written"
    assert threshold.max_connections.value > 100_000, "what the user does not limit has no limit"
    (threshold,) = cluster_of(translated(blue(circuitBreakers={"maxRetries": 5}))).circuit_breakers.thresholds
    assert threshold.max_retries.value == 5, "as written"
    assert not threshold.HasField("retry_budget"), "a budget would take the place of the user's limit"


def test_an_upstream_without_failover_keeps_envoys_limits() -> None:
    assert not cluster_of(translated(upstream())).circuit_breakers.thresholds, "nothing fails over, so nothing needs more retries"
    (threshold,) = cluster_of(translated(upstream(circuitBreakers={"maxRequests": 7}))).circuit_breakers.thresholds
    assert not threshold.HasField("max_connections"), "Envoy's own default"


def test_a_removed_endpoint_gets_no_more_requests() -> None:
    assert cluster_of(translated(blue())).ignore_health_on_host_removal, "discovery knows better than a health check that still answers"
    kept = cluster_of(translated(blue(ignoreHealthOnHostRemoval=False)))
    assert not kept.ignore_health_on_host_removal, "user-set values always win"


def test_idle_connections_to_the_other_cluster_are_probed() -> None:
    ours = cluster_of(translated(blue())).upstream_connection_options.tcp_keepalive
    seconds = (ours.keepalive_probes.value, ours.keepalive_time.value, ours.keepalive_interval.value)
    assert seconds == (3, 10, 5), "firewalls forget idle connections in silence"
    partly = cluster_of(translated(blue(connectionConfig={"tcpKeepalive": {"keepaliveTime": "20.5s", "keepaliveProbes": 0}})))
    given = partly.upstream_connection_options.tcp_keepalive
    assert (given.keepalive_time.value, given.keepalive_probes.value) == (21, 3), "whole seconds, rounded up; zero is the default"
    assert not cluster_of(translated(upstream())).HasField("upstream_connection_options"), "without failover the kernel's own"


def test_what_was_not_executed_is_marked_for_the_retry() -> None:
    (options,) = cluster_of(translated(blue())).typed_extension_protocol_options.values()
    names = [item.name for item in unpacked(options, HttpProtocolOptions).http_filters]
    assert names == ["envoy.filters.http.header_mutation", "envoy.filters.http.upstream_codec"], "the codec sends, so it is the last"
    assert not cluster_of(translated(upstream())).typed_extension_protocol_options, "without failover nothing is tried again"


def test_endpoints_get_a_new_version_when_only_their_cluster_changed() -> None:
    before, after = translated(blue()), translated(blue(healthChecks=[{**HEALTH_CHECK, "interval": "2s"}]))
    assert before.endpoints == after.endpoints, "the endpoints themselves are the same"
    assert before.endpoint_versions != after.endpoint_versions, "a changed cluster warms for 15 s unless its endpoints are sent again"
    assert before.endpoint_versions == translated(blue()).endpoint_versions, "nothing changed, nothing is sent"


def test_two_endpoints_of_one_gateway_stay_two() -> None:
    other = {**SSL_CONFIG, "sni": "other_gloo-system"}
    translation = translated(blue(failover=failover(lb_endpoint(), lb_endpoint(upstreamSslConfig=other))))
    cluster = cluster_of(translation)
    assert cluster.type == Cluster.STATIC, "EDS keeps the first of two endpoints with one address and port (envoy#22417)"
    assert [len(group.lb_endpoints) for group in cluster.load_assignment.endpoints] == [1, 1, 1], "all of them are there"
    assert BLUE_CLUSTER not in translation.endpoints, "nothing waits for endpoints by EDS"
    assert len({match.name for match in cluster.transport_socket_matches}) == 2, "each is asked for by its own name"


def test_host_names_are_resolved_by_envoy() -> None:
    cluster = cluster_of(translated(blue(failover=failover(lb_endpoint("lb.example.com")))))
    assert cluster.type == Cluster.STRICT_DNS, "EDS takes addresses only"
    hosts = [group.lb_endpoints[0].endpoint.address.socket_address.address for group in cluster.load_assignment.endpoints]
    assert hosts == ["127.77.0.12", "lb.example.com"], "addresses are realised, names are left alone"


def test_connections_of_a_tcp_proxy_leave_an_unhealthy_endpoint() -> None:
    green = upstream(GREEN, {"kube": kube("green")})
    with_gateway = cluster_of(translated(green, failover_gateway()), GREEN_CLUSTER)
    assert with_gateway.close_connections_on_host_health_failure, "an established TCP connection would stay for ever"
    elsewhere = cluster_of(translated(green, failover_gateway(tcp_host(sni_domains=("other_gloo-system",)))), GREEN_CLUSTER)
    assert not elsewhere.close_connections_on_host_health_failure, "HTTP pools drain by themselves"


def test_overprovisioning_and_panic_are_the_users() -> None:
    given = {**failover(lb_endpoint()), "policy": {"overprovisioningFactor": 600}}
    translation = translated(blue(failover=given, loadBalancerConfig={"healthyPanicThreshold": 0}))
    assert translation.endpoints[BLUE_CLUSTER].policy.overprovisioning_factor.value == 600, "as written"
    config = cluster_of(translation).common_lb_config
    assert config.HasField("healthy_panic_threshold"), "zero is a value, not an absence"


def test_locality_weights_count_when_asked_for() -> None:
    places = [{"lbEndpoints": [lb_endpoint(f"10.78.192.{n}")], "locality": {"region": "r", "zone": str(n)}, "loadBalancingWeight": n} for n in (1, 3)]
    given = {"prioritizedLocalities": [{"localityEndpoints": places}]}
    silent = translated(blue(failover=given))
    assert "loadBalancingWeight: 1 has no effect" in report_of(silent, "Upstream", BLUE).reason, "Envoy would ignore it in silence"
    asked = translated(blue(failover=given, loadBalancerConfig={"localityWeightedLbConfig": {}}))
    assert cluster_of(asked).common_lb_config.HasField("locality_weighted_lb_config"), "asked for"
    weights = [group.load_balancing_weight.value for group in asked.endpoints[BLUE_CLUSTER].endpoints]
    assert weights == [1, 1, 3], "a locality without a weight would get no request at all, so the primary has one too"


def test_failover_without_health_checks_is_warned_about() -> None:
    report = report_of(translated(blue(healthChecks=[])), "Upstream", BLUE)
    assert "spec.failover: has no effect without spec.healthChecks" in report.reason, "nothing would ever fail over"
    passive = report_of(translated(blue(healthChecks=[], outlierDetection={"consecutive5xx": 3})), "Upstream", BLUE)
    assert passive.state is EdgeState.ACCEPTED, "outlier detection finds unhealthy endpoints, too"


def test_an_unsupported_field_is_reported_and_the_rest_works() -> None:
    translation = translated(blue(httpProxyHostname="proxy", healthChecks=[{**HEALTH_CHECK, "foo": 1}]))
    reason = report_of(translation, "Upstream", BLUE).reason
    assert "spec.httpProxyHostname: is not supported" in reason, "nothing is ignored in silence"
    assert "spec.healthChecks[0].foo: is not supported" in reason, "at any depth"
    assert BLUE_CLUSTER in translation.clusters, "a field without effect is no reason to stop serving"


def test_another_kind_of_health_check_is_refused() -> None:
    check = {name: value for name, value in HEALTH_CHECK.items() if name != "httpHealthCheck"} | {"customHealthCheck": {"name": "redis"}}
    report = report_of(translated(blue(healthChecks=[check])), "Upstream", BLUE)
    assert report.state is EdgeState.REJECTED, "a failover that waits for a check that never runs would be worse than none"
    assert "spec.healthChecks[0]: needs exactly one of httpHealthCheck, tcpHealthCheck and grpcHealthCheck" in report.reason, "the field is named"


def test_one_bad_upstream_costs_nobody_but_itself() -> None:
    bad = upstream("bad", {"kube": kube("blue"), "static": {"hosts": [{"addr": "10.0.0.1", "port": 1}]}})
    translation = translated(bad, blue())
    assert report_of(translation, "Upstream", "bad").state is EdgeState.REJECTED, "two destinations are none"
    assert set(translation.clusters) == {BLUE_CLUSTER}, "everything else is served"


def test_an_upstream_may_come_before_its_discovery() -> None:
    translation = translated(upstream(spec={"healthChecks": [HEALTH_CHECK]}))
    report = report_of(translation, "Upstream", BLUE)
    assert report.state is EdgeState.WARNING, "the program may write the health check before discovery adds the Service"
    assert not translation.clusters, "there is nowhere to go yet"


@pytest.mark.parametrize(
    ("annotations", "retries", "state"),
    [
        ({}, True, EdgeState.ACCEPTED),
        ({"servicefailover.dev/failover-retries": "disabled"}, False, EdgeState.ACCEPTED),
        ({"servicefailover.dev/failover-retries": "off"}, True, EdgeState.WARNING),
    ],
)
def test_an_annotation_says_whether_routes_retry_into_the_next_priority(annotations: dict[str, str], retries: bool, state: EdgeState) -> None:
    given = blue()
    annotated = given.model_copy(update={"metadata": given.metadata.model_copy(update={"annotations": annotations})})
    translation = translated(annotated, http_gateway(), virtual_service())
    (routes,) = translation.routes.values()
    assert isinstance(routes, RouteConfiguration)
    assert any(route.route.HasField("retry_policy") for route in routes.virtual_hosts[0].routes) is retries, "the default is opt-out"
    assert report_of(translation, "Upstream", BLUE).state is state, "a word that means nothing is named"
