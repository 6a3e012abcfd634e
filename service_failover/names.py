"""Names that several components must agree on: those of the guide, of Gloo, and of the container images. No logic, no Pulumi."""

from __future__ import annotations

from gloo_api.names import DEFAULT_PROXY, cluster_name, discovered_upstream_name

PROJECT = "service-failover"
VERSION = "0.1.0"
"""Version of the control plane's image: that of the project, which a test holds equal to pyproject.toml."""

CONTROL_PLANE_IMAGE = f"servicefailover/controlplane:{VERSION}"
ENVOY_IMAGE = "envoyproxy/envoy:v1.40.0"
HTTP_ECHO_IMAGE = "hashicorp/http-echo:1.0.0"
NODE_IMAGE = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
"""The image of a kind cluster's node: that of kind 0.33, by digest."""

GLOO_NAMESPACE = "gloo-system"
FED_NAMESPACE = "gloo-fed"
APP_NAMESPACE = "default"

DOWNSTREAM_SECRET = "failover-downstream"  # noqa: S105 - the name of a Secret
METRICS_SECRET = "gloo-metrics-client"  # noqa: S105
METRICS_PORT_NAME = "metrics"
"""How the port of the gateway proxy's pods is called at which its metrics are read, with the certificate in that Secret."""
GLOO_JOB, FED_JOB, PROXY_JOB = (f"{PROJECT}-{part}" for part in ("gloo", "gloo-fed", "gateway-proxy"))
"""Jobs of Prometheus, of which alert rules and dashboard speak."""
PROXY_SELECTOR = {"gateway-proxy": "live", "gateway-proxy-id": DEFAULT_PROXY}
"""How the guide's Services select the pods of the gateway proxy."""
XDS_PORT = 9977
HEALTH_PORT = 9978
CONSOLE_PORT = 9980
HTTP_PORT = 8080
FAILOVER_PORT = 15443
PROXY_NODE_PORT = 30080
"""Port of the nodes on which the gateway proxy serves HTTP, where it has no load balancer."""
APP_PORT = 10000


def xds_server_identity(namespace: str) -> str:
    """The DNS name in the certificate of the gloo in `namespace`, by which its proxies verify it."""
    return f"gloo.{namespace}.svc"


def xds_client_identity(namespace: str) -> str:
    """The DNS name in the certificate of the gateway proxy in `namespace`, by which its gloo verifies it."""
    return f"{DEFAULT_PROXY}.{namespace}"


def metrics_identity(namespace: str) -> str:
    """The DNS name in the certificate of whoever may read the metrics of the gateway proxy in `namespace`."""
    return f"metrics.{namespace}"


def server_identity(cluster: str) -> str:
    """The DNS name in the certificate of a cluster's failover gateway, by which the primary's proxy verifies it."""
    return f"failover-gateway.{cluster}"


def client_identity(cluster: str) -> str:
    """The DNS name in the certificate of a cluster's gateway proxy, by which failover gateways verify it."""
    return f"{DEFAULT_PROXY}.{cluster}"


def service_of(color: str) -> str:
    return f"service-{color}"


def upstream_of(color: str) -> str:
    """Name of the Upstream that Gloo discovers for a coloured app, such as `default-service-blue-10000`."""
    return discovered_upstream_name(APP_NAMESPACE, service_of(color), APP_PORT)


def sni_of(color: str) -> str:
    """The server name by which a failover gateway is asked for a coloured app: the name of Envoy's cluster there."""
    return cluster_name(upstream_of(color), GLOO_NAMESPACE)
