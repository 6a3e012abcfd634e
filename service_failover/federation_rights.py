"""As whom Gloo Federation comes to a registered cluster, and what it may do there, in each edition. Plain manifests, no resources."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from service_failover import rbac
from service_failover.edition_settings import Edition
from service_failover.pods import Manifest

CONTROLLER = "gloo-federation-controller"
"""Name of its roles: that of `glooctl cluster register`."""
GLOO_GROUPS = ("gloo.solo.io", "gateway.solo.io", "enterprise.gloo.solo.io", "graphql.gloo.solo.io", "ratelimit.solo.io")


@dataclass(frozen=True, kw_only=True)
class FederationRights:
    """A ServiceAccount, and its rights in Gloo's namespace and in all of the cluster."""

    account: pulumi.Input[str]
    cluster_binding: pulumi.Input[str]
    """Name of the ClusterRoleBinding."""
    in_namespace: list[Manifest]
    in_cluster: list[Manifest]


def federation_rights(edition: Edition, *, cluster_name: pulumi.Input[str]) -> FederationRights:
    """What the Gloo Federation of `edition` needs in the cluster that it knows as `cluster_name`."""
    if edition == Edition.ENTERPRISE:
        return FederationRights(
            account=cluster_name,
            cluster_binding=pulumi.Output.concat(cluster_name, f"-{CONTROLLER}-clusterrole-binding"),
            in_namespace=enterprise_namespace_rules(),
            in_cluster=enterprise_cluster_rules(),
        )
    return FederationRights(account="gloo-federation", cluster_binding=CONTROLLER, in_namespace=namespace_rules(), in_cluster=cluster_rules())


def namespace_rules() -> list[Manifest]:
    """Ours, in gloo-system: what runs there and how it is reached, which makes the GlooInstance; and the one thing that federation writes."""
    return [
        rbac.rule("", ["services", "pods"], rbac.READ),
        rbac.rule("apps", ["deployments"], rbac.READ),
        rbac.rule("gloo.solo.io", ["upstreams"], ["patch"]),
    ]


def cluster_rules() -> list[Manifest]:
    """Ours, in all of the cluster: Upstreams, wherever they are, and nodes, for the region and zone in their labels."""
    return [rbac.rule("gloo.solo.io", ["upstreams"], rbac.READ), rbac.rule("", ["nodes"], rbac.READ)]


def enterprise_namespace_rules() -> list[Manifest]:
    """Solo's, in gloo-system: it asks the proxies there for their metrics."""
    return [rbac.rule("", ["services/proxy"], ["get"])]


def enterprise_cluster_rules() -> list[Manifest]:
    """Solo's, in all of the cluster: the rights of its documented registration. It writes every kind of Gloo object, for its Federated resources."""
    return [
        *(rbac.rule(group, ["*"], ["*"]) for group in GLOO_GROUPS),
        rbac.rule("apps", ["deployments", "daemonsets"], rbac.READ),
        rbac.rule("", ["pods", "nodes", "services"], rbac.READ),
    ]
