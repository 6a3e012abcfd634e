"""What Gloo Federation may do in a registered cluster, and the kubeconfig with which it does it. Lives in that cluster.

It replaces `glooctl cluster register`, which gives all verbs on all of Gloo's resources: here it is what federation reads, and one write, to
Upstreams. The token is that of an explicit token Secret, since Kubernetes makes none for a ServiceAccount by itself any more.
"""

import base64
import json
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover import pods, rbac
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import GLOO_NAMESPACE
from service_failover.validation import CLUSTER, NAMESPACE, SERVER, arguments, base64_text, label_map

ACCOUNT = "gloo-federation"
CONTROLLER = "gloo-federation-controller"
TOKEN_SECRET = "gloo-federation-token"  # noqa: S105 - the name of a Secret
TOKEN_ISSUED = {"pulumi.com/waitFor": "jsonpath={.data.token}"}
"""Waits for the token itself. The default gives up after five seconds, which a cluster that has just started may need."""


class ClusterAccessArgs(TypedDict):
    """Arguments of a ClusterAccess."""

    cluster_name: pulumi.Input[str]
    """Name of the cluster; the kubeconfig's context is called so."""
    server: pulumi.Input[str]
    """URL of the cluster's API server, as the management cluster reaches it."""
    certificate_authority: pulumi.Input[str]
    """CA of that API server: PEM in base64."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo in that cluster, which has to exist. Default: gloo-system."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes; this project's own win."""


_checked = arguments(
    ClusterAccessArgs,
    cluster_name=CLUSTER,
    server=SERVER,
    certificate_authority=base64_text,
    namespace=NAMESPACE,
    labels=label_map,
)


class ClusterAccess(pulumi.ComponentResource):
    """A ServiceAccount for Gloo Federation with the least it needs, in Gloo's namespace."""

    kubeconfig: pulumi.Output[str]
    """Kubeconfig with the ServiceAccount's token. Secret."""

    def __init__(self, name: str, args: ClusterAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        super().__init__("service-failover:index:ClusterAccess", name, None, opts)
        within = pulumi.ResourceOptions(parent=self)
        namespace = args.get("namespace", GLOO_NAMESPACE)
        own = labels("registration", args.get("labels", NO_LABELS))
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-account",
            metadata={"name": ACCOUNT, "namespace": namespace, "labels": own},
            automount_service_account_token=False,
            opts=within,
        )
        rbac.allow_in_namespace(
            name,
            namespace=namespace,
            role=CONTROLLER,
            account=ACCOUNT,
            account_namespace=namespace,
            rules=namespace_rules(),
            labels=own,
            opts=within,
        )
        rbac.allow_in_cluster(name, role=CONTROLLER, account=ACCOUNT, account_namespace=namespace, rules=cluster_rules(), labels=own, opts=within)
        token = kubernetes.core.v1.Secret(
            f"{name}-token",
            metadata={
                "name": TOKEN_SECRET,
                "namespace": namespace,
                "labels": own,
                "annotations": {"kubernetes.io/service-account.name": ACCOUNT, **TOKEN_ISSUED},
            },
            type="kubernetes.io/service-account-token",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account], custom_timeouts=pulumi.CustomTimeouts(create="1m")),
        )
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(
                cluster=args["cluster_name"], server=args["server"], certificate_authority=args["certificate_authority"], data=token.data
            ).apply(
                lambda known: kubeconfig(
                    cluster=known["cluster"],
                    server=known["server"],
                    certificate_authority=known["certificate_authority"],
                    token=base64.b64decode(known["data"]["token"]).decode(),
                )
            )
        )
        self.register_outputs({"kubeconfig": self.kubeconfig})


def namespace_rules() -> list[pods.Manifest]:
    """In gloo-system: what runs there and how it is reached, which makes the GlooInstance; and the one thing that federation writes."""
    return [
        rbac.rule("", ["services", "pods"], rbac.READ),
        rbac.rule("apps", ["deployments"], rbac.READ),
        rbac.rule("gloo.solo.io", ["upstreams"], ["patch"]),
    ]


def cluster_rules() -> list[pods.Manifest]:
    """In all of the cluster: Upstreams, wherever they are, and nodes, for the region and zone in their labels."""
    return [rbac.rule("gloo.solo.io", ["upstreams"], rbac.READ), rbac.rule("", ["nodes"], rbac.READ)]


def kubeconfig(*, cluster: str, server: str, certificate_authority: str, token: str) -> str:
    """A kubeconfig, as JSON (which is YAML), that uses `token` and verifies the server by `certificate_authority`, PEM in base64."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster,
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": ACCOUNT}}],
            "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": certificate_authority}}],
            "users": [{"name": ACCOUNT, "user": {"token": token}}],
        }
    )
