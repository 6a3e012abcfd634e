"""Matchers as Envoy's. Every condition of a matcher is in its message: nothing that was not meant is matched."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2

from controlplane.translation import wire
from gloo_api.matchers import HeaderMatcher, Matcher, QueryParameterMatcher


def route_match(matcher: Matcher, *, under: str = "", methods: tuple[str, ...] = ()) -> route_components_pb2.RouteMatch:
    """`under`: the prefix that a parent has delegated; a regular expression could leave it ("/a|/b"). `methods` replaces those of the matcher."""
    message = route_components_pb2.RouteMatch()
    if matcher.exact is not None:
        message.path = matcher.exact
    elif matcher.regex is not None:
        message.safe_regex.regex = matcher.regex
        if under.strip("/"):
            message.headers.add(name=":path", string_match=string_pb2.StringMatcher(prefix=under))
    else:
        message.prefix = matcher.prefix or "/"
    if matcher.case_sensitive is not None and matcher.regex is None:
        message.case_sensitive.CopyFrom(wire.boolean(matcher.case_sensitive))
    if methods:
        message.headers.add(name=":method", string_match=_one_of(methods))
    message.headers.extend(_header(header) for header in matcher.headers)
    message.query_parameters.extend(_parameter(parameter) for parameter in matcher.query_parameters)
    return message


def _header(matcher: HeaderMatcher) -> route_components_pb2.HeaderMatcher:
    if not matcher.value:
        return route_components_pb2.HeaderMatcher(name=matcher.name, present_match=True, invert_match=matcher.invert_match)
    return route_components_pb2.HeaderMatcher(
        name=matcher.name,
        string_match=_text(matcher.value, regex=matcher.regex),
        invert_match=matcher.invert_match,
        # Without it a request that lacks the header would match neither way.
        treat_missing_header_as_empty=matcher.invert_match,
    )


def _parameter(matcher: QueryParameterMatcher) -> route_components_pb2.QueryParameterMatcher:
    if not matcher.value:
        return route_components_pb2.QueryParameterMatcher(name=matcher.name, present_match=True)
    return route_components_pb2.QueryParameterMatcher(name=matcher.name, string_match=_text(matcher.value, regex=matcher.regex))


def _text(value: str, *, regex: bool) -> string_pb2.StringMatcher:
    if regex:
        return string_pb2.StringMatcher(safe_regex=regex_pb2.RegexMatcher(regex=value))
    return string_pb2.StringMatcher(exact=value)


def _one_of(methods: tuple[str, ...]) -> string_pb2.StringMatcher:
    return _text("|".join(methods), regex=len(methods) > 1)
