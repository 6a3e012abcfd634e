"""KubernetesCluster: a cluster that gloo-fed knows, with the Secret by which it reaches it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gloo_api import names
from gloo_api.meta import Kind, Model, Resource
from gloo_api.status import FedStatus

KUBERNETES_CLUSTER = Kind(group="multicluster.solo.io", version="v1alpha1", kind="KubernetesCluster", plural="kubernetesclusters")

KUBECONFIG_SECRET_TYPE = "solo.io/kubeconfig"  # noqa: S105 - the type of a Secret
KUBECONFIG_KEY = "kubeconfig"


class Eks(Model):
    """A cluster on AWS."""

    arn: str = Field("", description="ARN of the cluster.")
    account_id: str = Field("", description="AWS account, 12 digits.")
    region: str = Field("", description="AWS region.")
    name: str = Field("", description="Name of the cluster in EKS.")


class ProviderInfo(Model):
    """Facts from the cloud provider."""

    eks: Eks | None = Field(None, description="Set for a cluster on AWS.")


class KubernetesClusterSpec(Model):
    """How the cluster is reached."""

    secret_name: str = Field(
        min_length=1, description="Secret of type solo.io/kubeconfig in the same namespace; its key kubeconfig holds the kubeconfig."
    )
    cluster_domain: str = Field("", description="DNS suffix of Services in the cluster. Default: cluster.local.")
    provider_info: ProviderInfo | None = Field(None, description="Facts from the cloud provider.")


class ClusterStatus(FedStatus):
    """What one component says about the cluster."""

    owner: str | None = Field(None, description="Component that wrote this.")


class PolicyRule(Model):
    """A rule of Kubernetes' RBAC."""

    verbs: tuple[str, ...] = Field((), description="What is allowed.")
    api_groups: tuple[str, ...] = Field((), description="API groups of the resources.")
    resources: tuple[str, ...] = Field((), description="Kinds of resources, in the plural.")
    resource_names: tuple[str, ...] = Field((), description="Names of objects. Default: any.")
    non_resource_urls: tuple[str, ...] = Field((), description="Paths that are no resources.")


class KubernetesClusterStatus(Model):
    """Whether the cluster can be reached."""

    status: tuple[ClusterStatus, ...] = Field((), description="One entry for each component that uses the cluster.")
    namespace: str = Field("", description="Namespace in the cluster that holds what registration made.")
    policy_rules: tuple[PolicyRule, ...] = Field((), description="What registration was allowed in the cluster.")


class KubernetesCluster(Resource):
    """A cluster that gloo-fed knows."""

    KIND: ClassVar[Kind] = KUBERNETES_CLUSTER

    spec: KubernetesClusterSpec
    status: KubernetesClusterStatus | None = None

    @property
    def gateway_identity(self) -> str | None:
        """The DNS SAN of the certificate of this cluster's failover Gateway, from the annotation; None when it is not stated."""
        return self.metadata.annotations.get(names.IDENTITY_ANNOTATION) or None
