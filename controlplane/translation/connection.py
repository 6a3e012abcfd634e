"""Connections of a cluster to its endpoints, and which HTTP is spoken on them."""

from __future__ import annotations

import math
from datetime import timedelta
from functools import cache

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, extension_pb2, protocol_pb2
from envoy.extensions.http.header_formatters.preserve_case.v3 import preserve_case_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import any_pb2

from controlplane.translation import not_executed, wire
from controlplane.translation.reporter import Reporter
from gloo_api.connection_config import ConnectionConfig, Http1ProtocolOptions, HttpProtocolOptions, TcpKeepAlive
from gloo_api.upstream import UpstreamSpec

CONNECT_TIMEOUT = timedelta(seconds=5)
"""Gloo's default."""

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_FAILOVER_KEEPALIVE = address_pb2.TcpKeepalive(keepalive_probes=wire.uint32(3), keepalive_time=wire.uint32(10), keepalive_interval=wire.uint32(5))
_PATH = "spec.connectionConfig"


def set_connections(cluster: cluster_pb2.Cluster, spec: UpstreamSpec, *, failover: bool, report: Reporter) -> None:
    """Put `spec.connectionConfig` and `spec.useHttp2` into `cluster`."""
    config = spec.connection_config
    cluster.connect_timeout.CopyFrom(wire.duration((config and config.connect_timeout) or CONNECT_TIMEOUT))
    keepalive = config and config.tcp_keepalive
    if keepalive is not None or failover:
        cluster.upstream_connection_options.tcp_keepalive.CopyFrom(_keepalive(keepalive or TcpKeepAlive(), failover=failover))
    if config is not None and config.per_connection_buffer_limit_bytes is not None:
        cluster.per_connection_buffer_limit_bytes.value = config.per_connection_buffer_limit_bytes
    http2 = bool(spec.use_http2)
    if config is not None and _speaks_differently(config):
        packed = wire.pack(_http_options(config, http2=http2, failover=failover, report=report))
    elif http2 or failover:
        packed = _usual_http_options(http2=http2, failover=failover)
    else:
        return
    cluster.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(packed)


def _keepalive(config: TcpKeepAlive, *, failover: bool) -> address_pb2.TcpKeepalive:
    # [R] Idle connections to the other cluster die unnoticed in firewalls on the way; probe them.
    otherwise = _FAILOVER_KEEPALIVE if failover else address_pb2.TcpKeepalive()
    # Zero means the default, too: Envoy would hand it to the kernel, which refuses it.
    given = address_pb2.TcpKeepalive(
        keepalive_probes=wire.optional_uint32(config.keepalive_probes or None),
        keepalive_time=wire.optional_uint32(_whole_seconds(config.keepalive_time)),
        keepalive_interval=wire.optional_uint32(_whole_seconds(config.keepalive_interval)),
    )
    message = address_pb2.TcpKeepalive()
    message.CopyFrom(otherwise)
    message.MergeFrom(given)
    return message


def _whole_seconds(value: timedelta | None) -> int | None:
    return math.ceil(value.total_seconds()) if value else None


def _speaks_differently(config: ConnectionConfig) -> bool:
    return bool(config.max_requests_per_connection or config.common_http_protocol_options or config.http1_protocol_options)


@cache
def _usual_http_options(*, http2: bool, failover: bool) -> any_pb2.Any:
    """Those of nearly every cluster; made once, as they are the most expensive part of one."""
    return wire.pack(_http_options(ConnectionConfig(), http2=http2, failover=failover, report=Reporter()))


def _http_options(config: ConnectionConfig, *, http2: bool, failover: bool, report: Reporter) -> http_protocol_options_pb2.HttpProtocolOptions:
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if http2:
        options.explicit_http_config.http2_protocol_options.CopyFrom(protocol_pb2.Http2ProtocolOptions())
        if config.http1_protocol_options is not None:
            report.warn(f"{_PATH}.http1ProtocolOptions", "has no effect with useHttp2")
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
        if config.http1_protocol_options is not None:
            _http1(options.explicit_http_config.http_protocol_options, config.http1_protocol_options, report=report)
    if failover:
        # [R] A request that a failing backend's health check answered was not executed: marked, it can be retried whatever its method is.
        options.http_filters.extend(not_executed.upstream_filters())
    common = options.common_http_protocol_options
    if config.max_requests_per_connection:
        common.max_requests_per_connection.value = config.max_requests_per_connection
    if config.common_http_protocol_options is not None:
        _common(common, config.common_http_protocol_options)
    return options


def _common(message: protocol_pb2.HttpProtocolOptions, config: HttpProtocolOptions) -> None:
    if config.idle_timeout is not None:
        message.idle_timeout.CopyFrom(wire.duration(config.idle_timeout))
    if config.max_headers_count:
        message.max_headers_count.value = config.max_headers_count
    if config.max_stream_duration is not None:
        message.max_stream_duration.CopyFrom(wire.duration(config.max_stream_duration))
    message.headers_with_underscores_action = protocol_pb2.HttpProtocolOptions.HeadersWithUnderscoresAction.Value(
        config.headers_with_underscores_action
    )


def _http1(message: protocol_pb2.Http1ProtocolOptions, config: Http1ProtocolOptions, *, report: Reporter) -> None:
    message.enable_trailers = config.enable_trailers
    if config.override_stream_error_on_invalid_http_message is not None:
        message.override_stream_error_on_invalid_http_message.value = config.override_stream_error_on_invalid_http_message
    if config.proper_case_header_key_format and config.preserve_case_header_key_format:
        report.error(f"{_PATH}.http1ProtocolOptions", "has two header formats; allowed is one of properCase... and preserveCaseHeaderKeyFormat")
    elif config.proper_case_header_key_format:
        message.header_key_format.proper_case_words.SetInParent()
    elif config.preserve_case_header_key_format:
        message.header_key_format.stateful_formatter.CopyFrom(
            extension_pb2.TypedExtensionConfig(
                name="envoy.http.stateful_header_formatters.preserve_case",
                typed_config=wire.pack(preserve_case_pb2.PreserveCaseFormatterConfig()),
            )
        )
