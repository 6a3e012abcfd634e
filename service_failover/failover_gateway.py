"""The failover gateway of a cluster: where proxies of other clusters come in, with mutual TLS, and are sent on by the name that they ask for.

Unlike the guide's it serves listed names only, and accepts listed clients only: with the bare `forwardSniClusterName` of the guide whoever holds some
certificate of the authority could reach every Upstream of the cluster.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import DEFAULT_PROXY, FAILOVER_PORT_NAME
from service_failover.addressing import CONTAINERS, Addressing
from service_failover.early import apart, inside
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import DOWNSTREAM_SECRET, FAILOVER_PORT, GLOO_NAMESPACE, PROXY_SELECTOR
from service_failover.validation import ADDRESSING, DNS_NAME, NAMESPACE, OBJECT, PORT, SERVER_NAME, arguments, label_map, sequence


class FailoverGatewayArgs(TypedDict):
    """Arguments of a FailoverGateway."""

    addressing: NotRequired[pulumi.Input[Addressing]]
    """How other clusters reach it: what the cluster says. Default: by a load balancer."""
    secret_name: NotRequired[pulumi.Input[str]]
    """Secret in Gloo's namespace: the server's certificate, and the authority (ca.crt) to verify clients with. Default: failover-downstream."""
    server_names: pulumi.Input[Sequence[pulumi.Input[str]]]
    """The names (SNI) that it serves, `<upstream>_<namespace>`; others get no connection."""
    client_identities: pulumi.Input[Sequence[pulumi.Input[str]]]
    """DNS names of the clients that it accepts; others get no connection."""
    node_port: NotRequired[pulumi.Input[int]]
    """Port of the Service on the nodes. Default: 32000, as in the guide."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo. Default: gloo-system."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes; this project's own win."""


_checked = arguments(
    FailoverGatewayArgs,
    addressing=ADDRESSING,
    secret_name=OBJECT,
    server_names=sequence(SERVER_NAME),
    client_identities=sequence(DNS_NAME),
    node_port=PORT,
    namespace=NAMESPACE,
    labels=label_map,
)


class FailoverGateway(pulumi.ComponentResource):
    """Gloo's Gateway `failover-gateway` and the Service `failover`, in Gloo's namespace."""

    gateway_name: pulumi.Output[str]
    """Name of the Gateway, once it exists."""
    service_name: pulumi.Output[str]
    """Name of the Service, once it exists. Its load balancer's address, or that of the nodes, is what Gloo Federation sends other clusters to."""

    def __init__(self, name: str, args: FailoverGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:FailoverGateway", name, None, whole)
        namespace, given = args.get("namespace", GLOO_NAMESPACE), args.get("labels", NO_LABELS)
        gateway = kubernetes.apiextensions.CustomResource(
            f"{name}-gateway",
            api_version="gateway.solo.io/v1",
            kind="Gateway",
            metadata={
                "name": "failover-gateway",
                "namespace": namespace,
                "labels": labels("failover-gateway", given, own={"app": "gloo"}),
            },
            spec=gateway_spec(
                secret={"name": args.get("secret_name", DOWNSTREAM_SECRET), "namespace": namespace},
                server_names=args["server_names"],
                client_identities=args["client_identities"],
            ),
            opts=inside(self, objects),
        )
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            metadata={
                "name": "failover",
                "namespace": namespace,
                "labels": labels("failover-gateway", given, own={"app": "gloo", "gateway-proxy-id": DEFAULT_PROXY, "gloo": DEFAULT_PROXY}),
                # Gloo Federation waits for the address, and a FailoverScheme for Gloo Federation.
                "annotations": {"pulumi.com/skipAwait": "true"},
            },
            spec=pulumi.Output.all(args.get("addressing", CONTAINERS), args.get("node_port", 32000)).apply(
                lambda known: service_spec(known[0], node_port=known[1])
            ),
            opts=inside(self, objects),
        )
        self.gateway_name = gateway.metadata["name"]
        self.service_name = service.metadata["name"]
        self.register_outputs({"gateway_name": self.gateway_name, "service_name": self.service_name})


def gateway_spec(
    *,
    secret: Mapping[str, pulumi.Input[str]],
    server_names: pulumi.Input[Sequence[pulumi.Input[str]]],
    client_identities: pulumi.Input[Sequence[pulumi.Input[str]]],
) -> dict[str, Any]:
    """Spec of the guide's TCP Gateway, with the two allow-lists. `secret`: name and namespace."""
    return {
        "bindAddress": "::",
        "bindPort": FAILOVER_PORT,
        "proxyNames": [DEFAULT_PROXY],
        "tcpGateway": {
            "tcpHosts": [
                {
                    "name": "failover",
                    "sslConfig": {
                        "secretRef": secret,
                        "sniDomains": server_names,
                        "verifySubjectAltName": client_identities,
                    },
                    "destination": {"forwardSniClusterName": {}},
                }
            ]
        },
    }


def service_spec(addressing: Addressing, *, node_port: int) -> dict[str, Any]:
    """Spec of the guide's Service; a NodePort Service where the cluster has no load balancers."""
    return {
        "type": addressing.get("service_type", "LoadBalancer"),
        "selector": PROXY_SELECTOR,
        "sessionAffinity": "None",
        "ports": [{"name": FAILOVER_PORT_NAME, "port": FAILOVER_PORT, "targetPort": FAILOVER_PORT, "nodePort": node_port, "protocol": "TCP"}],
    }
