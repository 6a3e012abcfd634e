"""Active health checks.

Two of Envoy's defaults would lose requests and are never left to it: checks once a minute before the first request, and HTTP/1 checks of an HTTP/2
endpoint.
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.extensions.health_check.event_sinks.file.v3 import file_pb2
from envoy.type.matcher.v3 import string_pb2
from envoy.type.v3 import http_pb2, range_pb2

from controlplane.translation import wire
from controlplane.translation.reporter import Reporter
from gloo_api.health_check import HealthCheck, HttpHealthCheck
from gloo_api.upstream import UpstreamSpec


def health_checks(spec: UpstreamSpec, *, report: Reporter) -> list[health_check_pb2.HealthCheck]:
    """One message for each check; a check of a kind that is not supported is an error, because without it failover would wait for nothing."""
    result = []
    for index, check in enumerate(spec.health_checks):
        if check.http_health_check is None:
            report.error(f"spec.healthChecks[{index}]", "needs httpHealthCheck; the other kinds of health check are not supported")
        else:
            result.append(_message(check, check.http_health_check, http2=bool(spec.use_http2)))
    return result


def _message(check: HealthCheck, http: HttpHealthCheck, *, http2: bool) -> health_check_pb2.HealthCheck:
    message = health_check_pb2.HealthCheck(
        timeout=wire.duration(check.timeout),
        interval=wire.duration(check.interval),
        unhealthy_threshold=wire.uint32(check.unhealthy_threshold),
        healthy_threshold=wire.uint32(check.healthy_threshold),
        # Envoy's default is 60 s and rules until the cluster has had traffic: a failure before the first request would be seen a minute late.
        no_traffic_interval=wire.duration(check.no_traffic_interval or check.interval),
        unhealthy_interval=wire.optional_duration(check.unhealthy_interval),
        unhealthy_edge_interval=wire.optional_duration(check.unhealthy_edge_interval),
        healthy_edge_interval=wire.optional_duration(check.healthy_edge_interval),
        initial_jitter=wire.optional_duration(check.initial_jitter),
        interval_jitter=wire.optional_duration(check.interval_jitter),
        interval_jitter_percent=check.interval_jitter_percent,
        reuse_connection=wire.boolean(check.reuse_connection),
        always_log_health_check_failures=check.always_log_health_check_failures,
        http_health_check=_http(http, http2=http2),
    )
    if check.event_log_path:
        sink = message.event_logger.add(name="envoy.health_check.event_sink.file")
        sink.typed_config.CopyFrom(wire.pack(file_pb2.HealthCheckEventFileSink(event_log_path=check.event_log_path)))
    return message


def _http(http: HttpHealthCheck, *, http2: bool) -> health_check_pb2.HealthCheck.HttpHealthCheck:
    message = health_check_pb2.HealthCheck.HttpHealthCheck(
        host=http.host,
        path=http.path,
        method=base_pb2.RequestMethod.Value(http.method) if http.method else base_pb2.METHOD_UNSPECIFIED,
        codec_client_type=http_pb2.HTTP2 if (http2 if http.use_http2 is None else http.use_http2) else http_pb2.HTTP1,
        expected_statuses=[range_pb2.Int64Range(start=item.start, end=item.end) for item in http.expected_statuses],
        request_headers_to_add=[_header(item.header.key, item.header.value, append=item.append) for item in http.request_headers_to_add],
        request_headers_to_remove=http.request_headers_to_remove,
    )
    if http.service_name:
        message.service_name_matcher.CopyFrom(string_pb2.StringMatcher(prefix=http.service_name))
    return message


def _header(key: str, value: str, *, append: bool) -> base_pb2.HeaderValueOption:
    action = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD if append else base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=key, value=value), append_action=action)
