"""Gateway: one address and port on which a proxy listens, for HTTP, HTTPS or TCP. Hybrid gateways are refused rather than served in part."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from gloo_api import names
from gloo_api.destinations import Destination, MultiDestination
from gloo_api.label_selector import Expression
from gloo_api.meta import GuardedModel, Kind, Model, Port, PositiveDuration, PositiveUInt32, Resource, ResourceRef, StrictModel
from gloo_api.ssl import SslConfig
from gloo_api.status import EdgeStatuses

GATEWAY = Kind(group="gateway.solo.io", version="v1", kind="Gateway", plural="gateways", short_names=("gw",))

DEFAULT_BUFFER_LIMIT = 1024 * 1024
"""Bytes; Envoy's and Gloo's own default."""


class VirtualServiceSelectorExpressions(StrictModel):
    """Conditions that all hold."""

    expressions: tuple[Expression, ...] = Field((), description="Conditions on the labels of a VirtualService.")


class HttpListenerOptions(GuardedModel):
    """Options of HTTP. None is supported; those that protect are refused, the others are kept and reported."""

    GUARDS = frozenset({
        "waf", "dlp", "csrf", "extauth", "ratelimitServer", "extProc", "buffer", "connectionLimit", "networkLocalRatelimit",
        "httpLocalRatelimit", "headerValidationSettings", "sanitizeClusterHeader",
    })  # fmt: skip


class HttpGateway(GuardedModel):
    """Serves VirtualServices. Without a choice below: all of them."""

    virtual_services: tuple[ResourceRef, ...] = Field((), description="Serve these VirtualServices alone. Default: all.")
    virtual_service_selector: dict[str, str] = Field(
        default_factory=dict, description="Serve VirtualServices with all these labels alone. It goes before virtualServices. Default: all."
    )
    virtual_service_expressions: VirtualServiceSelectorExpressions | None = Field(
        None, description="Serve VirtualServices whose labels meet all these conditions alone. It goes before virtualServiceSelector. Default: all."
    )
    virtual_service_namespaces: tuple[str, ...] = Field(
        (), description='Choose by label or "all" in these namespaces alone; "*" is any. Default: any.'
    )
    options: HttpListenerOptions | None = Field(None, description="Options of HTTP. Default: none.")


class TcpDestination(StrictModel):
    """Exactly one of `single`, `multi` and `forwardSniClusterName`."""

    single: Destination | None = Field(None, description="Everything goes to this Upstream.")
    multi: MultiDestination | None = Field(None, description="Connections go to several Upstreams by weight.")
    forward_sni_cluster_name: Model | None = Field(
        None,
        description="When present, even empty: connections go to the Envoy cluster that their server name says, <upstream>_<namespace>.",
    )


class TcpHost(StrictModel):
    """Connections of one kind and where they go."""

    name: str = Field(min_length=1, description="Name of the host, unique in its Gateway.")
    ssl_config: SslConfig | None = Field(None, description="TLS that is terminated here. Default: bytes are passed on as they are.")
    destination: TcpDestination = Field(description="Where connections go.")


class TcpProxySettings(Model):
    """How connections are passed on."""

    max_connect_attempts: PositiveUInt32 | None = Field(None, description="How often to try to connect. Default: 1.")
    idle_timeout: PositiveDuration | None = Field(None, description='How long a connection may be silent. Default: "3600s".')


class TcpListenerOptions(GuardedModel):
    """Options of TCP."""

    GUARDS = frozenset({"connectionLimit", "localRatelimit"})

    tcp_proxy_settings: TcpProxySettings | None = Field(None, description="How connections are passed on.")


class TcpGateway(GuardedModel):
    """Passes TCP connections on."""

    tcp_hosts: tuple[TcpHost, ...] = Field((), description="The hosts; which one is chosen depends on the server name of the handshake.")
    options: TcpListenerOptions | None = Field(None, description="Options of TCP.")


class ListenerOptions(Model):
    """Options of the listener."""

    per_connection_buffer_limit_bytes: PositiveUInt32 | None = Field(
        None, description="Bytes that are held for a connection. A request with a longer body is not tried again. Default: 1048576."
    )


class GatewaySpec(GuardedModel):
    """Exactly one of `httpGateway` and `tcpGateway`, and where it listens."""

    GUARDS = frozenset({"hybridGateway"})

    bind_address: str = Field(min_length=1, description='IP address to listen on; "::" and "0.0.0.0" are all addresses of the proxy.')
    bind_port: Port = Field(description="TCP port to listen on; one Gateway of a proxy can have it.")
    proxy_names: tuple[str, ...] = Field(
        (names.DEFAULT_PROXY,), min_length=1, description='Proxies that this Gateway is for. Default: ["gateway-proxy"].'
    )
    use_proxy_proto: bool | None = Field(None, description="Clients begin with the PROXY protocol, which says where they come from. Default: false.")
    ssl: bool = Field(False, description="Serve HTTPS, the VirtualServices with sslConfig alone; false: those without it alone. Default: false.")
    http_gateway: HttpGateway | None = Field(None, description="Serve HTTP.")
    tcp_gateway: TcpGateway | None = Field(None, description="Pass TCP connections on.")
    options: ListenerOptions | None = Field(None, description="Options of the listener.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.http_gateway is None) == (self.tcp_gateway is None):
            raise ValueError("exactly one of httpGateway and tcpGateway is needed")
        return self


class Gateway(Resource):
    """One address and port on which a proxy listens."""

    KIND: ClassVar[Kind] = GATEWAY

    spec: GatewaySpec
    status: EdgeStatuses | None = None
