"""Gloo in one cluster: the control plane that discovers Upstreams and programs the gateway proxy, and that proxy.

    Gloo
    ├─ Namespace gloo-system, the definitions of gloo.solo.io and gateway.solo.io
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
from service_failover.addressing import Addressing
from service_failover.certificates import CertificateAuthority, CertificateUse
from service_failover.definitions import define
from service_failover.disruption import keep_available
from service_failover.gateway_proxy import GatewayProxy
from service_failover.names import CONTROL_PLANE_IMAGE, GLOO_NAMESPACE, HEALTH_PORT, XDS_CLIENT_IDENTITY, XDS_PORT, XDS_SERVER_IDENTITY, labels
from service_failover.namespaces import own_namespace
from service_failover.stamps import stamp

SERVER_SECRET = "gloo-xds-server"  # noqa: S105 - the name of a Secret
CLIENT_SECRET = "gloo-xds-client"  # noqa: S105
SELECTOR = {"gloo": "gloo"}


class GlooArgs(TypedDict):
    """Arguments of Gloo. Plain values: they shape command lines and decide which Roles there are."""

    addressing: Addressing
    """Where the processes listen and how they are dialled: what the cluster says."""
    watch_namespaces: Sequence[str]
    """Namespaces whose Services become Upstreams, and whose Gateways and VirtualServices count. In gloo-system these count in any case."""
    proxy_port: pulumi.Input[int]
    """Port on which the proxy's Service offers HTTP."""
    image: NotRequired[pulumi.Input[str]]
    """Image of the control plane. Default: that of this version."""
    replicas: NotRequired[int]
    """Pods of the control plane, and of the proxy. Plain: it decides whether there is a PodDisruptionBudget. Default: 1."""
    create_namespace: NotRequired[bool]
    """Whether gloo-system is to be created. Plain: it decides whether there is a resource. Default: yes."""


class Gloo(pulumi.ComponentResource):
    """Gloo's control plane and gateway proxy in gloo-system."""

    foundation: list[pulumi.Resource]
    """The namespace and the custom resource definitions: what an object of Gloo has to wait for."""
    proxy: GatewayProxy
    """The gateway proxy."""

    def __init__(self, name: str, args: GlooArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-failover:index:Gloo", name, None, opts)
        own = pulumi.ResourceOptions(parent=self)
        namespace = own_namespace(name, namespace=GLOO_NAMESPACE, create=args.get("create_namespace", True), opts=own)
        replicas = args.get("replicas", 1)
        definitions = define(name, groups={"gloo.solo.io", "gateway.solo.io"}, opts=own)
        self.foundation = [*namespace, *definitions]
        within = pulumi.ResourceOptions(parent=self, depends_on=namespace)

        authority = CertificateAuthority(f"{name}-xds-authority", {"common_name": "gloo xDS"}, pulumi.ResourceOptions(parent=self))
        # The proxy opens xDS streams to gloo, and gloo asks the proxy how its endpoints are.
        use = CertificateUse.PEER
        server = authority.issue(f"{name}-xds-server", secret=SERVER_SECRET, dns_name=XDS_SERVER_IDENTITY, use=use, opts=within)
        client = authority.issue(f"{name}-xds-client", secret=CLIENT_SECRET, dns_name=XDS_CLIENT_IDENTITY, use=use, opts=within)

        metadata = {"name": "gloo", "namespace": GLOO_NAMESPACE, "labels": labels("gloo")}
        account = kubernetes.core.v1.ServiceAccount(f"{name}-account", metadata=metadata, opts=within)
        watched = args["watch_namespaces"]
        rules = {namespace_name: [*service_rules(), *object_rules()] for namespace_name in watched}
        rules[GLOO_NAMESPACE] = [*rules.get(GLOO_NAMESPACE, object_rules()), *own_rules()]
        permissions = [
            granted
            for place, allowed in rules.items()
            for granted in rbac.allow_in_namespace(
                f"{name}-{place}",
                namespace=place,
                role="gloo",
                account="gloo",
                account_namespace=GLOO_NAMESPACE,
                rules=allowed,
                part="gloo",
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
                labels=labels("gloo"),
                annotations=stamp(server.certificate_pem),
                service_account="gloo",
                containers=[
                    gloo_container(image=args.get("image", CONTROL_PLANE_IMAGE), watch_namespaces=watched, realise=args["addressing"]["realise"]),
                ],
                grace_seconds=10,
                replicas=replicas,
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, *permissions, *definitions, server]),
        )
        keep_available(name, metadata=metadata, selector=SELECTOR, replicas=replicas, opts=within)
        self.proxy = GatewayProxy(
            f"{name}-proxy",
            {
                "addressing": args["addressing"],
                "client_secret": CLIENT_SECRET,
                "client_certificate_pem": client.certificate_pem,
                "port": args["proxy_port"],
                "replicas": replicas,
            },
            # Its pods learn gloo's address from the variables of a Service that was there before them.
            pulumi.ResourceOptions(parent=self, depends_on=[service, client]),
        )
        self.register_outputs({})


def gloo_container(*, image: pulumi.Input[str], watch_namespaces: Sequence[str], realise: str | None) -> pods.Manifest:
    """The container of gloo's control plane."""
    return pods.container(
        name="gloo",
        image=image,
        user=pods.NOBODY,
        args=[
            "gloo",
            f"--namespace={GLOO_NAMESPACE}",
            f"--watch-namespaces={','.join(watch_namespaces)}",
            f"--xds-address=$(POD_IP):{XDS_PORT}",
            f"--health-address=$(POD_IP):{HEALTH_PORT}",
            *([f"--realise={realise}"] if realise else []),
        ],
        env=[
            *pods.field_env(POD_NAME="metadata.name", POD_NAMESPACE="metadata.namespace", POD_IP="status.podIP"),
            *pods.secret_env(SERVER_SECRET, XDS_TLS_CRT="tls.crt", XDS_TLS_KEY="tls.key", XDS_TLS_CA="ca.crt"),
        ],
        ports={"grpc-xds": XDS_PORT, "health": HEALTH_PORT},
        cpu="100m",
        memory="256Mi",
        readiness=pods.http_probe(port="health", path="/readyz", period=1),
        liveness=pods.http_probe(port="health", path="/healthz", period=10),
    )


def service_rules() -> list[pods.Manifest]:
    """What gloo may do in the namespaces whose Services become Upstreams: read them and their endpoints."""
    return [rbac.rule("", ["services"], rbac.READ), rbac.rule("discovery.k8s.io", ["endpointslices"], rbac.READ)]


def object_rules() -> list[pods.Manifest]:
    """What gloo may do there and in gloo-system: read what it translates, and report on it."""
    return [
        rbac.rule("gloo.solo.io", ["upstreams"], rbac.READ),
        rbac.rule("gloo.solo.io", ["upstreams/status"], ["patch"]),
        rbac.rule("gateway.solo.io", ["gateways", "routetables", "virtualservices"], rbac.READ),
        rbac.rule("gateway.solo.io", ["gateways/status", "routetables/status", "virtualservices/status"], ["patch"]),
    ]


def own_rules() -> list[pods.Manifest]:
    """What gloo may do in gloo-system only: write the Upstreams that it discovers, read the certificates that they and Gateways name, and lead."""
    return [
        rbac.rule("gloo.solo.io", ["upstreams"], ["create", "patch", "delete"]),
        rbac.rule("", ["secrets"], rbac.READ),
        rbac.rule("discovery.k8s.io", ["endpointslices"], rbac.READ),  # where the proxies are, which it asks who serves
        *rbac.lease_rules("gloo"),
    ]
