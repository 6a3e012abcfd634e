"""Routes, and the retries that make a failover lose nothing."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3.route_components_pb2 import RetryPolicy
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2 import PreviousPrioritiesConfig
from translation_support import (
    BLUE_CLUSTER,
    NAMESPACE,
    blue,
    http_gateway,
    report_of,
    route,
    translated,
    unpacked,
    upstream,
    virtual_service,
)

from controlplane.translation import retry
from controlplane.translation.types import Translation
from gloo_api.meta import InvalidResource
from gloo_api.status import EdgeState
from gloo_api.virtual_service import VirtualService

pytestmark = pytest.mark.unit

ROUTES = "listener-::-8080-routes"


def routes_of(translation: Translation) -> RouteConfiguration:
    configuration = translation.routes[ROUTES]
    assert isinstance(configuration, RouteConfiguration)
    return configuration


def first_policy(*routes: dict[str, Any], **host: Any) -> RetryPolicy:
    return routes_of(translated(blue(), http_gateway(), virtual_service(*routes, **host))).virtual_hosts[0].routes[0].route.retry_policy


def test_a_route_leads_to_the_cluster_of_its_upstream() -> None:
    host = routes_of(translated(upstream(), http_gateway(), virtual_service())).virtual_hosts[0]
    (only,) = host.routes
    assert list(host.domains) == ["*"], "as written"
    assert only.match.prefix == "/", "as written"
    assert only.route.cluster == BLUE_CLUSTER, "one cluster per Upstream"
    assert not only.route.HasField("retry_policy"), "without failover nothing is retried, as in Gloo"


def test_a_request_that_met_the_failure_is_tried_on_another_priority() -> None:
    policy = first_policy()
    assert policy.retry_on == "connect-failure,refused-stream,reset,gateway-error", "a rejected certificate of TLS 1.3 shows as a reset"
    config = unpacked(policy.retry_priority.typed_config, PreviousPrioritiesConfig)
    assert config.update_frequency == 1, "zero, the protocol's default, is accepted by Envoy and aborts it at the first request"
    assert policy.retry_host_predicate[0].name == "envoy.retry_host_predicates.previous_hosts", "within a priority, another host"
    assert unpacked(policy.retry_host_predicate[0].typed_config, PreviousHostsPredicate) is not None, "typed, as Envoy wants it"
    assert policy.host_selection_retry_max_attempts >= 3, "by default one pick alone"


def test_retries_come_at_once() -> None:
    back_off = first_policy().retry_back_off
    assert back_off.base_interval.ToMilliseconds() == 1, "Envoy's own 25 ms would be most of the failover"
    assert back_off.max_interval.ToMilliseconds() == 5, "and so would ten times that"


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 15), ("6s", 6)])
def test_a_silent_endpoint_is_left_before_the_route_times_out(timeout: str | None, seconds: int) -> None:
    options = {} if timeout is None else {"options": {"timeout": timeout}}
    action = routes_of(translated(blue(), http_gateway(), virtual_service(route(**options)))).virtual_hosts[0].routes[0].route
    assert action.timeout.seconds == seconds, "the route's timeout spans all tries"
    assert 0 < action.retry_policy.per_try_timeout.ToMilliseconds() < seconds * 1000, "else a silent endpoint would use up the whole of it"


def test_a_route_without_timeout_still_leaves_a_silent_endpoint() -> None:
    policy = first_policy(route(options={"timeout": "0s"}))
    assert policy.per_try_timeout.ToMilliseconds() > 0, "zero is no limit for the route, and none for a try would be a hang"


def test_a_request_that_may_have_been_executed_is_not_executed_twice() -> None:
    idempotent, other = routes_of(translated(blue(), http_gateway(), virtual_service())).virtual_hosts[0].routes
    assert idempotent.match.headers[0].name == ":method", "the methods choose the policy"
    assert idempotent.match.headers[0].string_match.safe_regex.regex == retry.IDEMPOTENT_METHODS, "RFC 9110 says which"
    assert not other.match.headers, "the rest: POST, PATCH, CONNECT"
    assert other.route.retry_policy.retry_on == "connect-failure,refused-stream,reset-before-request", "only what certainly was not executed"
    assert not other.route.retry_policy.HasField("per_try_timeout"), "it would cut a slow POST short and try nothing"


def test_more_tiers_get_more_tries() -> None:
    assert retry.failover_policy(timeout=retry.DEFAULT_TIMEOUT, tiers=5, idempotent=True).num_retries.value >= 4, "each priority may have to be tried"


def test_the_users_retries_win() -> None:
    given = {"retryOn": "5xx", "numRetries": 7, "perTryTimeout": "0.25s", "retryBackOff": {"baseInterval": "0.01s", "maxInterval": "0.1s"}}
    policy = first_policy(route(options={"retries": {**given, "previousPriorities": {"updateFrequency": 2}, "retriableStatusCodes": [409]}}))
    assert (policy.retry_on, policy.num_retries.value, policy.per_try_timeout.ToMilliseconds()) == ("5xx", 7, 250), "as written"
    assert unpacked(policy.retry_priority.typed_config, PreviousPrioritiesConfig).update_frequency == 2, "as written"
    assert (policy.retry_back_off.base_interval.ToMilliseconds(), policy.retry_back_off.max_interval.ToMilliseconds()) == (10, 100), "as written"
    assert list(policy.retriable_status_codes) == [409], "as written"
    assert not policy.retry_host_predicate, "nothing is added to what the user asked for"


def test_retries_can_be_switched_off() -> None:
    policy = first_policy(route(options={"retries": {"numRetries": 0}}))
    assert policy.HasField("num_retries"), "zero is a value, not an absence: the default of Envoy is one"
    assert policy.num_retries.value == 0, "the way to opt out"


def test_retries_of_the_virtual_host_are_the_default_of_its_routes() -> None:
    policy = first_policy(options={"retries": {"retryOn": "reset", "previousPriorities": {}}})
    assert policy.retry_on == "reset", "the user's, not the default of failover"
    assert unpacked(policy.retry_priority.typed_config, PreviousPrioritiesConfig).update_frequency == 1, "left out, it is one and never zero"


def test_an_update_frequency_of_zero_is_refused() -> None:
    with pytest.raises(InvalidResource) as refused:
        virtual_service(route(options={"retries": {"previousPriorities": {"updateFrequency": 0}}}))
    (problem,) = refused.value.problems
    assert problem.path == "spec.virtualHost.routes[0].options.retries.previousPriorities.updateFrequency", "the field is named"
    assert problem.message == "0 is not allowed: at least 1", "value and what is allowed are named"


def test_a_try_as_long_as_the_route_is_warned_about() -> None:
    service = virtual_service(route(options={"timeout": "1s", "retries": {"perTryTimeout": "1s"}}))
    reason = report_of(translated(blue(), http_gateway(), service), "VirtualService", "default").reason
    assert "spec.virtualHost.routes[0].options.retries.perTryTimeout" in reason, "no time would be left for another try"


def test_the_immediate_failure_header_does_not_leave_the_gateway() -> None:
    headers = routes_of(translated(blue(), http_gateway(), virtual_service())).response_headers_to_remove
    assert "x-envoy-immediate-health-check-fail" in headers, "a proxy in front would eject the whole Gateway"


def test_no_virtual_service_is_an_empty_route_configuration() -> None:
    translation = translated(blue(), http_gateway())
    assert not routes_of(translation).virtual_hosts, "a listener whose routes never come would not open"
    assert len(translation.listeners) == 1, "the listener is there and answers 404"


@pytest.mark.parametrize(
    "objects",
    [
        (),
        (
            upstream(
                spec={"kube": {"serviceName": "a", "serviceNamespace": "b", "servicePort": 1}, "static": {"hosts": [{"addr": "10.0.0.1", "port": 1}]}}
            ),
        ),
    ],
)
def test_a_route_to_a_missing_or_rejected_upstream_answers_503_and_the_others_go_on(objects: tuple[Any, ...]) -> None:
    service = virtual_service(route(matchers=[{"prefix": "/x"}]), route("good"))
    translation = translated(*objects, upstream("good"), http_gateway(), service)
    broken, good = routes_of(translation).virtual_hosts[0].routes
    assert broken.direct_response.status == 503, "as a dead Upstream answers"
    assert NAMESPACE not in broken.direct_response.body.inline_string, "names of objects are nobody's business outside"
    assert good.route.cluster == f"good_{NAMESPACE}", "one bad route costs nobody but itself"
    report = report_of(translation, "VirtualService", "default")
    assert report.state is EdgeState.WARNING, "served, but for what is named"
    assert "spec.virtualHost.routes[0].routeAction.single.upstream: Upstream gloo-system/default-service-blue-10000" in report.reason, (
        "field and value"
    )


def test_a_domain_stays_with_the_older_virtual_service() -> None:
    older = virtual_service(name="zz", meta={"creationTimestamp": "2026-01-01T00:00:00Z"})
    newer = virtual_service(name="aa", meta={"creationTimestamp": "2026-02-01T00:00:00Z"})
    translation = translated(blue(), http_gateway(), older, newer)
    assert [host.name for host in routes_of(translation).virtual_hosts] == ["gloo-system.zz"], "Envoy would refuse all routes"
    report = report_of(translation, "VirtualService", "aa")
    assert report.state is EdgeState.REJECTED, "the newer one gets nothing"
    assert 'spec.virtualHost.domains[0]: "*" is served already by VirtualService gloo-system/zz' in report.reason, "field, value and owner"


def test_routes_keep_their_order_and_each_matcher_is_a_route() -> None:
    service = virtual_service(route(matchers=[{"prefix": "/b"}, {"prefix": "/a"}]), route(matchers=[]))
    prefixes = [item.match.prefix for item in routes_of(translated(upstream(), http_gateway(), service)).virtual_hosts[0].routes]
    assert prefixes == ["/b", "/a", "/"], "the first that matches is taken; without a matcher, every request"


@pytest.mark.parametrize("matcher", [{"regex": "/a"}, {"prefix": "/", "headers": [{"name": "x"}]}, {"exact": "/a"}])
def test_a_matcher_that_is_not_understood_is_refused_and_not_widened(matcher: dict[str, Any]) -> None:
    with pytest.raises(InvalidResource, match=r"spec\.virtualHost\.routes\[0\]\.matchers\[0\]\.\w+: is not supported here"):
        virtual_service(route(matchers=[matcher]))


def test_a_virtual_service_that_wants_https_is_refused() -> None:
    with pytest.raises(InvalidResource, match=r"spec\.sslConfig"):
        VirtualService.parse({"spec": {"virtualHost": {}, "sslConfig": {}}})


@pytest.mark.parametrize(
    ("choice", "served"),
    [
        ({}, ["gloo-system.a", "gloo-system.b"]),
        ({"virtualServices": [{"name": "b", "namespace": NAMESPACE}]}, ["gloo-system.b"]),
        ({"virtualServiceSelector": {"team": "x"}}, ["gloo-system.a"]),
        ({"virtualServiceNamespaces": ["other"]}, []),
        ({"virtualServiceNamespaces": ["*"]}, ["gloo-system.a", "gloo-system.b"]),
    ],
)
def test_a_gateway_chooses_its_virtual_services(choice: dict[str, Any], served: list[str]) -> None:
    one = virtual_service(name="a", meta={"labels": {"team": "x"}}, domains=["a"])
    two = virtual_service(name="b", domains=["b"])
    hosts = routes_of(translated(blue(), http_gateway(httpGateway=choice), one, two)).virtual_hosts
    assert [host.name for host in hosts] == served, "more than was asked for must not be served"
