"""The failover gateway of a cluster: where proxies of other clusters come in, with mutual TLS, and are sent on by the name that they ask for.

Unlike the guide's it serves listed names only, and accepts listed clients only: with the bare `forwardSniClusterName` of the guide whoever holds some
certificate of the authority could reach every Upstream of the cluster.
"""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import DEFAULT_PROXY, FAILOVER_PORT_NAME
from service_failover.names import DOWNSTREAM_SECRET, FAILOVER_PORT, GLOO_NAMESPACE, PROXY_SELECTOR, labels


class FailoverGatewayArgs(TypedDict):
    """Arguments of a FailoverGateway."""

    secret_name: NotRequired[pulumi.Input[str]]
    """Secret in gloo-system: the server's certificate, and the authority (ca.crt) to verify clients with. Default: failover-downstream."""
    server_names: Sequence[pulumi.Input[str]]
    """The names (SNI) that it serves, `<upstream>_<namespace>`; others get no connection."""
    client_identities: Sequence[pulumi.Input[str]]
    """DNS names of the clients that it accepts; others get no connection."""
    node_port: NotRequired[pulumi.Input[int]]
    """Port of the Service on the nodes. Default: 32000, as in the guide."""


class FailoverGateway(pulumi.ComponentResource):
    """Gloo's Gateway `failover-gateway` and the Service `failover`, in gloo-system."""

    def __init__(self, name: str, args: FailoverGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-failover:index:FailoverGateway", name, None, opts)
        kubernetes.apiextensions.CustomResource(
            f"{name}-gateway",
            api_version="gateway.solo.io/v1",
            kind="Gateway",
            metadata={"name": "failover-gateway", "namespace": GLOO_NAMESPACE, "labels": {**labels("failover-gateway"), "app": "gloo"}},
            spec=gateway_spec(
                secret=args.get("secret_name", DOWNSTREAM_SECRET), server_names=args["server_names"], client_identities=args["client_identities"]
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        kubernetes.core.v1.Service(
            f"{name}-service",
            metadata={
                "name": "failover",
                "namespace": GLOO_NAMESPACE,
                "labels": {**labels("failover-gateway"), "app": "gloo", "gateway-proxy-id": DEFAULT_PROXY, "gloo": DEFAULT_PROXY},
                # Gloo Federation waits for the address, and a FailoverScheme for Gloo Federation.
                "annotations": {"pulumi.com/skipAwait": "true"},
            },
            spec=service_spec(node_port=args.get("node_port", 32000)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def gateway_spec(
    *, secret: pulumi.Input[str], server_names: Sequence[pulumi.Input[str]], client_identities: Sequence[pulumi.Input[str]]
) -> dict[str, Any]:
    """Spec of the guide's TCP Gateway, with the two allow-lists."""
    return {
        "bindAddress": "::",
        "bindPort": FAILOVER_PORT,
        "proxyNames": [DEFAULT_PROXY],
        "tcpGateway": {
            "tcpHosts": [
                {
                    "name": "failover",
                    "sslConfig": {
                        "secretRef": {"name": secret, "namespace": GLOO_NAMESPACE},
                        "sniDomains": list(server_names),
                        "verifySubjectAltName": list(client_identities),
                    },
                    "destination": {"forwardSniClusterName": {}},
                }
            ]
        },
    }


def service_spec(*, node_port: pulumi.Input[int]) -> dict[str, Any]:
    """Spec of the guide's Service."""
    return {
        "type": "LoadBalancer",
        "selector": PROXY_SELECTOR,
        "sessionAffinity": "None",
        "ports": [{"name": FAILOVER_PORT_NAME, "port": FAILOVER_PORT, "targetPort": FAILOVER_PORT, "nodePort": node_port, "protocol": "TCP"}],
    }
