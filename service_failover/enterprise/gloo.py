"""Gloo Enterprise in one cluster, by its Helm chart: control plane, discovery and the gateway proxy.

    EnterpriseGloo
    ├─ Namespace
    └─ Release gloo (chart gloo-ee), which brings the definitions of gloo.solo.io and gateway.solo.io

It offers what `Gloo` offers. Its proxy has the name, the labels and the ports of ours, which are Gloo's own, so that the guide's Gateways and
Services fit both. Helm does not delete the definitions when the release goes.
"""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import DEFAULT_PROXY
from service_failover.addressing import CONTAINERS, Addressing
from service_failover.edition_settings import A_REPOSITORY, A_VERSION, CHART_REPOSITORY, CHART_VERSION
from service_failover.enterprise import charts
from service_failover.gateway_proxy import address_of
from service_failover.gloo import url
from service_failover.labels import NO_LABELS, Labels
from service_failover.names import GLOO_NAMESPACE, HTTP_PORT, PROXY_NODE_PORT
from service_failover.namespaces import own_namespace
from service_failover.validation import ADDRESSING, FLAG, NAMESPACE, PORT, REPLICAS, arguments, label_map, secret_text, text

RELEASE = "gloo"
ONE_AT_A_TIME = {"podDisruptionBudget": {"maxUnavailable": 1}}


class EnterpriseGlooArgs(TypedDict):
    """Arguments of EnterpriseGloo."""

    license_key: pulumi.Input[str]
    """Licence key of Gloo Enterprise. Secret."""
    addressing: NotRequired[pulumi.Input[Addressing]]
    """How the proxy is reached: what the cluster says. Default: by a load balancer."""
    proxy_port: NotRequired[pulumi.Input[int]]
    """Port on which the proxy's Service offers HTTP. A NodePort Service offers it on port 30080 of the nodes as well. Default: 8080."""
    version: NotRequired[pulumi.Input[str]]
    """Version of the chart. Default: the one that this was written for."""
    repository: NotRequired[pulumi.Input[str]]
    """URL of a Helm repository that has the chart, such as a mirror of one's own. Default: Solo's."""
    replicas: NotRequired[int]
    """Pods of the control plane, and of the proxy. Plain: it decides whether there is a PodDisruptionBudget. Default: 1."""
    create_namespace: NotRequired[bool]
    """Whether the namespace is to be created. Plain: it decides whether there is a resource. Default: yes."""
    namespace: NotRequired[pulumi.Input[str]]
    """Its own namespace, where it also writes the Upstreams that it discovers. Default: gloo-system."""
    labels: NotRequired[Labels]
    """Labels for the namespace; the chart's objects have the chart's."""


_checked = arguments(
    EnterpriseGlooArgs,
    license_key=secret_text,
    addressing=ADDRESSING,
    proxy_port=PORT,
    version=text(CHART_VERSION, A_VERSION, longest=64),
    repository=text(CHART_REPOSITORY, A_REPOSITORY),
    replicas=REPLICAS,
    create_namespace=FLAG,
    namespace=NAMESPACE,
    labels=label_map,
)


class EnterpriseGloo(pulumi.ComponentResource):
    """Gloo Enterprise, in a namespace of its own."""

    namespace: pulumi.Output[str]
    """Its namespace."""
    proxy_address: pulumi.Output[str]
    """Address (IP or host name) that the cluster's load balancer gave to the proxy's Service. "" where it has none, as a NodePort Service."""
    proxy_port: pulumi.Output[int]
    """Port of the proxy's Service for HTTP."""
    proxy_url: pulumi.Output[str]
    """URL by which this machine reaches the proxy. "" where the Service has no address."""

    def __init__(self, name: str, args: EnterpriseGlooArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        super().__init__("service-failover:index:EnterpriseGloo", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        place = args.get("namespace", GLOO_NAMESPACE)
        addressing = pulumi.Output.from_input(args.get("addressing", CONTAINERS))
        namespace = own_namespace(name, namespace=place, create=args.get("create_namespace", True), given=args.get("labels", NO_LABELS), opts=own)
        release = charts.install(
            name,
            charts.GLOO,
            release=RELEASE,
            namespace=place,
            version=args.get("version", charts.VERSION),
            repository=args.get("repository", charts.GLOO.repository),
            values=gloo_values(
                license_key=pulumi.Output.secret(args["license_key"]),
                service_type=addressing.apply(lambda known: known.get("service_type", "LoadBalancer")),
                proxy_port=args.get("proxy_port", HTTP_PORT),
                replicas=args.get("replicas", 1),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=namespace),
        )
        self.foundation: list[pulumi.Resource] = [*namespace, release]
        """What an object of Gloo has to wait for: the namespace, and the release with the definitions in it. For Python only."""
        # It is read, not made: Helm has made it, and waited for its address.
        found = pulumi.Output.all(place, release.id).apply(lambda known: f"{known[0]}/{DEFAULT_PROXY}")
        service = kubernetes.core.v1.Service.get(f"{name}-proxy-service", found, opts=own)
        self.namespace = pulumi.Output.from_input(place)
        self.proxy_address = service.status.apply(address_of)
        self.proxy_port = service.spec.apply(lambda spec: next(int(port.port) for port in spec.ports if port.name == "http"))
        self.proxy_url = pulumi.Output.all(addressing, self.proxy_address, self.proxy_port).apply(lambda known: url(*known))
        self.register_outputs(
            {"namespace": self.namespace, "proxy_address": self.proxy_address, "proxy_port": self.proxy_port, "proxy_url": self.proxy_url}
        )


def gloo_values(*, license_key: pulumi.Input[str], service_type: pulumi.Input[str], proxy_port: pulumi.Input[int], replicas: int) -> dict[str, Any]:
    """Values of the chart gloo-ee: Gloo with one gateway proxy, and none of what failover does not need.

    Values of the open-source chart are below `gloo`, those of Gloo Federation below `gloo-fed`.
    """
    several = ONE_AT_A_TIME if replicas > 1 else {}
    return {
        "license_key": license_key,
        "gloo-fed": {"enabled": False},  # it is a release of its own, in one cluster and the namespace of the guide
        "gloo": {
            "gloo": {"deployment": {"replicas": replicas}, **several},
            "gatewayProxies": {
                "gatewayProxy": {
                    "kind": {"deployment": {"replicas": replicas}},
                    "podTemplate": {"httpPort": HTTP_PORT},
                    # The port on the nodes is for a Service of type NodePort; the chart leaves it out of others.
                    "service": {"type": service_type, "httpPort": proxy_port, "httpNodePort": PROXY_NODE_PORT},
                    # Gateways are the program's, with the names that the chart would take for its own.
                    "gatewaySettings": {"disableGeneratedGateways": True},
                    "failover": {"enabled": False},
                    **({"antiAffinity": True} if several else {}),
                    **several,
                }
            },
        },
        "global": {"extensions": {"extAuth": {"enabled": False}}},
        "rateLimit": {"enabled": False},
        "observability": {"enabled": False},
        "prometheus": {"enabled": False},
        "grafana": {"defaultInstallationEnabled": False},
    }
