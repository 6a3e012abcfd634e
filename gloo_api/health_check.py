"""Active health checks of an Upstream. HTTP only so far; the other kinds of Gloo's API are reported, not ignored."""

from __future__ import annotations

from pydantic import Field

from gloo_api.meta import Duration, Model, PositiveDuration, PositiveUInt32, UInt32


class StatusRange(Model):
    """HTTP statuses from `start` up to, and without, `end`."""

    start: int = Field(ge=100, le=599, description="First status of the range.")
    end: int = Field(ge=101, le=600, description="First status after the range.")


class HeaderValue(Model):
    """One header."""

    key: str = Field(min_length=1, description="Name of the header.")
    value: str = Field("", description="Value of the header.")


class HeaderValueOption(Model):
    """A header to add to a request."""

    header: HeaderValue = Field(description="The header.")
    append: bool = Field(True, description="Add to a header of the same name (true) or replace it (false). Default: true.")


class HttpHealthCheck(Model):
    """Asks for a path; status 200, or one of `expectedStatuses`, is healthy. Any other status is unhealthy at once, whatever the threshold."""

    path: str = Field(min_length=1, pattern="^/", description="Path to ask for, such as /health.")
    host: str = Field("", description="Host header. Default: the name of the Envoy cluster, <upstream>_<namespace>.")
    method: str = Field("", pattern="^(|GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|PATCH)$", description="HTTP method. Default: GET.")
    use_http2: bool | None = Field(None, description="Check over HTTP/2. Default: as the Upstream's useHttp2.")
    service_name: str = Field("", description="Accept only an answer whose x-envoy-upstream-healthchecked-cluster starts with this. Default: any.")
    expected_statuses: tuple[StatusRange, ...] = Field(
        (), description="Statuses that count as healthy; they replace the default, which is 200 alone."
    )
    request_headers_to_add: tuple[HeaderValueOption, ...] = Field((), description="Headers to add to the request. Default: none.")
    request_headers_to_remove: tuple[str, ...] = Field((), description="Headers to remove from the request. Default: none.")


class HealthCheck(Model):
    """How each endpoint is checked, failover endpoints included."""

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
    http_health_check: HttpHealthCheck | None = Field(None, description="Check by an HTTP request. Required: the other kinds are not supported.")
