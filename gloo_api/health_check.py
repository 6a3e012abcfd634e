"""Active health checks of an Upstream: HTTP, TCP and gRPC. Custom checks need a proxy that is built with them, and are reported."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gloo_api.headers import HeaderValueOption, SettableHeader
from gloo_api.meta import Duration, Model, PositiveDuration, PositiveUInt32, UInt32

HostText = Annotated[str, Field(max_length=16384, pattern=r"^[^\x00-\x08\x0A-\x1F\x7F]*$")]
"""What Envoy takes for a host; it refuses a whole cluster for one that it does not take."""

Hex = Annotated[str, Field(min_length=2, pattern="^([0-9A-Fa-f]{2})+$")]
METHOD_PATTERN = "^(|GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|PATCH)$"


class StatusRange(Model):
    """HTTP statuses from `start` up to, and without, `end`."""

    start: int = Field(ge=100, le=599, description="First status of the range.")
    end: int = Field(ge=101, le=600, description="First status after the range.")


class HttpHealthCheck(Model):
    """Asks for a path; status 200, or one of `expectedStatuses`, is healthy. Any other status is unhealthy at once, whatever the threshold."""

    path: str = Field(min_length=1, pattern=r"^/[^\x00-\x1F\x7F]*$", description="Path to ask for, such as /health.")
    host: HostText = Field("", description="Host header. Default: the name of the Envoy cluster, <upstream>_<namespace>.")
    method: str = Field("", pattern=METHOD_PATTERN, description="HTTP method. Default: GET.")
    use_http2: bool | None = Field(None, description="Check over HTTP/2. Default: as the Upstream's useHttp2.")
    service_name: str = Field("", description="Accept only an answer whose x-envoy-upstream-healthchecked-cluster starts with this. Default: any.")
    expected_statuses: tuple[StatusRange, ...] = Field(
        (), description="Statuses that count as healthy; they replace the default, which is 200 alone."
    )
    request_headers_to_add: tuple[HeaderValueOption, ...] = Field((), max_length=1000, description="Headers to add to the request. Default: none.")
    request_headers_to_remove: tuple[SettableHeader, ...] = Field((), description="Headers to remove from the request. Default: none.")


class Payload(Model):
    """Bytes."""

    text: Hex = Field(description="The bytes in hexadecimal, such as 50494E47.")


class TcpHealthCheck(Model):
    """Connects; when there is something to send or to receive, that too."""

    send: Payload | None = Field(None, description="What is sent. Default: nothing.")
    receive: tuple[Payload, ...] = Field((), description="What the answer must contain, in this order. Default: nothing, a connection is enough.")


class GrpcHealthCheck(Model):
    """Asks by grpc.health.v1. Needs the Upstream's useHttp2."""

    service_name: str = Field("", description="Service to ask for. Default: the whole server.")
    authority: HostText = Field("", description="The :authority of the request. Default: the name of the Envoy cluster, <upstream>_<namespace>.")
    initial_metadata: tuple[HeaderValueOption, ...] = Field((), max_length=1000, description="Metadata to add to the request. Default: none.")


class HealthCheck(Model):
    """How each endpoint is checked, failover endpoints included. Exactly one of httpHealthCheck, tcpHealthCheck and grpcHealthCheck."""

    timeout: PositiveDuration = Field(description="How long an answer may take.")
    interval: PositiveDuration = Field(description="Time from one answer to the next check.")
    unhealthy_threshold: PositiveUInt32 = Field(description="Timeouts or broken connections in a row that make an endpoint unhealthy.")
    healthy_threshold: PositiveUInt32 = Field(description="Good answers in a row that make an endpoint healthy again.")
    no_traffic_interval: PositiveDuration | None = Field(
        None,
        description="Interval while there was no traffic yet. Default: interval, so that a failure before the first request is seen as soon.",
    )
    unhealthy_interval: PositiveDuration | None = Field(None, description="Interval for an unhealthy endpoint. Default: interval.")
    unhealthy_edge_interval: PositiveDuration | None = Field(
        None, description="Interval after an endpoint became unhealthy. Default: unhealthyInterval."
    )
    healthy_edge_interval: PositiveDuration | None = Field(None, description="Interval after an endpoint became healthy. Default: interval.")
    initial_jitter: Duration | None = Field(None, description="Random delay, up to this, before the first check. Default: none.")
    interval_jitter: Duration | None = Field(None, description="Random time, up to this, added to each interval. Default: none.")
    interval_jitter_percent: UInt32 = Field(0, description="Random part of the interval, in percent, added to each interval. Default: 0.")
    reuse_connection: bool = Field(True, description="Keep the connection from one check to the next. Default: true.")
    event_log_path: str = Field("", description="File on the proxy that gets a JSON line for each change of health. Default: none.")
    always_log_health_check_failures: bool = Field(False, description="Log each failed check, not the first alone. Default: false.")
    http_health_check: HttpHealthCheck | None = Field(None, description="Check by an HTTP request.")
    tcp_health_check: TcpHealthCheck | None = Field(None, description="Check by a TCP connection.")
    grpc_health_check: GrpcHealthCheck | None = Field(None, description="Check by a gRPC request.")
