"""A small cluster as JSON objects, each in several versions: what the tests of incremental translation change at random or on purpose."""

from __future__ import annotations

import base64
from typing import Any

from support_certs import Authority, Pair

from controlplane.gloo.kinds import GATEWAY, ROUTE_TABLE, UPSTREAM, VIRTUAL_SERVICE
from controlplane.kube.objects import ENDPOINT_SLICE, SECRET, SERVICE, Kind

NAMESPACE = "gloo-system"
AUTHORITY, NEXT_AUTHORITY = Authority(), Authority()
FIRST, SECOND = AUTHORITY.issue("gateway-proxy.local"), AUTHORITY.issue("gateway-proxy.local")

Object = dict[str, Any]
Place = tuple[Kind, str, str]


def obj(kind: Kind, name: str, *, namespace: str = NAMESPACE, created: str = "2026-01-01T00:00:00Z", **fields: Any) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"namespace": namespace, "name": name, "creationTimestamp": created, **fields.pop("metadata", {})},
        **fields,
    }


def upstream(name: str = "blue", **spec: Any) -> Object:
    kube = {"serviceName": f"service-{name}", "serviceNamespace": "default", "servicePort": 10000}
    return obj(UPSTREAM, name, spec={"kube": kube, **spec})


def checked(name: str = "blue", *, interval: str = "1s", certificate: str = "client") -> Object:
    """An Upstream with a health check and a failover over TLS."""
    check = {"timeout": "1s", "interval": interval, "unhealthyThreshold": 1, "healthyThreshold": 1, "httpHealthCheck": {"path": "/health"}}
    tls = {"secretRef": {"name": certificate, "namespace": NAMESPACE}, "sni": "green_gloo-system", "verifySubjectAltName": ["server"]}
    endpoint = {"address": "10.78.0.1", "port": 15443, "upstreamSslConfig": tls}
    return upstream(name, healthChecks=[check], failover={"prioritizedLocalities": [{"localityEndpoints": [{"lbEndpoints": [endpoint]}]}]})


def service(name: str = "blue", *, port: int = 10000) -> Object:
    return obj(SERVICE, f"service-{name}", namespace="default", spec={"ports": [{"name": "color", "port": port}], "ipFamilies": ["IPv4"]})


def endpoint_slice(name: str = "blue", *addresses: str, number: int = 1) -> Object:
    return obj(
        ENDPOINT_SLICE,
        f"service-{name}-{number}",
        namespace="default",
        metadata={"labels": {"kubernetes.io/service-name": f"service-{name}"}},
        addressType="IPv4",
        ports=[{"name": "color", "port": 10000}],
        endpoints=[{"addresses": [address], "conditions": {"ready": True}} for address in addresses or ("10.77.0.10",)],
    )


def secret(name: str = "client", pair: Pair = FIRST, *, key: str | None = None, ca: str | None = AUTHORITY.pem) -> Object:
    documents = {"tls.crt": pair.certificate, "tls.key": key or pair.key} | ({"ca.crt": ca} if ca else {})
    data = {each: base64.b64encode(text.encode()).decode() for each, text in documents.items()}
    return obj(SECRET, name, type="kubernetes.io/tls", data=data)


def gateway(name: str = "http", *, port: int = 8080, created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Object:
    return obj(GATEWAY, name, created=created, spec={"bindAddress": "::", "bindPort": port, "httpGateway": {}, **spec})


def tcp_gateway(name: str = "failover", *, port: int = 15443, **host: Any) -> Object:
    ssl = {
        "secretRef": {"name": "server", "namespace": NAMESPACE},
        "verifySubjectAltName": ["gateway-proxy.local"],
        "sniDomains": ["blue_gloo-system"],
    }
    hosts = [{"name": "failover", "sslConfig": ssl, "destination": {"forwardSniClusterName": {}}, **host}]
    return obj(GATEWAY, name, spec={"bindAddress": "::", "bindPort": port, "tcpGateway": {"tcpHosts": hosts}})


def to(upstream: str) -> Object:
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": {"upstream": {"name": upstream, "namespace": NAMESPACE}}}}


def delegating(table: str) -> Object:
    return {"matchers": [{"prefix": "/"}], "delegateAction": {"ref": {"name": table, "namespace": NAMESPACE}}}


def virtual_service(name: str = "first", *routes: Object, domain: str = "*", created: str = "2026-01-01T00:00:00Z") -> Object:
    return obj(VIRTUAL_SERVICE, name, created=created, spec={"virtualHost": {"domains": [domain], "routes": list(routes or (to("blue"),))}})


def route_table(name: str = "table", *routes: Object) -> Object:
    return obj(ROUTE_TABLE, name, spec={"routes": list(routes or (to("blue"),))})


def place(value: Object) -> Place:
    kinds = (UPSTREAM, SERVICE, ENDPOINT_SLICE, SECRET, GATEWAY, VIRTUAL_SERVICE, ROUTE_TABLE)
    return next(kind for kind in kinds if kind.kind == value["kind"]), value["metadata"]["namespace"], value["metadata"]["name"]


VERSIONS: tuple[Object, ...] = (
    upstream("blue"),
    checked("blue"),
    checked("blue", interval="2s", certificate="server"),
    upstream("blue", sslConfig={"secretRef": {"name": "client", "namespace": NAMESPACE}}),
    upstream("blue", unknownField=1),
    upstream("green"),
    checked("green"),
    upstream("third", kube=None, static={"hosts": [{"addr": "10.1.1.1", "port": 80}]}),
    service("blue"),
    service("blue", port=10001),
    service("green"),
    endpoint_slice("blue", "10.77.0.10"),
    endpoint_slice("blue", "10.77.0.11", "10.77.0.12"),
    endpoint_slice("blue", "10.77.0.13", number=2),
    endpoint_slice("green", "10.77.0.20"),
    secret("client"),
    secret("client", SECOND),
    secret("client", FIRST, ca=None),
    secret("client", FIRST, ca=AUTHORITY.pem + NEXT_AUTHORITY.pem),
    secret("client", FIRST, key=SECOND.key),
    secret("server", SECOND),
    gateway("http"),
    gateway("http", proxyNames=["gateway-proxy", "other"]),
    gateway("http", port=8081),
    gateway("rival", created="2026-01-02T00:00:00Z"),
    gateway("rival", port=15443),
    tcp_gateway("failover"),
    tcp_gateway("failover", destination={"single": {"upstream": {"name": "blue", "namespace": NAMESPACE}}}),
    tcp_gateway("failover", port=8080),
    virtual_service("first"),
    virtual_service("first", to("green"), domain="a.example.com"),
    virtual_service("first", delegating("table")),
    virtual_service("second", to("third"), domain="a.example.com", created="2026-01-02T00:00:00Z"),
    virtual_service("second", delegating("table"), delegating("missing"), created="2026-01-02T00:00:00Z"),
    route_table("table"),
    route_table("table", to("green"), to("missing")),
    route_table("missing", delegating("table")),
)
"""Every object in the versions that it may have. Those of one place follow each other; a Secret among them is one that no proxy would take."""
