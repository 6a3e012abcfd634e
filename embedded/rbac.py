"""Rights of the node agent beyond a kubelet's. A kubelet's own rights come from the API server's Node authorizer and NodeRestriction admission."""

from __future__ import annotations

from typing import Any

NAME = "embedded-node-agent"


def node_agent_rbac(node_name: str) -> dict[str, dict[str, Any]]:
    """API path to object, for server-side apply. The agent forwards Services to endpoints and gives LoadBalancer Services their address."""
    group = "rbac.authorization.k8s.io"
    return {
        f"/apis/{group}/v1/clusterroles/{NAME}": {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": NAME},
            "rules": [
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
                {"apiGroups": [""], "resources": ["services/status"], "verbs": ["patch"]},
            ],
        },
        f"/apis/{group}/v1/clusterrolebindings/{NAME}": {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": NAME},
            "subjects": [{"apiGroup": group, "kind": "User", "name": f"system:node:{node_name}"}],
        },
    }
