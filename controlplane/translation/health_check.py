"""Active health checks.

Two of Envoy's defaults would lose requests and are never left to it: checks once a minute before the first request, and HTTP/1 checks of an HTTP/2
endpoint. What Envoy would refuse a whole cluster for is an error by its path.
"""

from __future__ import annotations

from collections.abc import Sequence

from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.extensions.health_check.event_sinks.file.v3 import file_pb2
from envoy.type.matcher.v3 import string_pb2
from envoy.type.v3 import http_pb2, range_pb2

from controlplane.translation import wire
from controlplane.translation.reporter import Reporter
from gloo_api.failover import EndpointHealthCheckConfig
from gloo_api.headers import HeaderValueOption
from gloo_api.health_check import GrpcHealthCheck, HealthCheck, HttpHealthCheck, TcpHealthCheck
from gloo_api.upstream import HostHealthCheckConfig, UpstreamSpec

_Payload = health_check_pb2.HealthCheck.Payload


def health_checks(spec: UpstreamSpec, *, report: Reporter) -> list[health_check_pb2.HealthCheck]:
    """One message for each check; a check of a kind that is not supported is an error, because without it failover would wait for nothing."""
    if len(spec.health_checks) > 1:
        report.error("spec.healthChecks[1]", "is one too many: Envoy checks an endpoint in one way; use spec.outlierDetection for a second opinion")
    http2 = bool(spec.use_http2)
    checks = [_health_check(check, path=f"spec.healthChecks[{index}]", http2=http2, report=report) for index, check in enumerate(spec.health_checks)]
    return [check for check in checks if check is not None]


def warn_of_own_path(own: EndpointHealthCheckConfig | HostHealthCheckConfig, checks: Sequence[HealthCheck], *, path: str, report: Reporter) -> None:
    """Envoy asks all endpoints of a cluster for one path by one method, so an endpoint's own count only when they are the same."""
    https = [check.http_health_check for check in checks if check.http_health_check is not None]
    for name, value, used in (("path", own.path, [http.path for http in https]), ("method", own.method, [http.method or "GET" for http in https])):
        if value and value not in used:
            shown = f"here {', '.join(used)}" if used else "in spec.healthChecks[].httpHealthCheck"
            report.warn(f"{path}.{name}", f'"{value}" has no effect: Envoy has one {name} for all endpoints, {shown}')


def _health_check(check: HealthCheck, *, path: str, http2: bool, report: Reporter) -> health_check_pb2.HealthCheck | None:
    kinds = (check.http_health_check, check.tcp_health_check, check.grpc_health_check)
    if sum(kind is not None for kind in kinds) != 1:
        report.error(path, "needs exactly one of httpHealthCheck, tcpHealthCheck and grpcHealthCheck; no other kind of health check is supported")
        return None
    message = _timing(check)
    if check.http_health_check is not None:
        _http(message.http_health_check, check.http_health_check, path=f"{path}.httpHealthCheck", http2=http2, report=report)
    elif check.tcp_health_check is not None:
        _tcp(message.tcp_health_check, check.tcp_health_check)
    elif check.grpc_health_check is not None:
        _grpc(message.grpc_health_check, check.grpc_health_check, path=f"{path}.grpcHealthCheck", http2=http2, report=report)
    return message


def _timing(check: HealthCheck) -> health_check_pb2.HealthCheck:
    message = health_check_pb2.HealthCheck(
        timeout=wire.duration(check.timeout),
        interval=wire.duration(check.interval),
        unhealthy_threshold=wire.uint32(check.unhealthy_threshold),
        healthy_threshold=wire.uint32(check.healthy_threshold),
        # [R] Envoy's default is 60 s and rules until the cluster has had traffic: a failure before the first request would be seen a minute late.
        no_traffic_interval=wire.duration(check.no_traffic_interval or check.interval),
        unhealthy_interval=wire.optional_duration(check.unhealthy_interval),
        unhealthy_edge_interval=wire.optional_duration(check.unhealthy_edge_interval),
        healthy_edge_interval=wire.optional_duration(check.healthy_edge_interval),
        initial_jitter=wire.optional_duration(check.initial_jitter),
        interval_jitter=wire.optional_duration(check.interval_jitter),
        interval_jitter_percent=check.interval_jitter_percent,
        reuse_connection=wire.boolean(check.reuse_connection),
        always_log_health_check_failures=check.always_log_health_check_failures,
    )
    if check.event_log_path:
        sink = message.event_logger.add(name="envoy.health_check.event_sink.file")
        sink.typed_config.CopyFrom(wire.pack(file_pb2.HealthCheckEventFileSink(event_log_path=check.event_log_path)))
    return message


def _http(message: health_check_pb2.HealthCheck.HttpHealthCheck, http: HttpHealthCheck, *, path: str, http2: bool, report: Reporter) -> None:
    for index, statuses in enumerate(http.expected_statuses):
        if statuses.start >= statuses.end:
            report.error(f"{path}.expectedStatuses[{index}]", f"{statuses.start} to {statuses.end} is empty; end is the first status after the range")
    message.host = http.host
    message.path = http.path
    message.method = base_pb2.RequestMethod.Value(http.method) if http.method else base_pb2.METHOD_UNSPECIFIED
    message.codec_client_type = http_pb2.HTTP2 if (http2 if http.use_http2 is None else http.use_http2) else http_pb2.HTTP1
    message.expected_statuses.extend(range_pb2.Int64Range(start=item.start, end=item.end) for item in http.expected_statuses)
    message.request_headers_to_add.extend(_header(item) for item in http.request_headers_to_add)
    message.request_headers_to_remove.extend(http.request_headers_to_remove)
    if http.service_name:
        message.service_name_matcher.CopyFrom(string_pb2.StringMatcher(prefix=http.service_name))


def _tcp(message: health_check_pb2.HealthCheck.TcpHealthCheck, tcp: TcpHealthCheck) -> None:
    message.SetInParent()
    if tcp.send is not None:
        message.send.text = tcp.send.text
    message.receive.extend(_Payload(text=payload.text) for payload in tcp.receive)


def _grpc(message: health_check_pb2.HealthCheck.GrpcHealthCheck, grpc: GrpcHealthCheck, *, path: str, http2: bool, report: Reporter) -> None:
    if not http2:
        report.error(path, "needs spec.useHttp2: true, because gRPC is spoken over HTTP/2")
    message.SetInParent()
    message.service_name = grpc.service_name
    message.authority = grpc.authority
    message.initial_metadata.extend(_header(item) for item in grpc.initial_metadata)


def _header(item: HeaderValueOption) -> base_pb2.HeaderValueOption:
    action = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD if item.append else base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=item.header.key, value=item.header.value), append_action=action)
