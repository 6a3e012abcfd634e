"""Names that two sides must derive alike: one part writes them, another looks them up. Nothing here reads an object."""

from __future__ import annotations

IDENTITY_ANNOTATION = "servicefailover.dev/gateway-identity"
"""On a KubernetesCluster: the DNS SAN that the certificate of its failover Gateway carries."""

FAILOVER_RETRIES_ANNOTATION = "servicefailover.dev/failover-retries"
"""On a VirtualService, RouteTable or Upstream: "disabled" leaves out the retries that failover has by default; "enabled" is the default."""

REGEX_MAX_PROGRAM_SIZE = 1024
"""How large RE2 may make a regular expression: Gloo's own limit, told to the proxies too, whose default of 100 is below "[a-z0-9-]{1,63}"."""

DEFAULT_PROXY = "gateway-proxy"
PROXY_STATUS_PORT_NAME = "proxy-status"
"""Name of the Service port at which gloo asks a proxy how its endpoints are."""

DISCOVERED_BY = {"discovered_by": "kubernetesplugin"}
"""Label of the Upstreams that discovery made, or may treat as if it had."""

FAILOVER_PORT_NAME = "failover"
"""Name of the Service port at which other clusters reach a failover Gateway."""

UPSTREAM_SECRET = "failover-upstream"  # noqa: S105 - the name of a Secret
"""Secret with the client certificate that a primary shows to the failover Gateway of another cluster."""


def cluster_name(name: str, namespace: str) -> str:
    """Envoy cluster of an Upstream, and so the SNI by which a failover Gateway is asked for it. No dots: they would split metric names."""
    return f"{name}_{namespace}"


def discovered_upstream_name(namespace: str, service: str, port: int) -> str:
    """Name of the Upstream that discovery makes for one port of a Service."""
    return f"{namespace}-{service}-{port}"


def gloo_instance_name(cluster: str, namespace: str) -> str:
    """Name of the GlooInstance that stands for the control plane in one namespace of one cluster."""
    return f"{cluster}-{namespace}"


def proxy_role(name: str, namespace: str) -> str:
    """`node.metadata.role` of a proxy: how Envoy says which proxy it is."""
    return f"{namespace}~{name}"
