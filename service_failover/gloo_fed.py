"""Gloo Federation, on the management cluster: it turns a FailoverScheme into the failover of the primary Upstream, wherever that is."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover import pods, rbac
from service_failover.addressing import CONTAINERS, Addressing
from service_failover.definitions import define
from service_failover.disruption import keep_available
from service_failover.early import apart, inside
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import CONSOLE_PORT, CONTROL_PLANE_IMAGE, FED_NAMESPACE, GLOO_NAMESPACE, HEALTH_PORT
from service_failover.namespaces import own_namespace
from service_failover.validation import ADDRESSING, FLAG, IMAGE, NAMESPACE, REPLICAS, arguments, label_map

SELECTOR = {"gloo-fed": "gloo-fed"}


class GlooFedArgs(TypedDict):
    """Arguments of GlooFed. It is not told which clusters there are: they register."""

    addressing: NotRequired[pulumi.Input[Addressing]]
    """Where it listens, and how it finds the API servers of other clusters: what its own cluster says. Default: what holds where each pod has a
    network of its own."""
    image: NotRequired[pulumi.Input[str]]
    """Image of the control plane. Default: that of this version."""
    replicas: NotRequired[int]
    """Pods. Plain: it decides whether there is a PodDisruptionBudget. Default: 1."""
    create_namespace: NotRequired[bool]
    """Whether the namespace is to be created. Plain: it decides whether there is a resource. Default: yes."""
    namespace: NotRequired[pulumi.Input[str]]
    """Its own namespace, where registrations and FailoverSchemes are too. Default: gloo-fed."""
    gloo_namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo, the same in every registered cluster. Default: gloo-system."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes, pods too; this project's own win."""


_checked = arguments(
    GlooFedArgs,
    addressing=ADDRESSING,
    image=IMAGE,
    replicas=REPLICAS,
    create_namespace=FLAG,
    namespace=NAMESPACE,
    gloo_namespace=NAMESPACE,
    labels=label_map,
)


class GlooFed(pulumi.ComponentResource):
    """Gloo Federation's control plane, in a namespace of its own."""

    namespace: pulumi.Output[str]
    """Its namespace."""

    def __init__(self, name: str, args: GlooFedArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:GlooFed", name, None, whole)
        own = inside(self, objects)
        place, given, replicas = args.get("namespace", FED_NAMESPACE), args.get("labels", NO_LABELS), args.get("replicas", 1)
        namespace = own_namespace(name, namespace=place, create=args.get("create_namespace", True), given=given, opts=own)
        addressing = pulumi.Output.from_input(args.get("addressing", CONTAINERS))
        definitions = define(name, groups={"fed.solo.io", "multicluster.solo.io"}, given=given, opts=own)
        within = inside(self, objects, depends_on=namespace)
        own_labels = labels("gloo-fed", given)
        metadata = {"name": "gloo-fed", "namespace": place, "labels": own_labels}
        account = kubernetes.core.v1.ServiceAccount(f"{name}-account", metadata=metadata, opts=within)
        permissions = rbac.allow_in_namespace(
            name,
            namespace=place,
            role="gloo-fed",
            account="gloo-fed",
            account_namespace=place,
            rules=fed_rules(place),
            labels=own_labels,
            opts=within,
        )
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=metadata,
            spec=pods.deployment_spec(
                selector=SELECTOR,
                labels=labels("gloo-fed", given, own=SELECTOR),
                service_account="gloo-fed",
                containers=[
                    fed_container(
                        image=args.get("image", CONTROL_PLANE_IMAGE),
                        gloo_namespace=args.get("gloo_namespace", GLOO_NAMESPACE),
                        addressing=addressing,
                    ),
                ],
                grace_seconds=10,
                replicas=replicas,
                dns_policy=addressing.apply(lambda known: known.get("dns_policy", "ClusterFirst")),
            ),
            opts=inside(self, objects, depends_on=[account, *permissions, *definitions]),
        )
        keep_available(name, metadata=metadata, selector=SELECTOR, replicas=replicas, opts=within)
        self.foundation: list[pulumi.Resource] = [*namespace, *definitions]
        """What a registration or a FailoverScheme has to wait for, and no more: the namespace and the definitions. For Python only."""
        self.namespace = pulumi.Output.from_input(place)
        self.register_outputs({"namespace": self.namespace})


def fed_container(*, image: pulumi.Input[str], gloo_namespace: pulumi.Input[str], addressing: pulumi.Output[Addressing]) -> pods.Manifest:
    """The container of Gloo Federation's control plane. It works in the namespace of its pod.

    Its console has no port of its own here: it listens where only a port-forward to the pod comes, which the cluster's RBAC allows or not.
    """
    return pods.container(
        name="gloo-fed",
        image=image,
        user=pods.NOBODY,
        args=[
            "gloo-fed",
            "--namespace=$(POD_NAMESPACE)",
            pulumi.Output.concat("--gloo-namespace=", gloo_namespace),
            addressing.apply(lambda known: f"--health-address={known['listen_address']}:{HEALTH_PORT}"),
            addressing.apply(lambda known: f"--console-address={known['loopback_address']}:{CONSOLE_PORT}"),
        ],
        env=pods.field_env(POD_NAME="metadata.name", POD_NAMESPACE="metadata.namespace", POD_IP="status.podIP"),
        ports={"health": HEALTH_PORT},
        cpu="100m",
        memory="256Mi",
        readiness=pods.http_probe(port="health", path="/readyz", period=1),
        # It may take half a minute to start where all start at once. A restart before that would begin it anew.
        liveness=pods.http_probe(port="health", path="/healthz", period=10, failures=6, timeout=5),
    )


def fed_rules(namespace: pulumi.Input[str]) -> list[pods.Manifest]:
    """What Gloo Federation may do, in its own `namespace` only. What it may do in a cluster, that cluster's registration says (`cluster_access`)."""
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
        rbac.rule("", ["namespaces"], ["get"], names=[namespace]),
    ]
