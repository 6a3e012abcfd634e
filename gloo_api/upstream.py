"""Upstream: a place to route to, its health checks, and where it fails over to.

Kubernetes Services and fixed hosts only; fields of Gloo's API that are not here are kept in the object and reported in its status by path.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gloo_api.circuit_breakers import CircuitBreakers
from gloo_api.connection_config import ConnectionConfig
from gloo_api.failover import Failover
from gloo_api.health_check import METHOD_PATTERN, HealthCheck
from gloo_api.load_balancer import LoadBalancerConfig
from gloo_api.meta import Host, Kind, Model, Port, PositiveUInt32, Resource, StrictModel
from gloo_api.outlier_detection import OutlierDetection
from gloo_api.ssl import ServerName, UpstreamSslConfig
from gloo_api.status import UpstreamStatus

UPSTREAM = Kind(group="gloo.solo.io", version="v1", kind="Upstream", plural="upstreams", short_names=("us",))


class KubeUpstream(Model):
    """A port of a Kubernetes Service; its endpoints are followed."""

    service_name: str = Field(min_length=1, description="Name of the Service.")
    service_namespace: str = Field(min_length=1, description="Namespace of the Service.")
    service_port: Port = Field(description="Port of the Service (not of its pods).")
    selector: dict[str, str] = Field(
        default_factory=dict, description="Labels of the pods; may only repeat labels of the Service's own selector. Default: the Service's selector."
    )


class HostHealthCheckConfig(Model):
    """What differs for one host from the health check of the Upstream. Envoy has one path and method for all hosts: others have no effect."""

    path: str = Field("", description="Path to check. Default: that of the health check.")
    method: str = Field("", pattern=METHOD_PATTERN, description="Method of the check. Default: that of the health check.")


class StaticHost(Model):
    """One fixed host."""

    addr: Host = Field(description="IP address or host name.")
    port: Port = Field(description="TCP port.")
    sni_addr: ServerName = Field(
        "", description="Server name that is asked for in the TLS handshake. Default: sslConfig.sni, else addr when it is a name."
    )
    load_balancing_weight: PositiveUInt32 | None = Field(None, description="Share among the hosts. Default: equal shares.")
    health_check_config: HostHealthCheckConfig | None = Field(None, description="Differences in how this host is checked. Default: none.")


class StaticUpstream(StrictModel):
    """Fixed hosts."""

    hosts: tuple[StaticHost, ...] = Field(min_length=1, description="The hosts.")
    use_tls: bool | None = Field(None, description="Speak TLS even without sslConfig, verifying nobody. Default: true when a port is 443.")
    auto_sni_rewrite: bool | None = Field(None, description="Ask for addr as server name where no other is given. Default: true.")


class UpstreamSpec(Model):
    """Exactly one of `kube` and `static`, and how to use it."""

    kube: KubeUpstream | None = Field(None, description="A port of a Kubernetes Service.")
    static: StaticUpstream | None = Field(None, description="Fixed hosts.")
    health_checks: tuple[HealthCheck, ...] = Field((), description="Active health checks; failover needs one. Default: none.")
    ssl_config: UpstreamSslConfig | None = Field(None, description="TLS towards the Upstream's own endpoints. Default: plain text.")
    failover: Failover | None = Field(None, description="Where requests go when the Upstream's own endpoints are unhealthy. Default: nowhere.")
    ignore_health_on_host_removal: bool | None = Field(
        None, description="Stop using an endpoint that is gone from discovery even while it still passes its health check. Default: true."
    )
    use_http2: bool | None = Field(None, description="Speak HTTP/2 to the endpoints. Default: false.")
    connection_config: ConnectionConfig | None = Field(None, description="Connections to the endpoints.")
    load_balancer_config: LoadBalancerConfig | None = Field(None, description="How requests are spread. Default: round robin.")
    outlier_detection: OutlierDetection | None = Field(None, description="When an endpoint that fails requests is left alone. Default: never.")
    circuit_breakers: CircuitBreakers | None = Field(None, description="How much may be going on at a time.")


class Upstream(Resource):
    """A place to route to."""

    KIND: ClassVar[Kind] = UPSTREAM

    spec: UpstreamSpec = Field(default_factory=UpstreamSpec)
    status: UpstreamStatus | None = None
