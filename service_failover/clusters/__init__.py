"""The kinds of clusters. They differ in how they come to be and in how processes in them are reached; beyond that each is a `Cluster`."""

from typing import Protocol

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover.addressing import Addressing
from service_failover.cluster_settings import ClusterKind, ClusterSettings
from service_failover.clusters.embedded import EmbeddedCluster
from service_failover.clusters.existing import ExistingCluster


class Cluster(Protocol):
    """What every kind of cluster offers."""

    cluster_name: str
    """Its name in the configuration, and in Gloo Federation."""
    kubeconfig: pulumi.Output[str]
    """Admin kubeconfig, for this machine. Secret."""
    context: pulumi.Output[str]
    """Name of the context in the kubeconfig."""
    provider: kubernetes.Provider
    """Provider for everything in the cluster."""
    identity: pulumi.Output[str]
    """Changes when, and only when, the cluster is another one."""
    internal_address: pulumi.Output[str]
    """URL of the API server for processes in other clusters."""
    certificate_authority: pulumi.Output[str]
    """CA of the API server: PEM in base64, as in a kubeconfig. "": one that every client knows."""
    addressing: Addressing
    """Where its processes listen and how they are dialled."""

    def reachable(self, address: str) -> str:
        """The address under which this machine reaches `address`, the one of a Service of the cluster."""

    def owns_namespace(self, name: str) -> bool:
        """Whether the namespace is this stack's to create: it is not there, or it was made by this project."""

    def contents(self, *, depends_on: list[pulumi.Resource] | None = None) -> pulumi.ResourceOptions:
        """Options for a component in this cluster: it uses the cluster's provider, and goes when the cluster goes."""


def create_cluster(settings: ClusterSettings) -> Cluster:
    """The cluster that the settings describe."""
    match settings.kind:
        case ClusterKind.EMBEDDED:
            return EmbeddedCluster(settings.name, {"cluster_name": settings.name, "region": settings.region, "zone": settings.zone})
        case ClusterKind.EXISTING:
            return ExistingCluster(
                settings.name,
                {"cluster_name": settings.name, "context": settings.context, "kubeconfig_file": settings.kubeconfig, "server": settings.server},
            )
