"""Gloo Federation, on the management cluster: it turns a FailoverScheme into the failover of the primary Upstream, wherever that is."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover import pods, rbac
from service_failover.definitions import define
from service_failover.disruption import keep_available
from service_failover.names import CONTROL_PLANE_IMAGE, FED_NAMESPACE, HEALTH_PORT, labels
from service_failover.namespaces import own_namespace

SELECTOR = {"gloo-fed": "gloo-fed"}


class GlooFedArgs(TypedDict):
    """Arguments of GlooFed. It is not told which clusters there are: they register."""

    image: NotRequired[pulumi.Input[str]]
    """Image of the control plane. Default: that of this version."""
    replicas: NotRequired[int]
    """Pods. Plain: it decides whether there is a PodDisruptionBudget. Default: 1."""
    create_namespace: NotRequired[bool]
    """Whether gloo-fed is to be created. Plain: it decides whether there is a resource. Default: yes."""


class GlooFed(pulumi.ComponentResource):
    """Gloo Federation's control plane in gloo-fed."""

    foundation: list[pulumi.Resource]
    """The namespace and the custom resource definitions: what a registration or a FailoverScheme has to wait for."""

    def __init__(self, name: str, args: GlooFedArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-failover:index:GlooFed", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        namespace = own_namespace(name, namespace=FED_NAMESPACE, create=args.get("create_namespace", True), opts=own)
        replicas = args.get("replicas", 1)
        definitions = define(name, groups={"fed.solo.io", "multicluster.solo.io"}, opts=own)
        self.foundation = [*namespace, *definitions]
        within = pulumi.ResourceOptions(parent=self, depends_on=namespace)
        metadata = {"name": "gloo-fed", "namespace": FED_NAMESPACE, "labels": labels("gloo-fed")}
        account = kubernetes.core.v1.ServiceAccount(f"{name}-account", metadata=metadata, opts=within)
        permissions = rbac.allow_in_namespace(
            name,
            namespace=FED_NAMESPACE,
            role="gloo-fed",
            account="gloo-fed",
            account_namespace=FED_NAMESPACE,
            rules=fed_rules(),
            part="gloo-fed",
            opts=within,
        )
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=metadata,
            spec=pods.deployment_spec(
                selector=SELECTOR,
                labels=labels("gloo-fed"),
                service_account="gloo-fed",
                containers=[fed_container(image=args.get("image", CONTROL_PLANE_IMAGE))],
                grace_seconds=10,
                replicas=replicas,
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, *permissions, *definitions]),
        )
        keep_available(name, metadata=metadata, selector=SELECTOR, replicas=replicas, opts=within)
        self.register_outputs({})


def fed_container(*, image: pulumi.Input[str]) -> pods.Manifest:
    """The container of Gloo Federation's control plane."""
    return pods.container(
        name="gloo-fed",
        image=image,
        user=pods.NOBODY,
        args=["gloo-fed", f"--namespace={FED_NAMESPACE}", f"--health-address=$(POD_IP):{HEALTH_PORT}"],
        env=pods.field_env(POD_NAME="metadata.name", POD_NAMESPACE="metadata.namespace", POD_IP="status.podIP"),
        ports={"health": HEALTH_PORT},
        cpu="100m",
        memory="256Mi",
        readiness=pods.http_probe(port="health", path="/readyz", period=1),
        liveness=pods.http_probe(port="health", path="/healthz", period=10),
    )


def fed_rules() -> list[pods.Manifest]:
    """What Gloo Federation may do, in its own namespace only. What it may do in a cluster, that cluster's registration says (`cluster_access`)."""
    return [
        rbac.rule("", ["secrets"], rbac.READ),
        rbac.rule("multicluster.solo.io", ["kubernetesclusters"], rbac.READ),
        rbac.rule("multicluster.solo.io", ["kubernetesclusters/status"], ["patch"]),
        rbac.rule("fed.solo.io", ["failoverschemes"], [*rbac.READ, "patch"]),  # patch: for its finalizer
        rbac.rule("fed.solo.io", ["failoverschemes/status"], ["patch"]),
        rbac.rule("fed.solo.io", ["glooinstances"], [*rbac.READ, "create", "patch", "delete"]),
        rbac.rule("", ["events"], ["create"]),
        *rbac.lease_rules("gloo-fed"),
        # Is it about to go for good? Then no scheme must wait for it.
        rbac.rule("apps", ["deployments"], ["get"], names=["gloo-fed"]),
        rbac.rule("", ["namespaces"], ["get"], names=[FED_NAMESPACE]),
    ]
