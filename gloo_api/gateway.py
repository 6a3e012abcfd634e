"""Gateway: one address and port on which a proxy listens, for HTTP or for TCP with TLS.

HTTPS and hybrid gateways are not supported; a Gateway that asks for one is refused rather than served in plain text.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gloo_api import names
from gloo_api.meta import Kind, Model, Port, Resource, ResourceRef, StrictModel
from gloo_api.ssl import SslConfig
from gloo_api.status import EdgeStatuses

GATEWAY = Kind(group="gateway.solo.io", version="v1", kind="Gateway", plural="gateways", short_names=("gw",))


class HttpGateway(Model):
    """Serves VirtualServices. Without a choice below: all of them."""

    virtual_services: tuple[ResourceRef, ...] = Field((), description="Serve these VirtualServices alone. Default: all.")
    virtual_service_selector: dict[str, str] = Field(
        default_factory=dict, description="Serve VirtualServices with all these labels alone. Default: all."
    )
    virtual_service_namespaces: tuple[str, ...] = Field(
        (), description='Choose by label or "all" in these namespaces alone; "*" is any. Default: any.'
    )


class Single(StrictModel):
    """One destination."""

    upstream: ResourceRef | None = Field(None, description="The Upstream.")


class TcpDestination(StrictModel):
    """Exactly one of `single` and `forwardSniClusterName`."""

    single: Single | None = Field(None, description="Everything goes to this Upstream.")
    forward_sni_cluster_name: Model | None = Field(
        None,
        description="When present, even empty: connections go to the Envoy cluster that their server name says, <upstream>_<namespace>.",
    )


class TcpHost(StrictModel):
    """Connections of one kind and where they go."""

    name: str = Field(min_length=1, description="Name of the host, unique in its Gateway.")
    ssl_config: SslConfig | None = Field(None, description="TLS that is terminated here. Default: bytes are passed on as they are.")
    destination: TcpDestination = Field(description="Where connections go.")


class TcpGateway(Model):
    """Passes TCP connections on."""

    tcp_hosts: tuple[TcpHost, ...] = Field((), description="The hosts; which one is chosen depends on the server name of the handshake.")


class GatewaySpec(Model):
    """Exactly one of `httpGateway` and `tcpGateway`, and where it listens."""

    bind_address: str = Field(min_length=1, description='IP address to listen on; "::" and "0.0.0.0" are all addresses of the proxy.')
    bind_port: Port = Field(description="TCP port to listen on; one Gateway of a proxy can have it.")
    proxy_names: tuple[str, ...] = Field((names.DEFAULT_PROXY,), description='Proxies that this Gateway is for. Default: ["gateway-proxy"].')
    ssl: bool = Field(False, description="Serve HTTPS. Not supported: only false. Default: false.")
    http_gateway: HttpGateway | None = Field(None, description="Serve HTTP.")
    tcp_gateway: TcpGateway | None = Field(None, description="Pass TCP connections on.")


class Gateway(Resource):
    """One address and port on which a proxy listens."""

    KIND: ClassVar[Kind] = GATEWAY

    spec: GatewaySpec
    status: EdgeStatuses | None = None
