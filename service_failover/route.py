"""The route from the gateway proxy to an Upstream: what `glooctl add route` makes in the guide, and the Gateway that Gloo's installer makes."""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import DEFAULT_PROXY
from service_failover.early import apart, inside
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import GLOO_NAMESPACE, HTTP_PORT
from service_failover.validation import NAMESPACE, OBJECT, PATH, arguments, label_map


class RouteArgs(TypedDict):
    """Arguments of a Route."""

    prefix: pulumi.Input[str]
    """Requests whose path begins so."""
    upstream: pulumi.Input[str]
    """Name of the Upstream that they go to."""
    upstream_namespace: NotRequired[pulumi.Input[str]]
    """Namespace of that Upstream. Default: `namespace`."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo. Default: gloo-system."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes; this project's own win."""


_checked = arguments(RouteArgs, prefix=PATH, upstream=OBJECT, upstream_namespace=NAMESPACE, namespace=NAMESPACE, labels=label_map)


class Route(pulumi.ComponentResource):
    """The VirtualService `default`, for all host names, and the HTTP Gateway `gateway-proxy`, in Gloo's namespace."""

    virtual_service_name: pulumi.Output[str]
    """Name of the VirtualService, once it exists."""
    gateway_name: pulumi.Output[str]
    """Name of the Gateway, once it exists."""

    def __init__(self, name: str, args: RouteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:Route", name, None, whole)
        within = inside(self, objects)
        placed = {"namespace": args.get("namespace", GLOO_NAMESPACE), "labels": labels("route", args.get("labels", NO_LABELS))}
        virtual_service = kubernetes.apiextensions.CustomResource(
            f"{name}-virtual-service",
            api_version="gateway.solo.io/v1",
            kind="VirtualService",
            metadata={"name": "default", **placed},
            spec=virtual_service_spec(args),
            opts=within,
        )
        gateway = kubernetes.apiextensions.CustomResource(
            f"{name}-gateway",
            api_version="gateway.solo.io/v1",
            kind="Gateway",
            metadata={"name": DEFAULT_PROXY, **placed},
            spec=gateway_spec(),
            opts=within,
        )
        self.virtual_service_name = virtual_service.metadata["name"]
        self.gateway_name = gateway.metadata["name"]
        self.register_outputs({"virtual_service_name": self.virtual_service_name, "gateway_name": self.gateway_name})


def virtual_service_spec(args: RouteArgs) -> dict[str, Any]:
    """Spec of the VirtualService: one prefix, one destination."""
    namespace = args.get("upstream_namespace", args.get("namespace", GLOO_NAMESPACE))
    destination = {"upstream": {"name": args["upstream"], "namespace": namespace}}
    return {
        "virtualHost": {
            "domains": ["*"],
            "routes": [{"matchers": [{"prefix": args["prefix"]}], "routeAction": {"single": destination}}],
        }
    }


def gateway_spec() -> dict[str, Any]:
    """Spec of the HTTP Gateway: every VirtualService, on the proxy's port 8080."""
    return {"bindAddress": "::", "bindPort": HTTP_PORT, "proxyNames": [DEFAULT_PROXY], "httpGateway": {}}
