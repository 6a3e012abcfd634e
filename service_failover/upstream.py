"""A discovered Upstream with a health check, without which a proxy never notices that it should fail over."""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import DISCOVERED_BY, discovered_upstream_name
from service_failover.early import apart, inside
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import APP_NAMESPACE, APP_PORT, GLOO_NAMESPACE
from service_failover.validation import FLAG, NAMESPACE, PATH, PERCENT, PORT, SERVICE, THRESHOLD, arguments, duration_text, label_map


class HealthCheckedUpstreamArgs(TypedDict):
    """Arguments of a HealthCheckedUpstream. Durations are in the JSON form of protobuf, such as `0.25s`."""

    service_name: pulumi.Input[str]
    """Name of the Service behind it."""
    service_namespace: NotRequired[pulumi.Input[str]]
    """Namespace of the Service. Default: default."""
    service_port: NotRequired[pulumi.Input[int]]
    """Port of the Service. Default: 10000, that of the sample app."""
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
    panic_threshold: NotRequired[pulumi.Input[int]]
    """Percent of healthy endpoints below which their health is not believed, and requests go to all of them, the standby's too. With 0 clients
    get 503 at once when nobody is healthy, and also when the standby misses one check while it serves. Default: none is set, so Gloo's, 50."""
    weighted: NotRequired[bool]
    """Whether members of a failover tier share its traffic by their weights. Plain: it decides whether there is a field. Default: no."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo, where it discovers Upstreams. Default: gloo-system."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes; this project's own win."""


_checked = arguments(
    HealthCheckedUpstreamArgs,
    service_name=SERVICE,
    service_namespace=NAMESPACE,
    service_port=PORT,
    path=PATH,
    interval=duration_text,
    timeout=duration_text,
    unhealthy_threshold=THRESHOLD,
    healthy_threshold=THRESHOLD,
    panic_threshold=PERCENT,
    weighted=FLAG,
    namespace=NAMESPACE,
    labels=label_map,
)


class HealthCheckedUpstream(pulumi.ComponentResource):
    """The Upstream `<namespace>-<service>-<port>` in Gloo's namespace, with an HTTP health check.

    Gloo discovers it as well. Both apply it, each its own fields, and agree on those of the Service: it does not matter who is first, and Gloo
    Federation's `failover` in it belongs to neither.
    """

    upstream_name: pulumi.Output[str]
    """Name of the Upstream, once it exists."""

    def __init__(self, name: str, args: HealthCheckedUpstreamArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:HealthCheckedUpstream", name, None, whole)
        service = service_of(args)
        upstream_name = pulumi.Output.all(service["serviceNamespace"], service["serviceName"], service["servicePort"]).apply(
            lambda known: discovered_upstream_name(known[0], known[1], known[2])
        )
        upstream = kubernetes.apiextensions.CustomResource(
            f"{name}-upstream",
            api_version="gloo.solo.io/v1",
            kind="Upstream",
            metadata={
                "name": upstream_name,
                "namespace": args.get("namespace", GLOO_NAMESPACE),
                # Solo's discovery stops at an Upstream of the name that it needs, unless it is labelled as its own; then it keeps what is in it.
                "labels": labels("upstream", args.get("labels", NO_LABELS), own=DISCOVERED_BY),
            },
            spec=upstream_spec(args),
            opts=inside(self, objects),
        )
        self.upstream_name = upstream.metadata["name"]
        self.register_outputs({"upstream_name": self.upstream_name})


def service_of(args: HealthCheckedUpstreamArgs) -> dict[str, Any]:
    """The Service behind the Upstream, as its spec names it."""
    return {
        "serviceName": args["service_name"],
        "serviceNamespace": args.get("service_namespace", APP_NAMESPACE),
        "servicePort": args.get("service_port", APP_PORT),
    }


def upstream_spec(args: HealthCheckedUpstreamArgs) -> dict[str, Any]:
    """Spec of the Upstream."""
    balancing: dict[str, Any] = {
        **({"healthyPanicThreshold": args["panic_threshold"]} if "panic_threshold" in args else {}),
        **({"localityWeightedLbConfig": {}} if args.get("weighted") else {}),
    }
    return {
        "kube": service_of(args),
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
        **({"loadBalancerConfig": balancing} if balancing else {}),
    }
