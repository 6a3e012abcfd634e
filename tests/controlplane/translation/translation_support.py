"""The guide's objects as the API server gives them, and a shorthand to translate them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.message import Message
from support_certs import Authority, Pair

from controlplane.translation import translate
from controlplane.translation.types import EndpointSlice, GlooInputs, Key, ObjectRef, ProxyRef, Report, Service, TlsSecret, Translation
from gloo_api.gateway import Gateway
from gloo_api.route_table import RouteTable
from gloo_api.upstream import Upstream
from gloo_api.virtual_service import VirtualService

NAMESPACE = "gloo-system"
BLUE, GREEN = "default-service-blue-10000", "default-service-green-10000"
BLUE_CLUSTER, GREEN_CLUSTER = f"{BLUE}_{NAMESPACE}", f"{GREEN}_{NAMESPACE}"
CLIENT, SERVER = "gateway-proxy.local", "failover-gateway.remote"
AUTHORITY = Authority()
HEALTH_CHECK = {"timeout": "1s", "interval": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1, "httpHealthCheck": {"path": "/health"}}
SSL_CONFIG = {
    "secretRef": {"name": "failover-upstream", "namespace": NAMESPACE},
    "sni": GREEN_CLUSTER,
    "verifySubjectAltName": [SERVER],
}


def metadata(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE, **more}


def kube(color: str) -> dict[str, Any]:
    return {"serviceName": f"service-{color}", "serviceNamespace": "default", "servicePort": 10000}


def failover(*endpoints: dict[str, Any]) -> dict[str, Any]:
    """`spec.failover` with a priority for each endpoint."""
    return {"prioritizedLocalities": [{"localityEndpoints": [{"lbEndpoints": [endpoint]}]} for endpoint in endpoints]}


def lb_endpoint(address: str = "10.78.192.1", port: int = 15443, **more: Any) -> dict[str, Any]:
    return {"address": address, "port": port, "upstreamSslConfig": SSL_CONFIG, **more}


def upstream(name: str = BLUE, spec: Mapping[str, Any] | None = None, **more: Any) -> Upstream:
    return Upstream.parse({"metadata": metadata(name), "spec": spec or {"kube": kube("blue"), **more}})


def blue(**more: Any) -> Upstream:
    """The health-checked Upstream that fails over to the other cluster."""
    return upstream(**{"healthChecks": [HEALTH_CHECK], "failover": failover(lb_endpoint()), **more})


def http_gateway(name: str = "gateway-proxy", *, meta: Mapping[str, Any] | None = None, **more: Any) -> Gateway:
    spec = {"bindAddress": "::", "bindPort": 8080, "httpGateway": {}, **more}
    return Gateway.parse({"metadata": metadata(name, **(meta or {})), "spec": spec})


def tcp_host(name: str = "failover", *, sni_domains: tuple[str, ...] = (GREEN_CLUSTER,), **ssl: Any) -> dict[str, Any]:
    config = {
        "secretRef": {"name": "failover-downstream", "namespace": NAMESPACE},
        "verifySubjectAltName": [CLIENT],
        "sniDomains": list(sni_domains),
        **ssl,
    }
    return {"name": name, "sslConfig": config, "destination": {"forwardSniClusterName": {}}}


def failover_gateway(*hosts: dict[str, Any], **more: Any) -> Gateway:
    spec = {"bindAddress": "::", "bindPort": 15443, "tcpGateway": {"tcpHosts": list(hosts or (tcp_host(),))}, **more}
    return Gateway.parse({"metadata": metadata("failover-gateway"), "spec": spec})


def route(to: str = BLUE, **more: Any) -> dict[str, Any]:
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": {"upstream": {"name": to, "namespace": NAMESPACE}}}, **more}


def virtual_service(*routes: dict[str, Any], name: str = "default", meta: Mapping[str, Any] | None = None, **host: Any) -> VirtualService:
    spec = {"virtualHost": {"domains": ["*"], "routes": list(routes or (route(),)), **host}}
    return VirtualService.parse({"metadata": metadata(name, **(meta or {})), "spec": spec})


def route_table(name: str, *routes: dict[str, Any], meta: Mapping[str, Any] | None = None, **spec: Any) -> RouteTable:
    return RouteTable.parse({"metadata": metadata(name, **(meta or {})), "spec": {"routes": list(routes), **spec}})


def delegating(*, prefix: str = "/a", **action: Any) -> dict[str, Any]:
    """A route that delegates; to the RouteTable `a` unless `action` says otherwise."""
    return {"matchers": [{"prefix": prefix}], "delegateAction": action or {"ref": {"name": "a", "namespace": NAMESPACE}}}


def service(color: str = "blue") -> Service:
    spec = {"ports": [{"name": "color", "port": 10000, "targetPort": 10000}], "selector": {"app": "bluegreen", "text": color}, "ipFamilies": ["IPv4"]}
    return Service.from_object({"metadata": {"name": f"service-{color}", "namespace": "default"}, "spec": spec})


def endpoint_slice(*endpoints: dict[str, Any], color: str = "blue", port: int = 10000, **more: Any) -> EndpointSlice:
    return EndpointSlice.from_object(
        {
            "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": f"service-{color}"}},
            "addressType": "IPv4",
            "ports": [{"name": "color", "port": port}],
            "endpoints": list(endpoints or ({"addresses": ["10.77.0.12"], "conditions": {"ready": True}},)),
            **more,
        }
    )


def secret(pair: Pair | None = None, *, ca: str | None = None) -> TlsSecret:
    pair = pair or AUTHORITY.issue(CLIENT)
    return TlsSecret(certificate_chain=pair.certificate.encode(), private_key=pair.key.encode(), ca=(AUTHORITY.pem if ca is None else ca).encode())


_SECRETS = {
    Key(NAMESPACE, "failover-upstream"): secret(),
    Key(NAMESPACE, "failover-downstream"): secret(AUTHORITY.issue(SERVER)),
}


def inputs(*objects: Upstream | Gateway | VirtualService | RouteTable, **more: Any) -> GlooInputs:
    """The objects, with the Services, endpoints and secrets of the guide unless `more` says otherwise."""
    colors = ("blue", "green")
    around: dict[str, Any] = {
        "services": {Key("default", f"service-{color}"): service(color) for color in colors},
        "endpoint_slices": {Key("default", f"service-{color}-1"): endpoint_slice(color=color) for color in colors},
        "secrets": _SECRETS,
        "route_tables": {Key(*item.key): item for item in objects if isinstance(item, RouteTable)},
    }
    return GlooInputs(
        upstreams={Key(*item.key): item for item in objects if isinstance(item, Upstream)},
        gateways={Key(*item.key): item for item in objects if isinstance(item, Gateway)},
        virtual_services={Key(*item.key): item for item in objects if isinstance(item, VirtualService)},
        **{**around, **more},
    )


def realise(address: str) -> str:
    return address.replace("10.", "127.", 1) if address.startswith("10.") else address


def translated(*objects: Upstream | Gateway | VirtualService | RouteTable, bind_address: str | None = "127.77.0.9", **more: Any) -> Translation:
    return translate(inputs(*objects, **more), proxy=ProxyRef(namespace=NAMESPACE, bind_address=bind_address), realise=realise)


def cluster_of(translation: Translation, name: str = BLUE_CLUSTER) -> Cluster:
    cluster = translation.clusters[name]
    assert isinstance(cluster, Cluster)
    return cluster


def report_of(translation: Translation, kind: str, name: str) -> Report:
    return translation.reports[ObjectRef(kind, NAMESPACE, name)]


def unpacked(packed: Any, into: type[Message]) -> Any:
    """The message in a typed_config."""
    message = into()
    assert packed.Unpack(message), f"a typed_config holds {packed.type_url}, not {into.DESCRIPTOR.full_name}"
    return message


ANSWER = {"directResponseAction": {"status": 200}}
"""A route that needs no destination."""


def answer(*matchers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A route for `matchers` that needs no destination."""
    return {"matchers": list(matchers), **ANSWER, **more}


def translation_of(*objects: Any) -> Translation:
    """`objects` beside two Upstreams, one of them plain, and an HTTP Gateway."""
    return translated(blue(), upstream("plain"), http_gateway(), *objects)


def routes_of(*objects: Any) -> list[Route]:
    """The Envoy routes of the one virtual host that `objects` make."""
    (configuration,) = translation_of(*objects).routes.values()
    return list(configuration.virtual_hosts[0].routes)  # type: ignore[attr-defined]


def paths(*objects: Any) -> list[str]:
    """What the routes of `objects` match, in their order."""
    return [each.match.path or each.match.prefix or each.match.safe_regex.regex for each in routes_of(*objects)]


def http_routes(translation: Translation) -> RouteConfiguration:
    """The route configuration of the HTTP Gateway."""
    configuration = translation.routes["listener-::-8080-routes"]
    assert isinstance(configuration, RouteConfiguration)
    return configuration
