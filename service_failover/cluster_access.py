"""What Gloo Federation may do in a registered cluster, and the kubeconfig with which it does it. Lives in that cluster.

It replaces `glooctl cluster register`, which gives all verbs on all of Gloo's resources. Gloo Federation of Solo needs them; for ours it is what it
reads, and one write, to Upstreams (`federation_rights`). The token is that of an explicit token Secret, since Kubernetes makes none for a
ServiceAccount by itself any more.
"""

import base64
import json
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover import rbac
from service_failover.early import apart, inside
from service_failover.edition_settings import Edition
from service_failover.federation_rights import CONTROLLER, federation_rights
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import GLOO_NAMESPACE
from service_failover.validation import CLUSTER, EDITION, NAMESPACE, SERVER, arguments, base64_text, label_map

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
    edition: NotRequired[Edition]
    """Whose Gloo Federation it is for. Plain: it decides about its rights. Default: open, that of this project."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo in that cluster, which has to exist. Default: gloo-system."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes; this project's own win."""


_checked = arguments(
    ClusterAccessArgs,
    cluster_name=CLUSTER,
    server=SERVER,
    certificate_authority=base64_text,
    edition=EDITION,
    namespace=NAMESPACE,
    labels=label_map,
)


class ClusterAccess(pulumi.ComponentResource):
    """A ServiceAccount for Gloo Federation with what it needs, in Gloo's namespace."""

    kubeconfig: pulumi.Output[str]
    """Kubeconfig with the ServiceAccount's token. Secret."""

    def __init__(self, name: str, args: ClusterAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:ClusterAccess", name, None, whole)
        within = inside(self, objects)
        namespace = args.get("namespace", GLOO_NAMESPACE)
        own = labels("registration", args.get("labels", NO_LABELS))
        rights = federation_rights(args.get("edition", Edition.OPEN), cluster_name=args["cluster_name"])
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-account",
            metadata={"name": rights.account, "namespace": namespace, "labels": own},
            automount_service_account_token=False,
            opts=within,
        )
        rbac.allow_in_namespace(
            name,
            namespace=namespace,
            role=CONTROLLER,
            account=rights.account,
            account_namespace=namespace,
            rules=rights.in_namespace,
            labels=own,
            opts=within,
        )
        rbac.allow_in_cluster(
            name,
            role=CONTROLLER,
            binding=rights.cluster_binding,
            account=rights.account,
            account_namespace=namespace,
            rules=rights.in_cluster,
            labels=own,
            opts=within,
        )
        token = kubernetes.core.v1.Secret(
            f"{name}-token",
            metadata={
                "name": TOKEN_SECRET,
                "namespace": namespace,
                "labels": own,
                "annotations": {"kubernetes.io/service-account.name": rights.account, **TOKEN_ISSUED},
            },
            type="kubernetes.io/service-account-token",
            opts=inside(self, objects, depends_on=[account], custom_timeouts=pulumi.CustomTimeouts(create="1m")),
        )
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(
                cluster=args["cluster_name"],
                user=rights.account,
                server=args["server"],
                certificate_authority=args["certificate_authority"],
                data=token.data,
            ).apply(
                lambda known: kubeconfig(
                    cluster=known["cluster"],
                    user=known["user"],
                    server=known["server"],
                    certificate_authority=known["certificate_authority"],
                    token=base64.b64decode(known["data"]["token"]).decode(),
                )
            )
        )
        self.register_outputs({"kubeconfig": self.kubeconfig})


def kubeconfig(*, cluster: str, user: str, server: str, certificate_authority: str, token: str) -> str:
    """A kubeconfig, as JSON (which is YAML), that uses `token` and verifies the server by `certificate_authority`, PEM in base64."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster,
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
            "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": certificate_authority}}],
            "users": [{"name": user, "user": {"token": token}}],
        }
    )
