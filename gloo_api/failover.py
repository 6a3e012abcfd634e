"""`spec.failover` of an Upstream: where requests go when its own endpoints are unhealthy. Written by hand or by gloo-fed."""

from __future__ import annotations

from pydantic import Field

from gloo_api.health_check import METHOD_PATTERN, HostText
from gloo_api.meta import Host, Model, Port, PositiveUInt32
from gloo_api.ssl import UpstreamSslConfig

MAX_PRIORITIES = 128
"""As many as Envoy takes, besides that of the Upstream's own endpoints."""


class Locality(Model):
    """Where endpoints are."""

    region: str = Field("", description="Region, such as us-east-1.")
    zone: str = Field("", description="Zone within the region.")
    sub_zone: str = Field("", description="Part of the zone.")


class EndpointHealthCheckConfig(Model):
    """What differs for one endpoint from the health check of the Upstream."""

    port_value: Port | None = Field(None, description="Port to check. Default: the endpoint's port.")
    hostname: HostText = Field("", description="Host header of the check. Default: that of the Upstream's health check.")
    path: str = Field("", description="Path to check; Envoy has one for all endpoints, so another has no effect. Default: that of the health check.")
    method: str = Field("", pattern=METHOD_PATTERN, description="Method of the check; as for path. Default: that of the health check.")


class LbEndpoint(Model):
    """One address to fail over to."""

    address: Host = Field(description="IP address or host name.")
    port: Port = Field(description="TCP port.")
    load_balancing_weight: PositiveUInt32 | None = Field(None, description="Share among the endpoints of the locality. Default: equal shares.")
    health_check_config: EndpointHealthCheckConfig | None = Field(None, description="Differences in how this endpoint is checked. Default: none.")
    upstream_ssl_config: UpstreamSslConfig | None = Field(None, description="TLS towards this endpoint. Default: that of the Upstream itself.")


class LocalityLbEndpoints(Model):
    """Endpoints in one place."""

    locality: Locality | None = Field(None, description="Where the endpoints are. Default: nowhere in particular.")
    lb_endpoints: tuple[LbEndpoint, ...] = Field((), description="The endpoints.")
    load_balancing_weight: PositiveUInt32 | None = Field(
        None, description="Share among the localities of this priority. Needs loadBalancerConfig.localityWeightedLbConfig. Default: equal shares."
    )


class PrioritizedLocality(Model):
    """All endpoints of one priority."""

    locality_endpoints: tuple[LocalityLbEndpoints, ...] = Field((), description="Endpoints by place.")


class FailoverPolicy(Model):
    """When load spills over."""

    overprovisioning_factor: PositiveUInt32 | None = Field(
        None, description="Percent by which healthy endpoints can take more than their share. Default: 140, so that load spills below 72 % healthy."
    )


class Failover(Model):
    """Priorities in the order in which they are tried, after the Upstream's own endpoints. Needs health checks."""

    prioritized_localities: tuple[PrioritizedLocality, ...] = Field((), max_length=MAX_PRIORITIES, description="The priorities, first choice first.")
    policy: FailoverPolicy | None = Field(None, description="When load spills over. Default: Envoy's.")
