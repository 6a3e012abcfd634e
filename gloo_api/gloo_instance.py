"""GlooInstance: what gloo-fed found in a cluster: the proxies, and the addresses at which other clusters reach them. Written by gloo-fed alone."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gloo_api.meta import Kind, Model, Port, Resource

GLOO_INSTANCE = Kind(group="fed.solo.io", version="v1", kind="GlooInstance", plural="glooinstances")


class IngressPort(Model):
    """A port of a Service."""

    port: Port = Field(description="Number of the port, as reached from outside.")
    name: str = Field("", description="Name of the port.")


class IngressEndpoint(Model):
    """An address at which a proxy is reached from outside its cluster."""

    address: str = Field(min_length=1, description="IP address or host name.")
    service_name: str = Field("", description="Service that has the address.")
    ports: tuple[IngressPort, ...] = Field((), description="Ports at the address.")


class Proxy(Model):
    """A proxy Deployment."""

    name: str = Field(description="Name of the Deployment.")
    namespace: str = Field(description="Namespace of the Deployment.")
    replicas: int = Field(0, ge=0, description="Pods wanted.")
    available_replicas: int = Field(0, ge=0, description="Pods available.")
    ready_replicas: int = Field(0, ge=0, description="Pods ready.")
    version: str = Field("", description="Version of its image.")
    workload_controller_type: str = Field("", description="Kind of its workload, DEPLOYMENT or DAEMON_SET.")
    zones: tuple[str, ...] = Field((), description="Zones in which its pods run.")
    ingress_endpoints: tuple[IngressEndpoint, ...] = Field((), description="Addresses at which it is reached from outside.")


class ControlPlane(Model):
    """The control plane."""

    version: str = Field("", description="Version of its image.")
    namespace: str = Field("", description="Its namespace.")
    watched_namespaces: tuple[str, ...] = Field((), description="Namespaces it reads. Default: all.")


class Admin(Model):
    """Where the control plane writes."""

    write_namespace: str = Field("", description="Namespace of what it writes.")


class GlooInstanceSpec(Model):
    """What was found."""

    cluster: str = Field(min_length=1, description="Name of the KubernetesCluster.")
    is_enterprise: bool = Field(False, description="Whether it is Gloo's enterprise edition.")
    region: str = Field("", description="Region of its nodes.")
    control_plane: ControlPlane = Field(default_factory=ControlPlane, description="The control plane.")
    proxies: tuple[Proxy, ...] = Field((), description="Its proxies.")
    admin: Admin | None = Field(None, description="Where the control plane writes.")


class GlooInstance(Resource):
    """What gloo-fed found in a cluster."""

    KIND: ClassVar[Kind] = GLOO_INSTANCE

    spec: GlooInstanceSpec
    status: Model | None = None
