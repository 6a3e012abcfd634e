"""The route from the gateway proxy to an Upstream: what `glooctl add route` makes in the guide, and the Gateway that Gloo's installer makes."""

from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import DEFAULT_PROXY
from service_failover.names import GLOO_NAMESPACE, HTTP_PORT, labels


class RouteArgs(TypedDict):
    """Arguments of a Route."""

    prefix: pulumi.Input[str]
    """Requests whose path begins so."""
    upstream: pulumi.Input[str]
    """Name of the Upstream, in gloo-system, that they go to."""


class Route(pulumi.ComponentResource):
    """The VirtualService `default`, for all host names, and the HTTP Gateway `gateway-proxy`, in gloo-system."""

    def __init__(self, name: str, args: RouteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-failover:index:Route", name, None, opts)
        within = pulumi.ResourceOptions(parent=self)
        kubernetes.apiextensions.CustomResource(
            f"{name}-virtual-service",
            api_version="gateway.solo.io/v1",
            kind="VirtualService",
            metadata={"name": "default", "namespace": GLOO_NAMESPACE, "labels": labels("route")},
            spec=virtual_service_spec(args),
            opts=within,
        )
        kubernetes.apiextensions.CustomResource(
            f"{name}-gateway",
            api_version="gateway.solo.io/v1",
            kind="Gateway",
            metadata={"name": DEFAULT_PROXY, "namespace": GLOO_NAMESPACE, "labels": labels("route")},
            spec=gateway_spec(),
            opts=within,
        )
        self.register_outputs({})


def virtual_service_spec(args: RouteArgs) -> dict[str, Any]:
    """Spec of the VirtualService: one prefix, one destination."""
    destination = {"upstream": {"name": args["upstream"], "namespace": GLOO_NAMESPACE}}
    return {
        "virtualHost": {
            "domains": ["*"],
            "routes": [{"matchers": [{"prefix": args["prefix"]}], "routeAction": {"single": destination}}],
        }
    }


def gateway_spec() -> dict[str, Any]:
    """Spec of the HTTP Gateway: every VirtualService, on the proxy's port 8080."""
    return {"bindAddress": "::", "bindPort": HTTP_PORT, "proxyNames": [DEFAULT_PROXY], "httpGateway": {}}
