"""The control plane that a stack's edition asks for. Both editions offer the same, so that the rest of a program need not know which one runs."""

from typing import Protocol

import pulumi

from service_failover import names
from service_failover.clusters import Cluster
from service_failover.config import Settings
from service_failover.edition_settings import Edition
from service_failover.enterprise.gloo import EnterpriseGloo, EnterpriseGlooArgs
from service_failover.enterprise.gloo_fed import EnterpriseGlooFed, EnterpriseGlooFedArgs
from service_failover.gloo import Gloo
from service_failover.gloo_fed import GlooFed
from service_failover.images import Images
from service_failover.monitoring_settings import Scraper


class ControlPlane(Protocol):
    """Gloo in one cluster."""

    foundation: list[pulumi.Resource]
    """What an object of Gloo has to wait for."""
    proxy_address: pulumi.Output[str]
    """Address (IP or host name) that the cluster's load balancer gave to the gateway proxy's Service. "" where it has none."""
    proxy_port: pulumi.Output[int]
    """Port of that Service for HTTP."""


def create_gloo(settings: Settings, cluster: Cluster, images: Images) -> ControlPlane:
    """Gloo in `cluster`, in the edition that the settings name. `images` are for the open one: charts bring their own."""
    name, create_namespace = f"{cluster.cluster_name}-gloo", cluster.owns_namespace(names.GLOO_NAMESPACE)
    if settings.edition is Edition.ENTERPRISE:
        args: EnterpriseGlooArgs = {
            "license_key": settings.enterprise.license_key,
            "addressing": cluster.addressing,
            "proxy_port": settings.proxy_port,
            "version": settings.enterprise.version,
            "replicas": settings.replicas,
            "create_namespace": create_namespace,
        }
        if settings.enterprise.repository:
            args["repository"] = settings.enterprise.repository
        return EnterpriseGloo(name, args, cluster.contents())
    return Gloo(
        name,
        {
            "addressing": cluster.addressing,
            "watch_namespaces": [names.APP_NAMESPACE],
            "proxy_port": settings.proxy_port,
            "replicas": settings.replicas,
            "image": images.control_plane,
            "proxy_image": images.envoy,
            "proxy_metrics": settings.monitoring.scraped_by is not Scraper.NONE,
            "certificate_epoch": settings.certificates.control_plane_epoch,
            "create_namespace": create_namespace,
        },
        cluster.contents(),
    )


def create_federation(settings: Settings, management: Cluster, images: Images) -> GlooFed | EnterpriseGlooFed:
    """Gloo Federation in the management cluster, likewise."""
    create_namespace = management.owns_namespace(names.FED_NAMESPACE)
    if settings.edition is Edition.ENTERPRISE:
        args: EnterpriseGlooFedArgs = {
            "license_key": settings.enterprise.license_key,
            "version": settings.enterprise.version,
            "create_namespace": create_namespace,
        }
        if settings.enterprise.repository:
            args["repository"] = settings.enterprise.repository
        return EnterpriseGlooFed("gloo-fed", args, management.contents())
    return GlooFed(
        "gloo-fed",
        {
            "addressing": management.addressing,
            "image": images.control_plane,
            "replicas": settings.replicas,
            "create_namespace": create_namespace,
        },
        management.contents(),
    )
