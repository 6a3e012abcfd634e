"""RouteTables: what they get from their parents, in which order they come, and that they never serve more than was handed to them."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from translation_support import (
    BLUE_CLUSTER,
    NAMESPACE,
    answer,
    delegating,
    paths,
    report_of,
    route,
    route_table,
    routes_of,
    translation_of,
    virtual_service,
)

from controlplane.translation import delegation
from controlplane.translation.types import ObjectRef
from gloo_api import names
from gloo_api.meta import InvalidResource
from gloo_api.route_table import RouteTable
from gloo_api.status import EdgeState

pytestmark = pytest.mark.unit


def test_the_routes_of_a_table_stand_where_they_were_delegated() -> None:
    service = virtual_service(answer({"prefix": "/first"}), delegating(), answer({"prefix": "/last"}))
    table = route_table("a", answer({"exact": "/a/1"}, {"prefix": "/a/2"}), answer({"regex": "/a/[0-9]"}))
    assert paths(service, table) == ["/first", "/a/1", "/a/2", "/a/[0-9]", "/last"], "the user's order: the first that matches is taken"
    translation = translation_of(service, table)
    assert report_of(translation, "RouteTable", "a").state is EdgeState.ACCEPTED, "the table is reported on too"
    assert report_of(translation, "VirtualService", "default").state is EdgeState.ACCEPTED, "and nothing is wrong"


def test_tables_delegate_further() -> None:
    inner = {"matchers": [{"prefix": "/a/b"}], "delegateAction": {"ref": {"name": "b"}}}
    found = paths(virtual_service(delegating()), route_table("a", inner), route_table("b", answer({"prefix": "/a/b/c"})))
    assert found == ["/a/b/c"], "a reference without a namespace is in the same one"


def test_the_older_spelling_of_a_reference_is_understood() -> None:
    found = paths(virtual_service(delegating(name="a", namespace=NAMESPACE)), route_table("a", answer({"prefix": "/a"})))
    assert found == ["/a"], "older manifests have it"


def test_a_destination_without_a_namespace_is_in_that_of_its_table() -> None:
    there = RouteTable.parse(
        {
            "metadata": {"name": "a", "namespace": "team"},
            "spec": {"routes": [{"matchers": [{"prefix": "/a"}], "routeAction": {"single": {"upstream": {"name": "plain"}}}}]},
        }
    )
    translation = translation_of(virtual_service(delegating(ref={"name": "a", "namespace": "team"})), there)
    reason = translation.reports[ObjectRef("RouteTable", "team", "a")].reason
    assert "Upstream team/plain does not exist" in reason, "not in that of the VirtualService"


@pytest.mark.parametrize(
    ("child", "problem"),
    [
        ({"prefix": "/b"}, 'matchers[0]: the path "/b" does not begin with the prefix of the parent, "/a"'),
        ({}, 'matchers[0]: the path "/" does not begin with the prefix of the parent, "/a"'),
        ({"regex": ".*/a"}, 'matchers[0]: the path ".*/a" does not begin with the prefix of the parent'),
        ({"prefix": "/a", "caseSensitive": False}, "matchers[0].caseSensitive: differs from that of the parent"),
    ],
)
def test_a_table_serves_nothing_outside_of_the_prefix_of_its_parent(child: dict[str, Any], problem: str) -> None:
    objects = virtual_service(delegating()), route_table("a", answer(child), answer({"prefix": "/a/ok"}))
    assert paths(*objects) == ["/a/ok"], "the route is left out, the others go on"
    translation = translation_of(*objects)
    assert f"spec.routes[0].{problem}" in report_of(translation, "RouteTable", "a").reason, "the table says why"
    reason = report_of(translation, "VirtualService", "default").reason
    assert "spec.virtualHost.routes[0].delegateAction: RouteTable gloo-system/a: spec.routes[0]" in reason, (
        "and so does the VirtualService it concerns"
    )


def test_a_regular_expression_cannot_leave_the_prefix_of_its_parent() -> None:
    (only,) = routes_of(virtual_service(delegating()), route_table("a", answer({"regex": "/a/1|/secret"})))
    (header,) = only.match.headers
    assert (header.name, header.string_match.prefix) == (":path", "/a"), "the text begins with /a, and what it matches has to as well"


PARENT = {"prefix": "/a", "headers": [{"name": "x-a", "value": "1"}], "queryParameters": [{"name": "q"}], "methods": ["GET", "POST"]}


def parent(**more: Any) -> dict[str, Any]:
    return {**delegating(), "matchers": [PARENT], **more}


@pytest.mark.parametrize(
    ("missing", "field"),
    [("headers", "headers: lack x-a"), ("queryParameters", "queryParameters: lack q"), ("methods", "methods: are none of those")],
)
def test_a_table_repeats_the_conditions_of_its_parent(missing: str, field: str) -> None:
    child = {key: value for key, value in PARENT.items() if key != missing}
    objects = virtual_service(parent()), route_table("a", answer(child))
    assert paths(*objects) == [], "without them it would serve more than was handed to it"
    assert f"spec.routes[0].matchers[0].{field}" in report_of(translation_of(*objects), "RouteTable", "a").reason, "field and what is missing"


@pytest.mark.parametrize("where", ["parent", "child"])
def test_conditions_are_inherited_when_asked_for(where: str) -> None:
    flag = {"inheritableMatchers": True}
    own = {"prefix": "/a/1", "headers": [{"name": "x-b"}], "methods": ["POST", "PUT"]}
    objects = virtual_service(parent(**flag if where == "parent" else {})), route_table("a", answer(own, **flag if where == "child" else {}))
    (only,) = routes_of(*objects)
    found = MessageToDict(only.match, preserving_proto_field_name=True)
    assert [each["name"] for each in found["headers"]] == [":method", "x-a", "x-b"], "the parent's and its own"
    assert found["headers"][0]["string_match"] == {"exact": "POST"}, "of the methods those that both have"
    assert found["query_parameters"] == [{"name": "q", "present_match": True}], "the parent's"


def test_a_child_can_refuse_to_inherit() -> None:
    objects = virtual_service(parent(inheritableMatchers=True)), route_table("a", answer({"prefix": "/a"}, inheritableMatchers=False))
    assert paths(*objects) == [], "and then has to repeat the conditions"


def test_the_path_is_inherited_when_asked_for() -> None:
    given = {**delegating(), "inheritablePathMatchers": True}
    objects = virtual_service(given), route_table("a", answer(), answer({"headers": [{"name": "x"}]}))
    assert paths(*objects) == ["/a", "/a"], "with and without matchers of its own"


def test_options_come_from_the_nearest_that_sets_them() -> None:
    top = {**delegating(), "options": {"timeout": "7s", "prefixRewrite": "/top", "hostRewrite": "top", "retries": {"retryOn": "reset"}}}
    own = {"timeout": "1s", "autoHostRewrite": True}
    to = {"routeAction": {"single": {"upstream": {"name": "plain"}}}}
    table = route_table("a", {"matchers": [{"prefix": "/a/1"}], **to, "options": own}, {"matchers": [{"prefix": "/a/2"}], **to})
    first, second = (each.route for each in routes_of(virtual_service(top, options={"retries": {"retryOn": "5xx"}}), table))
    assert (first.timeout.seconds, second.timeout.seconds) == (1, 7), "the route's own, else the parent's"
    assert (first.prefix_rewrite, second.prefix_rewrite) == ("/top", "/top"), "what a route does not set it inherits"
    assert (first.auto_host_rewrite.value, first.host_rewrite_literal) == (True, ""), "of alternatives the nearest hides all others"
    assert second.host_rewrite_literal == "top", "and without one the parent's counts"
    assert {first.retry_policy.retry_on, second.retry_policy.retry_on} == {"reset"}, "the virtual host's retries come last"


def test_the_annotation_of_a_table_turns_the_default_retries_off_below_it() -> None:
    off = {"annotations": {names.FAILOVER_RETRIES_ANNOTATION: "disabled"}}
    to_blue = route(matchers=[{"prefix": "/a"}])
    (only,) = routes_of(virtual_service(delegating()), route_table("a", to_blue, meta=off))
    assert not only.route.HasField("retry_policy"), "as asked for"
    assert len(routes_of(virtual_service(delegating()), route_table("a", to_blue))) == 3, "by default a route with failover is retried, by method"


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ({"ref": {"name": "gone"}}, "delegateAction.ref: RouteTable gloo-system/gone does not exist"),
        ({"selector": {"labels": {"no": "no"}}}, "delegateAction.selector: matches no RouteTable"),
    ],
)
def test_requests_for_a_missing_table_do_not_fall_through(action: dict[str, Any], field: str) -> None:
    catch_all = route("plain")
    objects = virtual_service(delegating(**action), catch_all), route_table("a", answer({"prefix": "/a"}))
    first, second = routes_of(*objects)
    assert (first.match.prefix, first.direct_response.status) == ("/a", 503), "the next route was not meant for them"
    assert second.route.cluster == f"plain_{NAMESPACE}", "the others go on"
    report = report_of(translation_of(*objects), "VirtualService", "default")
    assert (report.state, f"spec.virtualHost.routes[0].{field}" in report.reason) == (EdgeState.WARNING, True), "field and value"


def test_a_circle_is_reported_and_ends() -> None:
    first = {"matchers": [{"prefix": "/a"}], "delegateAction": {"ref": {"name": "b"}}}
    second = {"matchers": [{"prefix": "/a/x"}], "delegateAction": {"ref": {"name": "a"}}}
    objects = virtual_service(delegating(), route("plain")), route_table("a", first), route_table("b", answer({"prefix": "/a/ok"}), second)
    assert paths(*objects) == ["/a/ok", "/a/x", "/"], "the rest goes on"
    assert routes_of(*objects)[1].direct_response.status == 503, "nothing falls through to what follows"
    translation = translation_of(*objects)
    expected = "spec.routes[1].delegateAction: RouteTable gloo-system/a leads back to itself: gloo-system/a -> gloo-system/b -> gloo-system/a"
    assert expected in report_of(translation, "RouteTable", "b").reason, "the whole circle, where it closes"
    assert "leads back to itself" in report_of(translation, "VirtualService", "default").reason, "the VirtualService is told"


def test_tables_that_multiply_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delegation, "MAX_ROUTES", 100)
    tables = [
        route_table(f"t{level}", *[{"matchers": [{"prefix": "/a"}], "delegateAction": {"ref": {"name": f"t{level + 1}"}}}] * 2) for level in range(30)
    ]
    translation = translation_of(virtual_service(delegating(ref={"name": "t0"})), virtual_service(answer(), name="other", domains=["other"]), *tables)
    report = report_of(translation, "VirtualService", "default")
    assert report.state is EdgeState.REJECTED, "a few objects must not ask for a billion routes"
    assert "spec.virtualHost.routes: come to more than 100 routes" in report.reason, "field and limit"
    (configuration,) = translation.routes.values()
    assert [host.name for host in configuration.virtual_hosts] == ["gloo-system.other"], "the others go on"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"matchers": [{"exact": "/a"}], "delegateAction": {"ref": {"name": "a"}}}, "a route that delegates has at most one matcher, with a prefix"),
        ({"matchers": [{"prefix": "/a"}, {"prefix": "/b"}], "delegateAction": {"ref": {"name": "a"}}}, "at most one matcher"),
        ({"delegateAction": {"ref": {"name": "a"}, "selector": {}}}, "exactly one of ref and selector"),
        ({"delegateAction": {"selector": {"labels": {"a": "b"}, "expressions": [{"key": "a", "operator": "Exists"}]}}}, "exclude each other"),
        ({"delegateAction": {"selector": {"expressions": [{"key": "a", "operator": "In"}]}}}, "In takes at least one value"),
    ],
)
def test_a_delegation_that_cannot_be_carried_out_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidResource, match=problem):
        virtual_service(given)
    with pytest.raises(InvalidResource, match=problem):
        route_table("a", given)


def test_a_table_that_nobody_delegates_to_is_accepted_and_serves_nothing() -> None:
    translation = translation_of(virtual_service(answer()), route_table("a", {**answer({"prefix": "/a"}), "options": {"cors": {}}}))
    assert "spec.routes[0].options.cors: is not supported" in report_of(translation, "RouteTable", "a").reason, "its fields are judged all the same"
    (configuration,) = translation.routes.values()
    assert len(configuration.virtual_hosts[0].routes) == 1, "the VirtualService has its own route alone"  # type: ignore[attr-defined]


def test_the_guides_destination_works_in_a_table() -> None:
    found = routes_of(virtual_service(delegating(prefix="/")), route_table("a", route()))
    assert {each.route.cluster for each in found} == {BLUE_CLUSTER}, "with failover and all"
