"""A cluster's registration with Gloo Federation. Lives in the management cluster; `cluster_access` is its counterpart in the registered one."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import IDENTITY_ANNOTATION
from service_failover.early import apart, inside
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import FED_NAMESPACE
from service_failover.validation import CLUSTER, DNS_NAME, NAMESPACE, arguments, label_map, secret_text


class RegistrationArgs(TypedDict):
    """Arguments of a Registration."""

    cluster_name: pulumi.Input[str]
    """Name by which FailoverSchemes know the cluster."""
    kubeconfig: pulumi.Input[str]
    """Kubeconfig with which Gloo Federation reaches the cluster. Secret."""
    gateway_identity: pulumi.Input[str]
    """DNS name in the certificate of the cluster's failover gateway. Proxies of other clusters accept no other there."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo Federation. Default: gloo-fed."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes; this project's own win."""


_checked = arguments(
    RegistrationArgs,
    cluster_name=CLUSTER,
    kubeconfig=secret_text,
    gateway_identity=DNS_NAME,
    namespace=NAMESPACE,
    labels=label_map,
)


class Registration(pulumi.ComponentResource):
    """A KubernetesCluster for Gloo Federation, and the Secret with its kubeconfig. The definitions and the namespace exist already."""

    cluster_name: pulumi.Output[str]
    """Name of the cluster, once it is registered."""

    def __init__(self, name: str, args: RegistrationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:Registration", name, None, whole)
        metadata = {
            "name": args["cluster_name"],
            "namespace": args.get("namespace", FED_NAMESPACE),
            "labels": labels("registration", args.get("labels", NO_LABELS)),
        }
        secret = kubernetes.core.v1.Secret(
            f"{name}-kubeconfig",
            metadata=metadata,
            type="solo.io/kubeconfig",
            string_data={"kubeconfig": pulumi.Output.secret(args["kubeconfig"])},
            opts=inside(self, objects),
        )
        cluster = kubernetes.apiextensions.CustomResource(
            f"{name}-cluster",
            api_version="multicluster.solo.io/v1alpha1",
            kind="KubernetesCluster",
            metadata={**metadata, "annotations": {IDENTITY_ANNOTATION: args["gateway_identity"]}},
            spec={"secretName": args["cluster_name"], "clusterDomain": "cluster.local"},
            opts=inside(self, objects, depends_on=[secret]),
        )
        self.cluster_name = cluster.metadata["name"]
        self.register_outputs({"cluster_name": self.cluster_name})
