"""Options of routes and virtual hosts on Envoy's messages. A route's own option hides that of its parents; of alternatives it hides every one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import regex_pb2

from controlplane.translation import wire
from controlplane.translation.delegation import Layer
from controlplane.translation.retry import DEFAULT_TIMEOUT
from gloo_api.headers import HeaderManipulation, HeaderValueOption
from gloo_api.route_options import HOST_REWRITES, PATH_REWRITES, RegexMatchAndSubstitute, VirtualHostOptions

_Append = base_pb2.HeaderValueOption


def find(layers: Iterable[Layer], *names: str) -> tuple[Layer, Any] | None:
    """The value that counts of an option, or of options that exclude each other, and where it was found."""
    for layer in layers:
        for name in names:
            if (value := getattr(layer.options, name, None)) is not None:
                return layer, value
    return None


def value(layers: Iterable[Layer], name: str) -> Any:
    """The value that counts of an option; None when it is not set."""
    found = find(layers, name)
    return found[1] if found else None


def timeout(layers: Iterable[Layer]) -> timedelta:
    """How long an answer may take; zero is no limit."""
    found = value(layers, "timeout")
    return DEFAULT_TIMEOUT if found is None else found


def apply_to_action(action: route_components_pb2.RouteAction, layers: tuple[Layer, ...]) -> None:
    """Timeouts and rewrites."""
    action.timeout.CopyFrom(wire.duration(timeout(layers)))
    if (idle := value(layers, "idle_timeout")) is not None:
        action.idle_timeout.CopyFrom(wire.duration(idle))
    if found := find(layers, *PATH_REWRITES):
        options = found[0].options
        if prefix := getattr(options, "prefix_rewrite", None):
            action.prefix_rewrite = prefix
        elif regex := getattr(options, "regex_rewrite", None):
            action.regex_rewrite.CopyFrom(substitution(regex))
    if found := find(layers, *HOST_REWRITES):
        _rewrite_host(action, found[0].options)
    action.append_x_forwarded_host = bool(value(layers, "append_x_forwarded_host"))


def _rewrite_host(action: route_components_pb2.RouteAction, options: Any) -> None:
    if options.host_rewrite is not None:
        action.host_rewrite_literal = options.host_rewrite
    elif options.host_rewrite_header is not None:
        action.host_rewrite_header = options.host_rewrite_header
    elif options.host_rewrite_path_regex is not None:
        action.host_rewrite_path_regex.CopyFrom(substitution(options.host_rewrite_path_regex))
    else:
        action.auto_host_rewrite.CopyFrom(wire.boolean(options.auto_host_rewrite))


def apply_to_route(route: route_components_pb2.Route, layers: tuple[Layer, ...]) -> None:
    """Headers of the route itself or of a parent; those of the virtual host are on the virtual host."""
    change_headers(route, value(layers[:-1], "header_manipulation"))


def apply_to_host(host: route_components_pb2.VirtualHost, options: VirtualHostOptions | None) -> None:
    if options is None:
        return
    change_headers(host, options.header_manipulation)
    host.include_request_attempt_count = bool(options.include_request_attempt_count)
    host.include_attempt_count_in_response = bool(options.include_attempt_count_in_response)


def change_headers(holder: Any, change: HeaderManipulation | None) -> None:
    """`holder`: a Route, a VirtualHost or a ClusterWeight; their fields for headers are called alike."""
    if change is None:
        return
    holder.request_headers_to_add.extend(map(_header, change.request_headers_to_add))
    holder.request_headers_to_remove.extend(change.request_headers_to_remove)
    holder.response_headers_to_add.extend(map(_header, change.response_headers_to_add))
    holder.response_headers_to_remove.extend(change.response_headers_to_remove)


def _header(option: HeaderValueOption) -> base_pb2.HeaderValueOption:
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=option.header.key, value=option.header.value),
        append_action=_Append.APPEND_IF_EXISTS_OR_ADD if option.append else _Append.OVERWRITE_IF_EXISTS_OR_ADD,
        keep_empty_value=True,
    )


def substitution(given: RegexMatchAndSubstitute) -> regex_pb2.RegexMatchAndSubstitute:
    return regex_pb2.RegexMatchAndSubstitute(pattern=regex_pb2.RegexMatcher(regex=given.pattern.regex), substitution=given.substitution)
