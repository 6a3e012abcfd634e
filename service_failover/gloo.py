"""Gloo in one cluster: the control plane that discovers Upstreams and programs the gateway proxy, and that proxy.

    Gloo
    ├─ Namespace, the definitions of gloo.solo.io and gateway.solo.io
    ├─ CertificateAuthority, TlsSecret gloo-xds-server, TlsSecret gloo-xds-client
    ├─ ServiceAccount gloo with its Roles, Deployment gloo, Service gloo
    └─ GatewayProxy

The configuration travels with the keys of the failover certificates in it, so gloo and the proxy prove to each other who they are, by an authority
that exists for this cluster only.
"""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover import pods, rbac
from service_failover.addressing import CONTAINERS, Addressing, realised
from service_failover.certificate_settings import Lifetime
from service_failover.certificates import CertificateAuthority, CertificateAuthorityArgs, CertificateUse
from service_failover.definitions import define
from service_failover.disruption import keep_available
from service_failover.early import apart, inside
from service_failover.gateway_proxy import GatewayProxy
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import (
    APP_NAMESPACE,
    CONTROL_PLANE_IMAGE,
    ENVOY_IMAGE,
    GLOO_NAMESPACE,
    HEALTH_PORT,
    HTTP_PORT,
    METRICS_SECRET,
    XDS_PORT,
    metrics_identity,
    xds_client_identity,
    xds_server_identity,
)
from service_failover.namespaces import own_namespace
from service_failover.stamps import stamp
from service_failover.validation import ADDRESSING, EPOCH, FLAG, IMAGE, NAMESPACE, PORT, REPLICAS, Plain, arguments, label_map, sequence

SERVER_SECRET = "gloo-xds-server"  # noqa: S105 - the name of a Secret
CLIENT_SECRET = "gloo-xds-client"  # noqa: S105
SELECTOR = {"gloo": "gloo"}
YEAR = 365 * 24
XDS_CERTIFICATE, XDS_AUTHORITY = Lifetime(validity=5 * YEAR, early=YEAR), Lifetime(validity=10 * YEAR, early=5 * YEAR)


class GlooArgs(TypedDict):
    """Arguments of Gloo."""

    addressing: NotRequired[pulumi.Input[Addressing]]
    """Where the processes listen and how they are reached: what the cluster says. Default: what holds where each pod has a network of its own, and a
    Service can have a load balancer."""
    watch_namespaces: NotRequired[Sequence[str]]
    """Namespaces whose Services become Upstreams, and whose Gateways and VirtualServices count. Those of its own namespace count in any case.
    Plain: they decide which Roles there are. Default: default."""
    proxy_port: NotRequired[pulumi.Input[int]]
    """Port on which the proxy's Service offers HTTP. Default: 8080."""
    image: NotRequired[pulumi.Input[str]]
    """Image of the control plane. Default: that of this version."""
    proxy_image: NotRequired[pulumi.Input[str]]
    """Image of Envoy, for the proxy. Default: envoyproxy/envoy in the version that this one is tested with."""
    proxy_metrics: NotRequired[bool]
    """Whether Prometheus can read the proxy's own metrics: at port 9980 of its pods (`metrics`), path /stats/prometheus, with the certificate in the
    Secret gloo-metrics-client, which is then made. Plain: it decides whether there is a Secret. Default: no."""
    replicas: NotRequired[int]
    """Pods of the control plane, and of the proxy. Plain: it decides whether there is a PodDisruptionBudget. Default: 1."""
    certificate_epoch: NotRequired[int]
    """Generation of the keys with which gloo and the proxies prove to each other who they are: raise it by one to replace them all. Plain: resources
    are named after it. Default: 1."""
    create_namespace: NotRequired[bool]
    """Whether the namespace is to be created. Plain: it decides whether there is a resource. Default: yes."""
    namespace: NotRequired[str]
    """Its own namespace, where it also writes the Upstreams that it discovers. Plain: it decides which Roles there are. Default: gloo-system."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes, pods too; this project's own win."""


_checked = arguments(
    GlooArgs,
    addressing=ADDRESSING,
    watch_namespaces=Plain(sequence(Plain(NAMESPACE))),
    proxy_port=PORT,
    image=IMAGE,
    proxy_image=IMAGE,
    proxy_metrics=FLAG,
    certificate_epoch=EPOCH,
    replicas=REPLICAS,
    create_namespace=FLAG,
    namespace=Plain(NAMESPACE),
    labels=label_map,
)


class Gloo(pulumi.ComponentResource):
    """Gloo's control plane and gateway proxy, in a namespace of their own."""

    namespace: pulumi.Output[str]
    """Its namespace."""
    proxy_address: pulumi.Output[str]
    """Address (IP or host name) that the cluster's load balancer gave to the proxy's Service. "" where it has none, as a NodePort Service."""
    proxy_port: pulumi.Output[int]
    """Port of the proxy's Service."""
    proxy_url: pulumi.Output[str]
    """Where clients on this machine reach the proxy, `http://<address>:<port>`, if they reach its load balancer at all. "" where it has none."""

    def __init__(self, name: str, args: GlooArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:Gloo", name, None, whole)
        own = inside(self, objects)
        place, given, replicas = args.get("namespace", GLOO_NAMESPACE), args.get("labels", NO_LABELS), args.get("replicas", 1)
        addressing = pulumi.Output.from_input(args.get("addressing", CONTAINERS))
        namespace = own_namespace(name, namespace=place, create=args.get("create_namespace", True), given=given, opts=own)
        definitions = define(name, groups={"gloo.solo.io", "gateway.solo.io"}, given=given, opts=own)
        within = inside(self, objects, depends_on=namespace)

        # Both read their certificates when they start, so a new one costs a restart. It comes when `certificate_epoch` says so, not by surprise.
        authority_args: CertificateAuthorityArgs = {
            "common_name": "gloo xDS",
            "rotation_epoch": args.get("certificate_epoch", 1),
            "validity_hours": XDS_CERTIFICATE.validity,
            "early_renewal_hours": XDS_CERTIFICATE.early,
            "authority_validity_hours": XDS_AUTHORITY.validity,
            "authority_early_renewal_hours": XDS_AUTHORITY.early,
        }
        authority = CertificateAuthority(f"{name}-xds-authority", authority_args, pulumi.ResourceOptions(parent=self))
        # The proxy opens xDS streams to gloo, and gloo asks the proxy how its endpoints are.
        use = CertificateUse.PEER
        server, client = (
            authority.issue(f"{name}-xds-{side}", secret=secret, dns_name=identity, use=use, namespace=place, labels=given, opts=within)
            for side, secret, identity in (
                ("server", SERVER_SECRET, xds_server_identity(place)),
                ("client", CLIENT_SECRET, xds_client_identity(place)),
            )
        )
        metrics = args.get("proxy_metrics", False)
        if metrics:
            authority.issue(
                f"{name}-metrics-client",
                secret=METRICS_SECRET,
                dns_name=metrics_identity(place),
                use=CertificateUse.CLIENT,
                namespace=place,
                labels=given,
                opts=within,
            )

        own_labels = labels("gloo", given)
        metadata = {"name": "gloo", "namespace": place, "labels": own_labels}
        account = kubernetes.core.v1.ServiceAccount(f"{name}-account", metadata=metadata, opts=within)
        watched = args.get("watch_namespaces", [APP_NAMESPACE])
        rules = {each: [*service_rules(), *object_rules()] for each in watched}
        rules[place] = [*rules.get(place, object_rules()), *own_rules()]
        permissions = [
            granted
            for where, allowed in rules.items()
            for granted in rbac.allow_in_namespace(
                f"{name}-{where}",
                namespace=where,
                role="gloo",
                account="gloo",
                account_namespace=place,
                rules=allowed,
                labels=own_labels,
                opts=within,
            )
        ]
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            # It is there for its address; that gloo is ready, its Deployment says.
            metadata={**metadata, "annotations": {"pulumi.com/skipAwait": "true"}},
            spec={"selector": SELECTOR, "ports": [{"name": "grpc-xds", "port": XDS_PORT, "targetPort": "grpc-xds", "protocol": "TCP"}]},
            opts=within,
        )
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=metadata,
            spec=pods.deployment_spec(
                selector=SELECTOR,
                labels=labels("gloo", given, own=SELECTOR),
                annotations=stamp(server.certificate_pem),
                service_account="gloo",
                containers=[
                    gloo_container(
                        image=args.get("image", CONTROL_PLANE_IMAGE),
                        arguments=addressing.apply(lambda known: gloo_arguments(known, watch_namespaces=watched)),
                    ),
                ],
                grace_seconds=10,
                replicas=replicas,
            ),
            opts=inside(self, objects, depends_on=[account, *permissions, *definitions, server]),
        )
        keep_available(name, metadata=metadata, selector=SELECTOR, replicas=replicas, opts=within)
        proxy = GatewayProxy(
            f"{name}-proxy",
            {
                "addressing": addressing,
                "image": args.get("proxy_image", ENVOY_IMAGE),
                "client_secret": CLIENT_SECRET,
                "client_certificate_pem": client.certificate_pem,
                "port": args.get("proxy_port", HTTP_PORT),
                "metrics": metrics,
                "replicas": replicas,
                "namespace": place,
                "labels": given,
            },
            # Its pods learn gloo's address from the variables of a Service that was there before them.
            inside(self, objects, depends_on=[service, client]),
        )
        self.foundation: list[pulumi.Resource] = [*namespace, *definitions]
        """What an object of Gloo has to wait for, and no more: the namespace and the definitions. For Python only."""
        self.namespace = pulumi.Output.from_input(place)
        self.proxy_address, self.proxy_port = proxy.address, proxy.port
        self.proxy_url = pulumi.Output.all(addressing, proxy.address, proxy.port).apply(lambda known: url(*known))
        self.register_outputs(
            {"namespace": self.namespace, "proxy_address": self.proxy_address, "proxy_port": self.proxy_port, "proxy_url": self.proxy_url}
        )


def url(addressing: Addressing, address: str, port: int) -> str:
    """The URL by which this machine reaches a load balancer's address; "" for no address."""
    return f"http://{realised(address, addressing.get('realise'))}:{port}" if address else ""


def gloo_arguments(addressing: Addressing, *, watch_namespaces: Sequence[str]) -> list[str]:
    """The command line of gloo's control plane. It works in its pod's namespace. Port-forwards come on loopback, to its metrics too."""
    realise = addressing.get("realise")
    return [
        "gloo",
        "--namespace=$(POD_NAMESPACE)",
        f"--watch-namespaces={','.join(watch_namespaces)}",
        f"--xds-address=$(POD_IP):{XDS_PORT}",
        f"--health-address={addressing['listen_address']}:{HEALTH_PORT}",
        *([f"--realise={realise}"] if realise else []),
    ]


def gloo_container(*, image: pulumi.Input[str], arguments: pulumi.Input[Sequence[str]]) -> pods.Manifest:
    """The container of gloo's control plane."""
    return pods.container(
        name="gloo",
        image=image,
        user=pods.NOBODY,
        args=arguments,
        env=[
            *pods.field_env(POD_NAME="metadata.name", POD_NAMESPACE="metadata.namespace", POD_IP="status.podIP"),
            *pods.secret_env(SERVER_SECRET, XDS_TLS_CRT="tls.crt", XDS_TLS_KEY="tls.key", XDS_TLS_CA="ca.crt"),
        ],
        ports={"grpc-xds": XDS_PORT, "health": HEALTH_PORT},
        cpu="100m",
        memory="256Mi",
        readiness=pods.http_probe(port="health", path="/readyz", period=1),
        # It may take half a minute to start where all start at once. A restart before that would begin it anew.
        liveness=pods.http_probe(port="health", path="/healthz", period=10, failures=6, timeout=5),
    )


def service_rules() -> list[pods.Manifest]:
    """What gloo may do in the namespaces whose Services become Upstreams: read them and their endpoints."""
    return [rbac.rule("", ["services"], rbac.READ), rbac.rule("discovery.k8s.io", ["endpointslices"], rbac.READ)]


def object_rules() -> list[pods.Manifest]:
    """What gloo may do there and in its own namespace: read what it translates, and report on it."""
    return [
        rbac.rule("gloo.solo.io", ["upstreams"], rbac.READ),
        rbac.rule("gloo.solo.io", ["upstreams/status"], ["patch"]),
        rbac.rule("gateway.solo.io", ["gateways", "routetables", "virtualservices"], rbac.READ),
        rbac.rule("gateway.solo.io", ["gateways/status", "routetables/status", "virtualservices/status"], ["patch"]),
    ]


def own_rules() -> list[pods.Manifest]:
    """What gloo may do in its own namespace only: write the Upstreams that it discovers, read the certificates that objects name, and lead."""
    return [
        rbac.rule("gloo.solo.io", ["upstreams"], ["create", "patch", "delete"]),
        rbac.rule("", ["secrets"], rbac.READ),
        rbac.rule("discovery.k8s.io", ["endpointslices"], rbac.READ),  # where the proxies are, which it asks who serves
        *rbac.lease_rules("gloo"),
    ]
