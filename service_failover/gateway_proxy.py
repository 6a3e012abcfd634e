"""The gateway proxy: an Envoy that gets everything but its bootstrap from gloo, and the Service by which clients reach it."""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from gloo_api.names import DEFAULT_PROXY, PROXY_STATUS_PORT_NAME
from service_failover import envoy, pods
from service_failover.addressing import CONTAINERS, Addressing
from service_failover.disruption import keep_available
from service_failover.draining import GRACE_SECONDS, drained_first
from service_failover.early import apart, inside
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import ENVOY_IMAGE, FAILOVER_PORT, GLOO_NAMESPACE, HTTP_PORT, METRICS_PORT_NAME, PROXY_NODE_PORT, PROXY_SELECTOR
from service_failover.stamps import stamp
from service_failover.validation import ADDRESSING, FLAG, IMAGE, NAMESPACE, OBJECT, PORT, REPLICAS, arguments, label_map, secret_text

POD_LABELS = {**PROXY_SELECTOR, "gloo": DEFAULT_PROXY}
ADDRESS_ASSIGNED = {"pulumi.com/waitFor": "jsonpath={.status.loadBalancer.ingress[0]}"}
"""Waits for the load balancer's address and no more. The default waits for pods too, which the Deployment does, and ten seconds longer."""


class GatewayProxyArgs(TypedDict):
    """Arguments of a GatewayProxy."""

    addressing: NotRequired[pulumi.Input[Addressing]]
    """Where it listens, and how it is reached: what the cluster says. Default: what holds where each pod has a network of its own, and a Service can
    have a load balancer."""
    image: NotRequired[pulumi.Input[str]]
    """Image of Envoy. Default: envoyproxy/envoy in the version that this one is tested with."""
    client_secret: pulumi.Input[str]
    """Secret (tls.crt, tls.key, ca.crt) with which it presents itself to gloo."""
    client_certificate_pem: pulumi.Input[str]
    """The certificate in that Secret; when it is issued anew, the proxy starts anew."""
    port: NotRequired[pulumi.Input[int]]
    """Port on which its Service offers HTTP. A NodePort Service offers it on port 30080 of the nodes as well. Default: 8080."""
    metrics: NotRequired[bool]
    """Whether it has a port, `metrics`, at which its metrics are read with the certificate for that. Plain. Default: no."""
    replicas: NotRequired[int]
    """Pods. Plain: it decides whether there is a PodDisruptionBudget. Default: 1."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of its gloo. Default: gloo-system."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes, pods too; this project's own win."""


_checked = arguments(
    GatewayProxyArgs,
    addressing=ADDRESSING,
    image=IMAGE,
    client_secret=OBJECT,
    client_certificate_pem=secret_text,
    port=PORT,
    metrics=FLAG,
    replicas=REPLICAS,
    namespace=NAMESPACE,
    labels=label_map,
)


class GatewayProxy(pulumi.ComponentResource):
    """Envoy as Gloo's proxy `gateway-proxy`, in Gloo's namespace."""

    address: pulumi.Output[str]
    """Address (IP or host name) that the cluster's load balancer gave to the Service. "" where it has none, as a NodePort Service."""
    port: pulumi.Output[int]
    """Port of the Service."""

    def __init__(self, name: str, args: GatewayProxyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:GatewayProxy", name, None, whole)
        within = inside(self, objects)
        given = args.get("labels", NO_LABELS)
        metadata = {"name": DEFAULT_PROXY, "namespace": args.get("namespace", GLOO_NAMESPACE), "labels": labels(DEFAULT_PROXY, given)}
        addressing, metrics = pulumi.Output.from_input(args.get("addressing", CONTAINERS)), args.get("metrics", False)
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=metadata,
            spec=pods.deployment_spec(
                selector=POD_LABELS,
                labels=labels(DEFAULT_PROXY, given, own=POD_LABELS),
                annotations=stamp(args["client_certificate_pem"]),
                service_account=None,  # it talks to gloo, never to the API server
                containers=[
                    proxy_container(
                        image=args.get("image", ENVOY_IMAGE),
                        bootstrap=addressing.apply(lambda known: envoy.as_argument(envoy.gateway_proxy_bootstrap(known, metrics=metrics))),
                        client_secret=args["client_secret"],
                        lifecycle=addressing.apply(drained_first),
                        metrics=metrics,
                    )
                ],
                grace_seconds=GRACE_SECONDS,
                replicas=args.get("replicas", 1),
            ),
            opts=within,
        )
        keep_available(name, metadata=metadata, selector=POD_LABELS, replicas=args.get("replicas", 1), opts=within)
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            metadata={**metadata, "annotations": addressing.apply(service_annotations)},
            spec=pulumi.Output.all(addressing, args.get("port", HTTP_PORT)).apply(lambda known: service_spec(known[0], port=known[1])),
            opts=within,
        )
        # It has no address of its own: by it gloo finds every replica, to ask each how its endpoints are.
        kubernetes.core.v1.Service(
            f"{name}-status-service",
            metadata={**metadata, "name": f"{DEFAULT_PROXY}-status", "annotations": {"pulumi.com/skipAwait": "true"}},
            spec={
                "clusterIP": "None",
                "selector": POD_LABELS,
                "ports": [{"name": PROXY_STATUS_PORT_NAME, "port": envoy.STATUS_PORT, "targetPort": envoy.STATUS_PORT, "protocol": "TCP"}],
            },
            opts=within,
        )
        self.address = service.status.apply(address_of)
        self.port = service.spec.apply(lambda spec: int(spec.ports[0].port))
        self.register_outputs({"address": self.address, "port": self.port})


def service_annotations(addressing: Addressing) -> dict[str, str]:
    """What Pulumi is to wait for: the load balancer's address where there is to be one."""
    return ADDRESS_ASSIGNED if addressing.get("service_type", "LoadBalancer") == "LoadBalancer" else {"pulumi.com/skipAwait": "true"}


def service_spec(addressing: Addressing, *, port: int) -> dict[str, Any]:
    """Spec of the Service by which clients reach the proxy."""
    ports = {"name": "http", "port": port, "targetPort": HTTP_PORT, "protocol": "TCP"}
    service_type = addressing.get("service_type", "LoadBalancer")
    if service_type == "LoadBalancer":
        # The address is the load balancer's. A port on every node as well would be one more way in, and could take the failover Service's.
        return {"type": service_type, "allocateLoadBalancerNodePorts": False, "selector": POD_LABELS, "ports": [ports]}
    return {"type": service_type, "selector": POD_LABELS, "ports": [{**ports, "nodePort": PROXY_NODE_PORT}]}


def proxy_container(
    *,
    image: pulumi.Input[str],
    bootstrap: pulumi.Input[str],
    client_secret: pulumi.Input[str],
    lifecycle: pulumi.Input[pods.Manifest],
    metrics: bool,
) -> pods.Manifest:
    """The container of the proxy. The keys for its connections with gloo come as variables, which the bootstrap names."""
    return pods.container(
        name="envoy",
        image=image,
        user=pods.ENVOY_USER,
        args=["--config-yaml", bootstrap, "--disable-hot-restart", "--log-level", "info"],
        env=[
            *pods.field_env(POD_NAME="metadata.name", POD_NAMESPACE="metadata.namespace", POD_IP="status.podIP"),
            *pods.secret_env(client_secret, XDS_TLS_CRT="tls.crt", XDS_TLS_KEY="tls.key", XDS_TLS_CA="ca.crt"),
        ],
        ports={
            "http": HTTP_PORT,
            "failover": FAILOVER_PORT,
            "readiness": envoy.READINESS_PORT,
            "status": envoy.STATUS_PORT,
            **({METRICS_PORT_NAME: envoy.METRICS_PORT} if metrics else {}),
        },
        cpu="200m",
        memory="256Mi",
        # On a machine that is too busy every proxy is slow at once. To send clients to none of them would make that an outage.
        readiness=pods.http_probe(port="readiness", path=envoy.READINESS_PATH, period=1, timeout=5),
        # Without gloo Envoy opens its listeners after 30 s. A restart before that would help nobody.
        liveness=pods.http_probe(port="readiness", path=envoy.READINESS_PATH, period=10, failures=6, timeout=5),
        lifecycle=lifecycle,
    )


def address_of(status: "kubernetes.core.v1.outputs.ServiceStatus | None") -> str:
    """Clouds give a host name or an IP. (The type is quoted: the module that it is in takes long to import.)"""
    given = status.load_balancer.ingress if status and status.load_balancer else None
    return str(given[0].ip or given[0].hostname) if given else ""
