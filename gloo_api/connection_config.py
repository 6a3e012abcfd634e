"""`spec.connectionConfig` of an Upstream: connections to its endpoints, and what is spoken on them."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from gloo_api.meta import Duration, Model, PositiveDuration, PositiveUInt32, UInt32

_MAX_KEEPALIVE_SECONDS = 32767
_MAX_KEEPALIVE_PROBES = 127


def _keepalive(value: timedelta) -> timedelta:
    """The kernel refuses more, and Envoy then every connection."""
    if value > timedelta(seconds=_MAX_KEEPALIVE_SECONDS):
        raise ValueError(f'at most "{_MAX_KEEPALIVE_SECONDS}s"')
    return value


KeepaliveDuration = Annotated[Duration, AfterValidator(_keepalive)]


class TcpKeepAlive(Model):
    """Probes of idle connections. Zero is the default, too."""

    keepalive_probes: Annotated[int, Field(ge=0, le=_MAX_KEEPALIVE_PROBES)] = Field(
        0, description="Unanswered probes that end a connection. Default: the kernel's, with failover 3."
    )
    keepalive_time: KeepaliveDuration | None = Field(
        None, description='Idle time before the first probe; rounded up to seconds. Default: the kernel\'s, with failover "10s".'
    )
    keepalive_interval: KeepaliveDuration | None = Field(
        None, description='Time between probes; rounded up to seconds. Default: the kernel\'s, with failover "5s".'
    )


class HeadersWithUnderscores(StrEnum):
    """What becomes of a request header with an underscore in its name."""

    ALLOW = "ALLOW"
    REJECT_REQUEST = "REJECT_REQUEST"
    DROP_HEADER = "DROP_HEADER"


class HttpProtocolOptions(Model):
    """HTTP/1 and HTTP/2 alike."""

    idle_timeout: Duration | None = Field(None, description='A connection without requests is closed after this; "0s": never. Default: "3600s".')
    max_headers_count: UInt32 = Field(0, description="Headers of an answer at most. Default: 100.")
    max_stream_duration: Duration | None = Field(None, description="A request and its answer together take at most this. Default: no limit.")
    headers_with_underscores_action: HeadersWithUnderscores = Field(
        HeadersWithUnderscores.ALLOW, description="What becomes of headers with an underscore. Default: ALLOW."
    )


class Http1ProtocolOptions(Model):
    """HTTP/1 alone. At most one of the two header formats."""

    enable_trailers: bool = Field(False, description="Pass trailers on. Default: false.")
    proper_case_header_key_format: bool = Field(False, description="Write header names as Content-Type. Default: false.")
    preserve_case_header_key_format: bool = Field(False, description="Write header names as they came. Default: false.")
    override_stream_error_on_invalid_http_message: bool | None = Field(
        None, description="Keep the connection open after an invalid message where possible. Default: false."
    )


class ConnectionConfig(Model):
    """Connections to the endpoints, those of failover included."""

    max_requests_per_connection: UInt32 = Field(0, description="Requests on one connection at most; 0: no limit. Default: 0.")
    connect_timeout: PositiveDuration | None = Field(None, description='How long a connection may take. Default: "5s".')
    tcp_keepalive: TcpKeepAlive | None = Field(None, description="Probes of idle connections.")
    per_connection_buffer_limit_bytes: PositiveUInt32 | None = Field(None, description="Soft limit of each connection's buffers. Default: 1 MiB.")
    common_http_protocol_options: HttpProtocolOptions | None = Field(None, description="HTTP/1 and HTTP/2 alike.")
    http1_protocol_options: Http1ProtocolOptions | None = Field(None, description="HTTP/1 alone.")
