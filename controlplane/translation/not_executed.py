"""Marks answers that prove that a request was not executed, so that a request of any method, a POST too, may be sent again.

A backend that was told to fail (`POST /healthcheck/fail`) has its health_check filter answer 503 for whatever the filter takes for a check; without a
`:path` matcher that is every request. Nothing but the filter saw such a request. Its answer is told from one that the application gave, or that was
made while the application had the request, by what it lacks: the time that a router behind the filter took (`x-envoy-upstream-service-time`), and the
text, hence the content type, of a router's own answer. Retries match one header exactly, so an HTTP filter in the cluster writes all of it into one.

It decides nothing about retries, and does not remove the header again (see the routes). Not told apart: an application's own empty 503 without a
content type, behind a filter that matches paths, in a proxy that suppresses its `x-envoy-` headers.
"""

from __future__ import annotations

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.upstream_codec.v3 import upstream_codec_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from controlplane.translation import wire

HEADER = "x-service-failover-not-executed"
"""On the answer of a cluster that has `upstream_filters`, whatever the backend itself says there; to be removed before a client sees it."""

VALUE = "503-true--"
"""What HEADER is, exactly, when the request was not executed: status 503, immediate failure, no service time, no content type."""

_FORMAT = "%RESP(:status)%-%RESP(x-envoy-immediate-health-check-fail)%-%RESP(x-envoy-upstream-service-time)%-%RESP(content-type)%"


def upstream_filters() -> list[http_connection_manager_pb2.HttpFilter]:
    """The filters for `HttpProtocolOptions.http_filters` of a cluster. They see each try's answer before the router decides whether to try again."""
    mark = mutation_rules_pb2.HeaderMutation(
        append=base_pb2.HeaderValueOption(
            header=base_pb2.HeaderValue(key=HEADER, value=_FORMAT), append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        )
    )
    mutation = header_mutation_pb2.HeaderMutation(mutations=header_mutation_pb2.Mutations(response_mutations=[mark]))
    return [
        http_connection_manager_pb2.HttpFilter(name="envoy.filters.http.header_mutation", typed_config=wire.pack(mutation)),
        http_connection_manager_pb2.HttpFilter(name="envoy.filters.http.upstream_codec", typed_config=wire.pack(upstream_codec_pb2.UpstreamCodec())),
    ]
