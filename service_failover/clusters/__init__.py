"""The kinds of clusters. They differ in how they come to be and in how processes in them are reached; beyond that each is a `Cluster`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover.addressing import Addressing
from service_failover.cluster_settings import ClusterKind, ClusterSettings
from service_failover.clusters.embedded import EmbeddedCluster, state_directory
from service_failover.clusters.existing import ExistingCluster
from service_failover.clusters.kind import KindCluster, lacking_operator, require_machine
from service_failover.config import Settings
from service_failover.control_plane_image import ControlPlaneImage, load_images
from service_failover.early import begin
from service_failover.edition_settings import Edition
from service_failover.images import Images
from service_failover.kind.document import kind_name, owner_of
from service_failover.kind.preflight import Wanted
from service_failover.monitoring_settings import DEFINITIONS, Scraper, operator_problem
from service_failover.names import CONTROL_PLANE_IMAGE, ENVOY_IMAGE, HTTP_ECHO_IMAGE


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

    def reachable(self, address: str, port: int) -> str:
        """`host:port` by which this machine reaches the gateway proxy, whose Service has this address and port."""

    def owns_namespace(self, name: str) -> bool:
        """Whether the namespace is this stack's to create: it is not there, or it was made by this project."""

    def contents(self, *, depends_on: list[pulumi.Resource] | None = None) -> pulumi.ResourceOptions:
        """Options for a component in this cluster: it uses the cluster's provider, and goes when the cluster goes."""


def create_clusters(settings: Settings) -> dict[str, Cluster]:
    """The clusters of the configuration, by name. Ends the program (pulumi.RunError) before it makes any, where this machine cannot have them."""
    stack = pulumi.get_stack()
    owner = owner_of(stack, state_directory())
    kinds = {
        cluster.name: Wanted(
            index=index,
            kind_name=kind_name(prefix=settings.kind.cluster_prefix, stack=stack, cluster=cluster.name),
            owner=owner,
            host_port=cluster.host_port,
        )
        for index, cluster in enumerate(settings.clusters)
        if cluster.kind is ClusterKind.KIND
    }
    if kinds:
        require_machine(list(kinds.values()))
    for_operator = settings.monitoring.scraped_by is Scraper.OPERATOR
    if for_operator:
        _end_with(lacking_operator(kinds) if kinds else [])
    clusters = {
        cluster.name: _create_cluster(cluster, kind=kinds.get(cluster.name), node_image=settings.kind.node_image) for cluster in settings.clusters
    }
    begin(each for each in clusters.values() if isinstance(each, pulumi.ComponentResource))
    if for_operator:
        existing = {name: cluster for name, cluster in clusters.items() if isinstance(cluster, ExistingCluster)}
        _end_with([problem for name, each in existing.items() if (problem := operator_problem(name, lacking=each.lacking(DEFINITIONS)))])
    return clusters


def _end_with(problems: Sequence[str]) -> None:
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise pulumi.RunError(
            f"The clusters of stack {pulumi.get_stack()} cannot be monitored as its configuration says; nothing was changed.\n{listed}"
        )


def provide_images(settings: Settings, clusters: Mapping[str, Cluster]) -> dict[str, Images]:
    """The images in each cluster: what its nodes can pull; in kind clusters, what is loaded. A control plane's image that is named is not built."""
    control_plane: ControlPlaneImage | str = settings.control_plane_image
    kinds = {name: cluster for name, cluster in clusters.items() if isinstance(cluster, KindCluster)}
    if kinds and control_plane == CONTROL_PLANE_IMAGE and settings.edition is Edition.OPEN:
        control_plane = ControlPlaneImage("control-plane-image", {"base_image": settings.kind.base_image})
    published = Images(control_plane=settings.control_plane_image, envoy=ENVOY_IMAGE, http_echo=HTTP_ECHO_IMAGE)
    loaded = {
        name: load_images(name, kind_name=cluster.kind_name, identity=cluster.identity, control_plane=control_plane)
        for name, cluster in kinds.items()
    }
    return {name: loaded.get(name, published) for name in clusters}


def _create_cluster(cluster: ClusterSettings, *, kind: Wanted | None, node_image: str) -> Cluster:
    name = cluster.name
    if kind is not None:
        return KindCluster(
            name,
            {
                "cluster_name": name,
                "kind_name": kind.kind_name,
                "owner": kind.owner,
                "region": cluster.region,
                "zone": cluster.zone,
                "host_port": kind.host_port,
                "node_image": node_image,
            },
        )
    if cluster.kind is ClusterKind.EMBEDDED:
        return EmbeddedCluster(name, {"cluster_name": name, "region": cluster.region, "zone": cluster.zone})
    return ExistingCluster(name, {"cluster_name": name, "context": cluster.context, "kubeconfig_file": cluster.kubeconfig, "server": cluster.server})
