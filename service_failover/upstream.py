"""A discovered Upstream with a health check, without which a proxy never notices that it should fail over."""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import discovered_upstream_name
from service_failover.names import GLOO_NAMESPACE, labels


class HealthCheckedUpstreamArgs(TypedDict):
    """Arguments of a HealthCheckedUpstream. Durations are in the JSON form of protobuf, such as `0.25s`."""

    service_namespace: str
    """Namespace of the Service behind it. Plain, as are the next two: they make the Upstream's name."""
    service_name: str
    """Name of the Service."""
    service_port: int
    """Port of the Service."""
    path: pulumi.Input[str]
    """What the check asks for; 200 is healthy."""
    interval: pulumi.Input[str]
    """Time between two checks."""
    timeout: pulumi.Input[str]
    """Time after which a check without an answer has failed."""
    unhealthy_threshold: NotRequired[pulumi.Input[int]]
    """Failures in a row after which the Upstream is unhealthy. Default: 1, as in the guide."""
    healthy_threshold: NotRequired[pulumi.Input[int]]
    """Successes in a row after which it is healthy again. Default: 1, as in the guide."""
    weighted: NotRequired[bool]
    """Whether members of a failover tier share its traffic by their weights. Plain: it decides whether there is a field. Default: no."""


class HealthCheckedUpstream(pulumi.ComponentResource):
    """The Upstream `<namespace>-<service>-<port>` in gloo-system, with an HTTP health check.

    Gloo discovers it as well. Both apply it, each its own fields, and agree on those of the Service: it does not matter who is first, and Gloo
    Federation's `failover` in it belongs to neither.
    """

    upstream_name: pulumi.Output[str]
    """Name of the Upstream, once it exists."""

    def __init__(self, name: str, args: HealthCheckedUpstreamArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-failover:index:HealthCheckedUpstream", name, None, opts)
        upstream_name = discovered_upstream_name(args["service_namespace"], args["service_name"], args["service_port"])
        upstream = kubernetes.apiextensions.CustomResource(
            f"{name}-upstream",
            api_version="gloo.solo.io/v1",
            kind="Upstream",
            metadata={"name": upstream_name, "namespace": GLOO_NAMESPACE, "labels": labels("upstream")},
            spec=upstream_spec(args),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.upstream_name = upstream.metadata["name"]
        self.register_outputs({"upstream_name": self.upstream_name})


def upstream_spec(args: HealthCheckedUpstreamArgs) -> dict[str, Any]:
    """Spec of the Upstream."""
    return {
        "kube": {"serviceName": args["service_name"], "serviceNamespace": args["service_namespace"], "servicePort": args["service_port"]},
        "healthChecks": [
            {
                "timeout": args["timeout"],
                "interval": args["interval"],
                # By default Envoy checks a cluster that has not had traffic yet once a minute only; a failure before the first request would go
                # unseen.
                "noTrafficInterval": args["interval"],
                "unhealthyThreshold": args.get("unhealthy_threshold", 1),
                "healthyThreshold": args.get("healthy_threshold", 1),
                "httpHealthCheck": {"path": args["path"]},
            }
        ],
        **({"loadBalancerConfig": {"localityWeightedLbConfig": {}}} if args.get("weighted") else {}),
    }
