"""Upstream: a place to route to, its health checks, and where it fails over to.

Kubernetes Services and fixed hosts only; fields of Gloo's API that are not here are kept in the object and reported in its status by path.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from gloo_api.failover import Failover
from gloo_api.health_check import HealthCheck
from gloo_api.meta import Kind, Model, Port, PositiveDuration, PositiveUInt32, Resource, StrictModel
from gloo_api.ssl import UpstreamSslConfig
from gloo_api.status import EdgeStatuses

UPSTREAM = Kind(group="gloo.solo.io", version="v1", kind="Upstream", plural="upstreams", short_names=("us",))


class KubeUpstream(Model):
    """A port of a Kubernetes Service; its endpoints are followed."""

    service_name: str = Field(min_length=1, description="Name of the Service.")
    service_namespace: str = Field(min_length=1, description="Namespace of the Service.")
    service_port: Port = Field(description="Port of the Service (not of its pods).")
    selector: dict[str, str] = Field(
        default_factory=dict, description="Labels of the pods; may only repeat labels of the Service's own selector. Default: the Service's selector."
    )


class StaticHost(Model):
    """One fixed host."""

    addr: str = Field(min_length=1, description="IP address or host name.")
    port: Port = Field(description="TCP port.")
    load_balancing_weight: PositiveUInt32 | None = Field(None, description="Share among the hosts. Default: equal shares.")


class StaticUpstream(StrictModel):
    """Fixed hosts. TLS is asked for by spec.sslConfig."""

    hosts: tuple[StaticHost, ...] = Field(min_length=1, description="The hosts.")


class ConnectionConfig(Model):
    """Connections to the endpoints."""

    connect_timeout: PositiveDuration | None = Field(None, description='How long a connection may take. Default: "5s".')


class LoadBalancerConfig(Model):
    """How load is spread."""

    healthy_panic_threshold: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="Below this percentage of healthy endpoints all of them are used, healthy or not. Default: 50."
    )
    locality_weighted_lb_config: Model | None = Field(
        None, description="When present, even empty, weights of localities count. Default: they do not."
    )


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
    load_balancer_config: LoadBalancerConfig | None = Field(None, description="How load is spread. Default: round robin.")


class Upstream(Resource):
    """A place to route to."""

    KIND: ClassVar[Kind] = UPSTREAM

    spec: UpstreamSpec = Field(default_factory=UpstreamSpec)
    status: EdgeStatuses | None = None
