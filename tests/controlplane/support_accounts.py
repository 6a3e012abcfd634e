"""ServiceAccounts of a real cluster with exactly the rights that a component gives, and kubeconfigs with their tokens."""

from __future__ import annotations

import base64
import json
from typing import Any

import yaml
from support_clusters import Cluster, fetch, until

from controlplane.kube.client import KubeClient
from controlplane.kube.objects import SECRET, Kind

SERVICE_ACCOUNT = Kind(group="", version="v1", kind="ServiceAccount", plural="serviceaccounts")
ROLE = Kind(group="rbac.authorization.k8s.io", version="v1", kind="Role", plural="roles")
ROLE_BINDING = Kind(group="rbac.authorization.k8s.io", version="v1", kind="RoleBinding", plural="rolebindings")
CLUSTER_ROLE = Kind(group="rbac.authorization.k8s.io", version="v1", kind="ClusterRole", plural="clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    group="rbac.authorization.k8s.io", version="v1", kind="ClusterRoleBinding", plural="clusterrolebindings", namespaced=False
)


async def account(client: KubeClient, name: str, *, namespace: str) -> None:
    await client.apply(SERVICE_ACCOUNT, {"metadata": {"namespace": namespace, "name": name}}, manager="test", force=True)


async def grant(client: KubeClient, name: str, *, namespace: str, rules: list[dict[str, Any]]) -> None:
    """Give the account of this name `rules` in its namespace."""
    meta = {"namespace": namespace, "name": name}
    await client.apply(ROLE, {"metadata": meta, "rules": rules}, manager="test", force=True)
    await client.apply(ROLE_BINDING, {"metadata": meta, **_bound(name, namespace=namespace, kind="Role")}, manager="test", force=True)


async def grant_everywhere(client: KubeClient, name: str, *, namespace: str, rules: list[dict[str, Any]]) -> None:
    """Give the account of this name `rules` in all namespaces."""
    await client.apply(CLUSTER_ROLE, {"metadata": {"name": name}, "rules": rules}, manager="test", force=True)
    bound = _bound(name, namespace=namespace, kind="ClusterRole")
    await client.apply(CLUSTER_ROLE_BINDING, {"metadata": {"name": name}, **bound}, manager="test", force=True)


async def token_secret(client: KubeClient, name: str, *, namespace: str) -> str:
    """A new token in an explicit token Secret, which ends it when it is deleted; the token."""
    await remove(client, SECRET, namespace, name)
    meta = {"namespace": namespace, "name": name, "annotations": {"kubernetes.io/service-account.name": name}}
    await client.create(SECRET, {"metadata": meta, "type": "kubernetes.io/service-account-token"})

    async def issued() -> str:
        secret = await fetch(client, SECRET, namespace, name)
        return ((secret or {}).get("data") or {}).get("token", "")

    return base64.b64decode(await until(issued, "a token is issued")).decode()


async def bound_token(client: KubeClient, name: str, *, namespace: str, seconds: int = 600) -> str:
    path = SERVICE_ACCOUNT.path(namespace=namespace, name=name, subresource="token")
    answer = await client._json("POST", path, body={"spec": {"expirationSeconds": seconds}})
    return str(answer["status"]["token"])


def kubeconfig(cluster: Cluster, token: str) -> str:
    """The cluster's own kubeconfig with another user."""
    document = yaml.safe_load(cluster.kubeconfig)
    document["users"] = [{"name": each["name"], "user": {"token": token}} for each in document["users"]]
    return json.dumps(document)


async def remove(client: KubeClient, kind: Kind, namespace: str, name: str) -> None:
    found = await fetch(client, kind, namespace, name)
    if found is not None:
        await client.delete(kind, namespace=namespace, name=name, uid=found["metadata"]["uid"])


def _bound(name: str, *, namespace: str, kind: str) -> dict[str, Any]:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
