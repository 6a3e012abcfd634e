"""The retries that make a failover lose nothing, and those of the user, which win."""

from __future__ import annotations

import ast
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from envoy.config.route.v3.route_components_pb2 import RetryPolicy
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2 import PreviousPrioritiesConfig
from translation_support import (
    BLUE,
    blue,
    http_gateway,
    http_routes,
    metadata,
    report_of,
    route,
    translated,
    unpacked,
    virtual_service,
)

from controlplane.translation import not_executed, retry
from gloo_api import names
from gloo_api.meta import InvalidResource
from gloo_api.upstream import Upstream

pytestmark = pytest.mark.unit


def first_policy(*routes: dict[str, Any], **host: Any) -> RetryPolicy:
    return http_routes(translated(blue(), http_gateway(), virtual_service(*routes, **host))).virtual_hosts[0].routes[0].route.retry_policy


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
    assert back_off.max_interval.ToMilliseconds() == 100, "long enough, all together, for an app to be gone that is just being killed"


@pytest.mark.parametrize(("timeout", "seconds"), [(None, 15), ("6s", 6)])
def test_a_silent_endpoint_is_left_before_the_route_times_out(timeout: str | None, seconds: int) -> None:
    options: dict[str, Any] = {} if timeout is None else {"options": {"timeout": timeout}}
    action = http_routes(translated(blue(), http_gateway(), virtual_service(route(**options)))).virtual_hosts[0].routes[0].route
    assert action.timeout.seconds == seconds, "the route's timeout spans all tries"
    assert 0 < action.retry_policy.per_try_timeout.ToMilliseconds() < seconds * 1000, "else a silent endpoint would use up the whole of it"


def test_a_route_without_timeout_still_leaves_a_silent_endpoint() -> None:
    policy = first_policy(route(options={"timeout": "0s"}))
    assert policy.per_try_timeout.ToMilliseconds() > 0, "zero is no limit for the route, and none for a try would be a hang"


def test_the_method_chooses_what_may_be_tried_again() -> None:
    safe, idempotent, other = http_routes(translated(blue(), http_gateway(), virtual_service())).virtual_hosts[0].routes
    assert safe.match.headers[0].string_match.safe_regex.regex == "GET|HEAD|OPTIONS|TRACE", "RFC 9110 says which are safe"
    assert idempotent.match.headers[0].string_match.safe_regex.regex == "PUT|DELETE", "and which are idempotent besides"
    assert not other.match.headers, "the rest: POST, PATCH, CONNECT"
    assert {each.match.headers[0].name for each in (safe, idempotent)} == {":method"}, "by the method alone"


def test_a_request_that_may_have_been_executed_is_not_executed_twice() -> None:
    policy = http_routes(translated(blue(), http_gateway(), virtual_service())).virtual_hosts[0].routes[2].route.retry_policy
    assert policy.retry_on == "connect-failure,refused-stream,reset-before-request,retriable-headers", "only what certainly was not executed"
    (header,) = policy.retriable_headers
    assert (header.name, header.string_match.exact) == (not_executed.HEADER, not_executed.VALUE), (
        "the mark of what a backend's filter answered itself"
    )
    assert not policy.HasField("per_try_timeout"), "it would cut a slow POST short and try nothing"


def test_a_silent_safe_request_is_raced_and_a_change_is_not() -> None:
    safe, idempotent, other = http_routes(translated(blue(), http_gateway(), virtual_service())).virtual_hosts[0].routes
    assert safe.route.hedge_policy.hedge_on_per_try_timeout, "a slow answer still arrives, and a frozen endpoint costs little"
    assert not idempotent.route.hedge_policy.hedge_on_per_try_timeout, "one change at two places at once could undo a later one"
    assert not other.route.HasField("hedge_policy"), "nor is any other request sent twice"
    assert idempotent.route.retry_policy.per_try_timeout.ToMilliseconds() == 5000, "a third of the route's timeout: two more tries fit"


@pytest.mark.parametrize(("timeout", "seconds"), [(15, 1), (60, 4), (0, 4), (2, 0.25), (0.3, 0.1), (3.75, 0.25)])
def test_the_time_until_a_race_follows_the_timeout_of_the_route(timeout: float, seconds: float) -> None:
    found = retry.race_after(timedelta(seconds=timeout))
    assert found.total_seconds() == pytest.approx(seconds), "a fifteenth; not below 0.25 s, which merely slow answers need; not above a third"


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        (["GET"], ["GET"]),
        (["POST", "GET"], ["GET", "POST"]),
        (["POST", "PATCH"], ["POST|PATCH"]),
        (["DELETE", "HEAD", "GET", "X-OWN"], ["HEAD|GET", "DELETE", "X-OWN"]),
    ],
)
def test_a_matcher_with_methods_becomes_no_more_routes_than_it_needs(methods: list[str], expected: list[str]) -> None:
    service = virtual_service(route(matchers=[{"prefix": "/", "methods": methods}]))
    found = [each.match.headers[0].string_match for each in http_routes(translated(blue(), http_gateway(), service)).virtual_hosts[0].routes]
    assert [each.exact or each.safe_regex.regex for each in found] == expected, "each method is in one of them, and no other is"


def test_no_kind_of_methods_is_lost_on_any_python() -> None:
    assert [kind.names for kind in retry.Methods] == [("GET", "HEAD", "OPTIONS", "TRACE"), ("PUT", "DELETE"), ()], "OTHER is what is in none of them"
    for file in Path(retry.__file__).parents[2].joinpath("controlplane").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
                values = [each.value for each in node.body if isinstance(each, ast.Assign)]
                assert "()" not in map(ast.unparse, values), f"{file.name}: {node.name} would have an object() there on Python 3.11.2"


def test_more_tiers_get_more_tries() -> None:
    for kind in retry.Methods:
        found = retry.failover(kind, timeout=retry.DEFAULT_TIMEOUT, tiers=5)
        assert found.policy.num_retries.value >= 4, "each priority may have to be tried"


@pytest.mark.parametrize("kind", ["VirtualService", "Upstream"])
def test_an_annotation_turns_the_default_retries_off(kind: str) -> None:
    off = {"annotations": {names.FAILOVER_RETRIES_ANNOTATION: "disabled"}}
    service = virtual_service(meta=off if kind == "VirtualService" else None)
    given = blue() if kind == "VirtualService" else Upstream.parse({**blue().to_object(), "metadata": metadata(BLUE, **off)})
    (only,) = http_routes(translated(given, http_gateway(), service)).virtual_hosts[0].routes
    assert not only.route.HasField("retry_policy"), "as asked for"


def test_an_unknown_value_of_the_annotation_is_reported() -> None:
    service = virtual_service(meta={"annotations": {names.FAILOVER_RETRIES_ANNOTATION: "off"}})
    reason = report_of(translated(blue(), http_gateway(), service), "VirtualService", "default").reason
    assert 'metadata.annotations.servicefailover.dev/failover-retries: "off" is not allowed: enabled or disabled' in reason, "field, value, allowed"


def test_the_users_retries_win() -> None:
    given = {"retryOn": "5xx", "numRetries": 7, "perTryTimeout": "0.25s", "retryBackOff": {"baseInterval": "0.01s", "maxInterval": "0.1s"}}
    policy = first_policy(route(options={"retries": {**given, "previousPriorities": {"updateFrequency": 2}, "retriableStatusCodes": [409]}}))
    assert (policy.retry_on, policy.num_retries.value, policy.per_try_timeout.ToMilliseconds()) == ("5xx,retriable-status-codes", 7, 250), (
        "as written; the statuses need their condition"
    )
    assert unpacked(policy.retry_priority.typed_config, PreviousPrioritiesConfig).update_frequency == 2, "as written"
    assert (policy.retry_back_off.base_interval.ToMilliseconds(), policy.retry_back_off.max_interval.ToMilliseconds()) == (10, 100), "as written"
    assert list(policy.retriable_status_codes) == [409], "as written"
    assert not policy.retriable_headers, "nothing is added to what the user asked for"
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
