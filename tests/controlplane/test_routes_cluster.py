"""RouteTables and HTTPS through a real API server, gloo and a real Envoy: what is written serves, and what is wrong is in a status."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from support_certs import Authority
from support_clusters import apply, color, embedded_cluster, fetch, gateway_proxy, gloo, install_definitions, realise, started, tls_secret, until
from support_envoy import free_port

from controlplane.gloo.kinds import GATEWAY, ROUTE_TABLE, VIRTUAL_SERVICE
from controlplane.kube.client import KubeClient
from controlplane.kube.objects import POD, Kind

pytestmark = pytest.mark.cluster

NAMESPACE = "gloo-system"
BLUE = {"single": {"upstream": {"name": "default-service-blue-10000"}}}


async def asked(url: str, ca: Authority | None = None) -> str:
    """The text of a 200, else the status, else what went wrong."""
    verify: Any = True
    if ca is not None:
        verify = ssl.create_default_context(cadata=ca.pem)
        verify.check_hostname = False
    try:
        async with httpx.AsyncClient(timeout=3, verify=verify) as http:
            extensions = {"sni_hostname": "shop.example.com"} if ca is not None else {}
            got = await http.get(url, headers={"host": "shop.example.com"}, extensions=extensions)
            return got.text.strip() if got.status_code == 200 else str(got.status_code)
    except httpx.HTTPError as error:
        return type(error).__name__


async def answers(url: str, expected: str, why: str, ca: Authority | None = None) -> None:
    async def check() -> bool:
        return await asked(url, ca) == expected

    try:
        await until(check, why)
    except AssertionError as error:
        raise AssertionError(f"{error}; the last answer was {await asked(url, ca)!r}") from None


async def says(client: KubeClient, kind: Kind, name: str, state: str, text: str = "") -> None:
    async def check() -> bool:
        found = await fetch(client, kind, NAMESPACE, name) or {}
        status = ((found.get("status") or {}).get("statuses") or {}).get(NAMESPACE) or {}
        return status.get("state") == state and text in status.get("reason", "")

    await until(check, f"{kind.plural}/{name} is {state}: {text}")


async def test_route_tables_and_https_are_served_and_reported(tmp_path: Path):
    ca, xds_ca, port = Authority(), Authority(), free_port()
    with embedded_cluster(tmp_path, "local", "us-east-1") as cluster:
        client = cluster.client()
        await install_definitions(client, NAMESPACE)
        async with started(gloo(cluster, xds=f"127.0.0.1:{port}", ca=xds_ca, directory=tmp_path)):
            await color(client, "blue")
            await gateway_proxy(client, xds_port=port, ca=xds_ca)
            await tls_secret(client, "shop", ca=ca, identity="shop.example.com")
            await apply(client, GATEWAY, NAMESPACE, "http", {"bindAddress": "::", "bindPort": 8080, "httpGateway": {}})
            await apply(client, GATEWAY, NAMESPACE, "https", {"bindAddress": "::", "bindPort": 8443, "ssl": True, "httpGateway": {}})
            delegate = {"matchers": [{"prefix": "/shop"}], "delegateAction": {"ref": {"name": "shop"}}}
            rest = {"directResponseAction": {"status": 200, "body": "rest"}}
            await apply(client, VIRTUAL_SERVICE, NAMESPACE, "http", {"virtualHost": {"routes": [delegate, rest]}})

            async def proxy_address() -> str | None:
                pods = await client.list(POD, namespace=NAMESPACE)
                return next((pod["status"]["podIP"] for pod in pods.items if (pod.get("status") or {}).get("podIP")), None)

            host = realise(await until(proxy_address, "the proxy runs"))
            await answers(f"http://{host}:8080/", "rest", "the VirtualService is served")
            await answers(f"http://{host}:8080/shop/a", "503", "requests for a RouteTable that is not there do not fall through")
            await says(client, VIRTUAL_SERVICE, "http", "Warning", "delegateAction.ref: RouteTable gloo-system/shop does not exist")

            routes = [{"matchers": [{"prefix": "/shop/a"}], "routeAction": BLUE}, {"matchers": [{"prefix": "/other"}], **rest}]
            await apply(client, ROUTE_TABLE, NAMESPACE, "shop", {"routes": routes})
            await answers(f"http://{host}:8080/shop/a", "blue-pod", "the RouteTable is served as soon as it is there")
            await says(client, ROUTE_TABLE, "shop", "Warning", 'spec.routes[1].matchers[0]: the path "/other" does not begin with the prefix')
            await apply(client, ROUTE_TABLE, NAMESPACE, "shop", {"routes": routes[:1]})
            await says(client, ROUTE_TABLE, "shop", "Accepted")
            await says(client, VIRTUAL_SERVICE, "http", "Accepted")

            secured = {"secretRef": {"name": "shop"}, "sniDomains": ["shop.example.com"], "oneWayTls": True}
            await apply(client, VIRTUAL_SERVICE, NAMESPACE, "https", {"virtualHost": {"routes": [delegate]}, "sslConfig": secured})
            await answers(f"https://{host}:8443/shop/a", "blue-pod", "one RouteTable serves HTTP and HTTPS", ca)
            await says(client, GATEWAY, "https", "Accepted")

            await apply(client, ROUTE_TABLE, NAMESPACE, "shop", {"routes": [{"matchers": [{"regex": "/shop/(?=a)"}], "routeAction": BLUE}]})
            await says(client, ROUTE_TABLE, "shop", "Rejected", "spec.routes[0].matchers[0].regex")
            await answers(f"http://{host}:8080/shop/a", "blue-pod", "what served before goes on: one bad object blocks nothing")
