"""Matchers and options, field by field: what each becomes, and what is refused because it would serve more or stop Envoy."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from google.protobuf.json_format import MessageToDict
from translation_support import BLUE_CLUSTER, NAMESPACE, http_gateway, report_of, route, translated, upstream, virtual_service

from gloo_api.meta import InvalidResource
from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit

REGEX = {"pattern": {"regex": "/(a)(.*)", "googleRe2": {}}, "substitution": r"\2\1"}
REGEX_OF_ENVOY = {"pattern": {"regex": "/(a)(.*)"}, "substitution": r"\2\1"}


def host_of(*routes: dict[str, Any], **host: Any) -> VirtualHost:
    (configuration,) = translated(upstream(), upstream("other"), http_gateway(), virtual_service(*routes, **host)).routes.values()
    found: VirtualHost = configuration.virtual_hosts[0]  # type: ignore[attr-defined]
    return found


def route_of(**more: Any) -> Route:
    (only,) = host_of(route(**more)).routes
    return only


def as_json(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


@pytest.mark.parametrize(
    ("matcher", "match"),
    [
        ({}, {"prefix": "/"}),
        ({"prefix": "/a"}, {"prefix": "/a"}),
        ({"exact": "/a"}, {"path": "/a"}),
        ({"regex": "/a[0-9]+"}, {"safe_regex": {"regex": "/a[0-9]+"}}),
        ({"prefix": "/a", "caseSensitive": False}, {"prefix": "/a", "case_sensitive": False}),
        ({"exact": "/a", "caseSensitive": True}, {"path": "/a", "case_sensitive": True}),
        ({"headers": [{"name": "x-a"}]}, {"headers": [{"name": "x-a", "present_match": True}]}),
        ({"headers": [{"name": "x-a", "invertMatch": True}]}, {"headers": [{"name": "x-a", "present_match": True, "invert_match": True}]}),
        ({"headers": [{"name": ":authority", "value": "b"}]}, {"headers": [{"name": ":authority", "string_match": {"exact": "b"}}]}),
        (
            {"headers": [{"name": "x-a", "value": "b+", "regex": True}]},
            {"headers": [{"name": "x-a", "string_match": {"safe_regex": {"regex": "b+"}}}]},
        ),
        (
            {"headers": [{"name": "x-a", "value": "b", "invertMatch": True}]},
            {"headers": [{"name": "x-a", "string_match": {"exact": "b"}, "invert_match": True, "treat_missing_header_as_empty": True}]},
        ),
        ({"methods": ["GET"]}, {"headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}),
        ({"methods": ["GET", "POST"]}, {"headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|POST"}}}]}),
        ({"queryParameters": [{"name": "q"}]}, {"query_parameters": [{"name": "q", "present_match": True}]}),
        ({"queryParameters": [{"name": "q", "value": "1"}]}, {"query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]}),
        (
            {"queryParameters": [{"name": "q", "value": "[0-9]", "regex": True}]},
            {"query_parameters": [{"name": "q", "string_match": {"safe_regex": {"regex": "[0-9]"}}}]},
        ),
    ],
)
def test_a_matcher_says_exactly_what_was_written(matcher: dict[str, Any], match: dict[str, Any]) -> None:
    found = as_json(route_of(matchers=[matcher]).match)
    path = {} if {"prefix", "path", "safe_regex"} & match.keys() else {"prefix": "/"}
    assert found == path | match, "every condition and no other"


@pytest.mark.parametrize(
    ("matcher", "problem"),
    [
        ({"prefix": "/a", "exact": "/a"}, "at most one of prefix, exact and regex, not prefix and exact"),
        ({"connectMatcher": {}}, "connectMatcher: is not supported here"),
        ({"headers": [{"name": "x", "presentMatch": True}]}, r"headers\[0\]\.presentMatch: is not supported here"),
        ({"prefix": "a"}, r"prefix: \"a\" is not allowed"),
        ({"regex": "/a(?=b)"}, r"regex: .* a regular expression of RE2 \(invalid perl operator: \(\?="),
        ({"regex": "/[a-z]{1,1000}"}, r"RE2 program size is at most 1024, not \d+"),
        ({"headers": [{"name": "x", "value": "[", "regex": True}]}, "a regular expression of RE2"),
        ({"queryParameters": [{"name": "x", "value": "(", "regex": True}]}, "a regular expression of RE2"),
        ({"regex": "/a", "caseSensitive": False}, "caseSensitive has no effect on a regex"),
        ({"methods": ["GET|POST"]}, r"methods\[0\]"),
    ],
)
def test_a_matcher_that_cannot_be_carried_out_is_refused_and_not_widened(matcher: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidResource, match=rf"^spec\.virtualHost\.routes\[0\]\.matchers\[0\].*{problem}"):
        virtual_service(route(matchers=[matcher]))


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ({"timeout": "3s"}, {"timeout": "3s"}),
        ({"timeout": "0s"}, {"timeout": "0s"}),
        ({"idleTimeout": "3s"}, {"idle_timeout": "3s"}),
        ({"prefixRewrite": "/b"}, {"prefix_rewrite": "/b"}),
        ({"regexRewrite": REGEX}, {"regex_rewrite": REGEX_OF_ENVOY}),
        ({"hostRewrite": "b.example.com"}, {"host_rewrite_literal": "b.example.com"}),
        ({"autoHostRewrite": True}, {"auto_host_rewrite": True}),
        ({"autoHostRewrite": False}, {"auto_host_rewrite": False}),
        ({"hostRewriteHeader": "x-host"}, {"host_rewrite_header": "x-host"}),
        ({"hostRewritePathRegex": REGEX}, {"host_rewrite_path_regex": REGEX_OF_ENVOY}),
        ({"hostRewrite": "b", "appendXForwardedHost": True}, {"host_rewrite_literal": "b", "append_x_forwarded_host": True}),
    ],
)
def test_an_option_of_a_route_is_carried_out(options: dict[str, Any], action: dict[str, Any]) -> None:
    assert as_json(route_of(options=options).route) == {"cluster": BLUE_CLUSTER, "timeout": "15s"} | action, "this and nothing else"


HEADERS = {
    "requestHeadersToAdd": [{"header": {"key": "x-a", "value": "%REQ(x-b)%"}, "append": False}],
    "requestHeadersToRemove": ["x-c"],
    "responseHeadersToAdd": [{"header": {"key": "x-d", "value": "1"}}],
    "responseHeadersToRemove": ["x-e"],
}
HEADERS_OF_ENVOY = {
    "request_headers_to_add": [
        {"header": {"key": "x-a", "value": "%REQ(x-b)%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "keep_empty_value": True}
    ],
    "request_headers_to_remove": ["x-c"],
    # APPEND_IF_EXISTS_OR_ADD is the first value of its enum and so is not shown.
    "response_headers_to_add": [{"header": {"key": "x-d", "value": "1"}, "keep_empty_value": True}],
    "response_headers_to_remove": ["x-e"],
}


def test_headers_are_changed_by_routes_virtual_hosts_and_shares() -> None:
    share = {"destination": {"upstream": {"name": "other"}}, "weight": 1, "options": {"headerManipulation": HEADERS}}
    shared = {"matchers": [{"prefix": "/m"}], "routeAction": {"multi": {"destinations": [share]}}}
    host = host_of(shared, route(options={"headerManipulation": HEADERS}), options={"headerManipulation": HEADERS})
    (weighted,) = host.routes[0].route.weighted_clusters.clusters
    for what in (host, host.routes[1], weighted):
        assert HEADERS_OF_ENVOY.items() <= as_json(what).items(), "each where it was written"
    assert not HEADERS_OF_ENVOY.keys() & as_json(host.routes[0]).keys(), "and nowhere else"


def test_the_number_of_the_try_is_told_when_asked_for() -> None:
    host = host_of(options={"includeRequestAttemptCount": True, "includeAttemptCountInResponse": True})
    assert host.include_request_attempt_count, "to the destination"
    assert host.include_attempt_count_in_response, "and to the client"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"extauth": {}}, "extauth: is not supported here"),
        ({"jwtStaged": {}}, "jwtStaged: is not supported here"),
        ({"ratelimitBasic": {}}, "ratelimitBasic: is not supported here"),
        ({"prefixRewrite": "/", "regexRewrite": REGEX}, "prefixRewrite and regexRewrite exclude each other"),
        ({"hostRewrite": "a", "autoHostRewrite": True}, "hostRewrite and autoHostRewrite exclude each other"),
        ({"regexRewrite": {"pattern": {"regex": "a"}, "substitution": r"\1"}}, r'substitution may have \\0 to \\0, .*not "\\1"'),
        ({"headerManipulation": {"requestHeadersToAdd": [{"header": {"key": "host", "value": "a"}}]}}, "use hostRewrite"),
        ({"headerManipulation": {"requestHeadersToAdd": [{"header": {"key": ":path", "value": "a"}}]}}, "key"),
        ({"headerManipulation": {"responseHeadersToAdd": [{"header": {"key": "x", "value": "100%"}}]}}, "a percent sign is written %%"),
        ({"headerManipulation": {"responseHeadersToAdd": [{"header": {"key": "x", "value": "a\nb"}}]}}, "without control characters"),
        ({"retries": {"previousPriorities": {"updateFrequency": 0}}}, r"updateFrequency: 0 is not allowed: at least 1"),
        ({"retries": {"retryBackOff": {"baseInterval": "1s", "maxInterval": "0.5s"}}}, "maxInterval is at least baseInterval"),
        ({"retries": {"retryBackOff": {"baseInterval": "0.0001s"}}}, "baseInterval is at least 0.001s"),
    ],
)
def test_an_option_that_cannot_be_carried_out_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidResource, match=rf"^spec\.virtualHost\.routes\[0\]\.options.*{problem}"):
        virtual_service(route(options=options))


def test_an_option_of_comfort_that_is_not_known_is_reported() -> None:
    report = report_of(translated(upstream(), http_gateway(), virtual_service(route(options={"cors": {}}))), "VirtualService", "default")
    assert report.state is EdgeState.WARNING, "it is served"
    assert "spec.virtualHost.routes[0].options.cors: is not supported by this control plane and has no effect" in report.reason, "and said"


def test_a_retry_condition_that_envoy_does_not_know_is_reported() -> None:
    service = virtual_service(route(options={"retries": {"retryOn": "5xx, nonsense"}}))
    reason = report_of(translated(upstream(), http_gateway(), service), "VirtualService", "default").reason
    assert "spec.virtualHost.routes[0].options.retries.retryOn: nonsense is no condition of Envoy" in reason, "Envoy ignores it in silence"


def test_a_redirect_says_where_to() -> None:
    action = {"hostRedirect": "b", "pathRedirect": "/p", "responseCode": "SEE_OTHER", "httpsRedirect": True, "stripQuery": True, "portRedirect": 444}
    (found,) = host_of({"redirectAction": action}).routes
    assert as_json(found.redirect) == {
        "host_redirect": "b", "path_redirect": "/p", "response_code": "SEE_OTHER", "https_redirect": True, "strip_query": True, "port_redirect": 444
    }, "as written"  # fmt: skip
    (other,) = host_of({"redirectAction": {"prefixRewrite": "/p"}}).routes
    assert as_json(other.redirect) == {"prefix_rewrite": "/p"}, "and nothing else"


def test_a_direct_response_is_given() -> None:
    (found,) = host_of({"directResponseAction": {"status": 418, "body": "teapot"}}).routes
    assert (found.direct_response.status, found.direct_response.body.inline_string) == (418, "teapot"), "as written"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"directResponseAction": {"status": 200, "body": "x" * 4097}}, "body has 4097 bytes; allowed are 4096"),
        ({"directResponseAction": {"status": 99}}, r"status: 99 is not allowed"),
        ({"redirectAction": {"pathRedirect": "/a", "prefixRewrite": "/b"}}, "exclude each other"),
        ({}, "exactly one of routeAction, redirectAction, directResponseAction and delegateAction"),
        ({"graphqlApiRef": {"name": "a"}}, "graphqlApiRef: is not supported here"),
        ({"routeAction": {"single": {"kube": {"ref": {"name": "a"}, "port": 1}}}}, "kube: is not supported here"),
        ({"routeAction": {"clusterHeader": "x"}}, "clusterHeader: is not supported here"),
        ({"routeAction": {"multi": {"destinations": [{"destination": {}, "weight": 0}]}}}, "the weights add up to 0"),
        ({"routeAction": {"single": {}}, "optionsConfigRefs": {}}, "optionsConfigRefs: is not supported here"),
    ],
)
def test_an_action_that_cannot_be_carried_out_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidResource, match=rf"^.*spec\.virtualHost\.routes\[0\].*{problem}"):
        virtual_service(given)


def test_requests_are_shared_by_weight_and_a_missing_share_is_not_given_to_others() -> None:
    shares = [("default-service-blue-10000", 3), ("missing", 1), ("other", 0)]
    destinations = [{"destination": {"upstream": {"name": name}}, "weight": weight} for name, weight in shares]
    service = virtual_service({"routeAction": {"multi": {"destinations": destinations}}})
    translation = translated(upstream(), upstream("other"), http_gateway(), service)
    (configuration,) = translation.routes.values()
    clusters = configuration.virtual_hosts[0].routes[0].route.weighted_clusters.clusters  # type: ignore[attr-defined]
    assert [(each.name, each.weight.value) for each in clusters] == [(BLUE_CLUSTER, 3), (f"missing_{NAMESPACE}", 1)], (
        "Envoy answers 503 for the missing one"
    )
    reason = report_of(translation, "VirtualService", "default").reason
    assert "routes[0].routeAction.multi.destinations[1].destination.upstream: Upstream gloo-system/missing does not exist" in reason, (
        "field and value"
    )
    assert "its share is answered 503" in reason, "and what follows"


def test_options_of_requests_that_are_not_passed_on_are_reported() -> None:
    given = {"directResponseAction": {"status": 200}, "options": {"timeout": "1s", "headerManipulation": {"responseHeadersToRemove": ["x"]}}}
    reason = report_of(translated(http_gateway(), virtual_service(given)), "VirtualService", "default").reason
    assert reason == "spec.virtualHost.routes[0].options.timeout: has no effect on requests that are not passed on", "that field, and no other"
