"""Every component of the library with arguments that are enough for it, and what it then makes: the table behind test_every_component.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from service_failover.bluegreen_app import BlueGreenApp
from service_failover.certificates import CertificateAuthority, TlsSecret
from service_failover.cluster_access import ClusterAccess
from service_failover.failover_gateway import FailoverGateway
from service_failover.failover_scheme import FailoverScheme
from service_failover.gateway_proxy import GatewayProxy
from service_failover.gloo import Gloo
from service_failover.gloo_fed import GlooFed
from service_failover.monitoring.objects import Monitoring
from service_failover.registration import Registration
from service_failover.route import Route
from service_failover.upstream import HealthCheckedUpstream

SECRET = "HUSH"
"""In every value that is secret, and in no other."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One component. `makes`: kind and name of each of its Kubernetes objects; `others`: how many of each type of resource besides."""

    component: type[pulumi.ComponentResource]
    args: Mapping[str, Any]
    makes: tuple[str, ...]
    others: Mapping[str, int] = field(default_factory=dict)
    namespaces: tuple[str, ...] = ("namespace",)
    """Arguments that name a namespace: with all of them set, nothing may be left in those of the guide."""
    elsewhere: Mapping[str, Any] = field(default_factory=dict)
    """What else has to be set for that."""

    @property
    def noun(self) -> str:
        return self.component.__name__

    def build(self, options: pulumi.ResourceOptions, changes: Mapping[str, Any] | None = None) -> Any:
        """The component `it`, with `changes` to its arguments; `...` removes one."""
        args = {key: value for key, value in {**self.args, **(changes or {})}.items() if value is not ...}
        return self.component("it", args, options)  # type: ignore[arg-type]


KEY = {"PrivateKey": 1, "CertRequest": 1, "LocallySignedCert": 1}
AUTHORITY = {"PrivateKey": 2, "SelfSignedCert": 2}
"""Of the first epoch: that generation, and the next one, which is trusted before it issues."""

SAMPLES = [
    Sample(
        component=BlueGreenApp,
        args={"color": "blue"},
        makes=("Deployment echo-blue", "Service service-blue"),
    ),
    Sample(component=CertificateAuthority, args={"common_name": "an authority"}, makes=(), others=AUTHORITY, namespaces=()),
    Sample(
        component=TlsSecret,
        args={
            "secret_name": "keys",
            "dns_name": "gateway.example",
            "use": "server",
            "authority_certificate_pem": "CERTIFICATE",
            "authority_private_key_pem": f"{SECRET} key",
        },
        makes=("Secret keys",),
        others=KEY,
    ),
    Sample(
        component=ClusterAccess,
        args={"cluster_name": "east", "server": "https://east:6443", "certificate_authority": "Q0E="},
        makes=(
            "ServiceAccount gloo-federation",
            "Role gloo-federation-controller",
            "RoleBinding gloo-federation-controller",
            "ClusterRole gloo-federation-controller",
            "ClusterRoleBinding gloo-federation-controller",
            "Secret gloo-federation-token",
        ),
    ),
    Sample(
        component=Registration,
        args={"cluster_name": "east", "kubeconfig": f"{SECRET} kubeconfig", "gateway_identity": "failover-gateway.east"},
        makes=("Secret east", "KubernetesCluster east"),
    ),
    Sample(
        component=FailoverGateway,
        args={"server_names": ["default-service-green-10000_gloo-east"], "client_identities": ["gateway-proxy.local"]},
        makes=("Gateway failover-gateway", "Service failover"),
    ),
    Sample(
        component=FailoverScheme,
        args={
            "primary": {"cluster": "east", "upstream": "default-service-blue-10000", "namespace": "gloo-east"},
            "tiers": [[{"cluster": "west", "upstreams": ["default-service-green-10000"], "namespace": "gloo-west"}]],
        },
        makes=("FailoverScheme failover-scheme",),
    ),
    Sample(
        component=GatewayProxy,
        args={"client_secret": "keys", "client_certificate_pem": "CERTIFICATE"},
        makes=("Deployment gateway-proxy", "Service gateway-proxy", "Service gateway-proxy-status"),
    ),
    Sample(
        component=Gloo,
        args={},
        makes=(
            "Namespace gloo-system",
            *(
                f"CustomResourceDefinition {plural}"
                for plural in ("upstreams.gloo.solo.io", "gateways.gateway.solo.io", "routetables.gateway.solo.io", "virtualservices.gateway.solo.io")
            ),
            "Secret gloo-xds-server",
            "Secret gloo-xds-client",
            "ServiceAccount gloo",
            *("Role gloo", "RoleBinding gloo") * 2,  # where it watches, and where it lives
            "Service gloo",
            "Deployment gloo",
            "Deployment gateway-proxy",
            "Service gateway-proxy",
            "Service gateway-proxy-status",
        ),
        others={"PrivateKey": 4, "SelfSignedCert": 2, "CertRequest": 2, "LocallySignedCert": 2},
        elsewhere={"watch_namespaces": ["shop"]},
    ),
    Sample(
        component=GlooFed,
        args={},
        makes=(
            "Namespace gloo-fed",
            *(
                f"CustomResourceDefinition {plural}"
                for plural in ("failoverschemes.fed.solo.io", "glooinstances.fed.solo.io", "kubernetesclusters.multicluster.solo.io")
            ),
            "ServiceAccount gloo-fed",
            "Role gloo-fed",
            "RoleBinding gloo-fed",
            "Deployment gloo-fed",
        ),
        namespaces=("namespace", "gloo_namespace"),
    ),
    Sample(
        component=Monitoring,
        args={"cluster_name": "east", "federation": True},
        makes=(
            "PodMonitor service-failover-gloo",
            "PodMonitor service-failover-gateway-proxy",
            "PodMonitor service-failover-gloo-fed",
            "PrometheusRule service-failover",
            "ConfigMap service-failover-dashboard",
        ),
        namespaces=("namespace", "fed_namespace"),
    ),
    Sample(
        component=HealthCheckedUpstream,
        args={"service_name": "service-blue", "path": "/health", "interval": "1s", "timeout": "1s"},
        makes=("Upstream default-service-blue-10000",),
    ),
    Sample(
        component=Route,
        args={"prefix": "/", "upstream": "default-service-blue-10000"},
        makes=("VirtualService default", "Gateway gateway-proxy"),
    ),
]
