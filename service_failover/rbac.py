"""What a ServiceAccount may do. Rules are plain manifests; the functions that create a role create its binding too, as neither is of use alone."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover.labels import Labels
from service_failover.pods import Manifest

READ = ["get", "list", "watch"]
RBAC_GROUP = "rbac.authorization.k8s.io"


def rule(group: str, resources: Sequence[str], verbs: Sequence[str], *, names: Sequence[pulumi.Input[str]] = ()) -> Manifest:
    """Permission for `verbs` on `resources` of an API group (`""` is the core group); with `names`, on the objects of these names only."""
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)} | ({"resourceNames": list(names)} if names else {})


def lease_rules(name: str) -> list[Manifest]:
    """What leader election needs: one Lease. Only its creation cannot be bound to its name."""
    return [rule("coordination.k8s.io", ["leases"], [*READ, "patch"], names=[name]), rule("coordination.k8s.io", ["leases"], ["create"])]


def allow_in_namespace(
    name: str,
    *,
    namespace: pulumi.Input[str],
    role: str,
    account: pulumi.Input[str],
    account_namespace: pulumi.Input[str],
    rules: Sequence[Manifest],
    labels: Labels,
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """A Role in `namespace` and its binding to a ServiceAccount. Both objects are called `role`; the names of both resources begin with `name`."""
    metadata = {"name": role, "namespace": namespace, "labels": labels}
    return [
        kubernetes.rbac.v1.Role(f"{name}-role", metadata=metadata, rules=list(rules), opts=opts),
        kubernetes.rbac.v1.RoleBinding(
            f"{name}-binding",
            metadata=metadata,
            role_ref={"apiGroup": RBAC_GROUP, "kind": "Role", "name": role},
            subjects=[{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
            opts=opts,
        ),
    ]


def allow_in_cluster(
    name: str,
    *,
    role: str,
    binding: pulumi.Input[str],
    account: pulumi.Input[str],
    account_namespace: pulumi.Input[str],
    rules: Sequence[Manifest],
    labels: Labels,
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """A ClusterRole, bound to a ServiceAccount in all of the cluster by a ClusterRoleBinding `binding`: for what no namespace holds."""
    metadata = {"name": role, "labels": labels}
    return [
        kubernetes.rbac.v1.ClusterRole(f"{name}-cluster-role", metadata=metadata, rules=list(rules), opts=opts),
        kubernetes.rbac.v1.ClusterRoleBinding(
            f"{name}-cluster-binding",
            metadata={**metadata, "name": binding},
            role_ref={"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role},
            subjects=[{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
            opts=opts,
        ),
    ]
