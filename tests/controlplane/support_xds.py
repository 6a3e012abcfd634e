"""A server of hand-made configuration for a real Envoy, and what that Envoy answers to HTTP requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2 as httpx
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router  # noqa: F401 - registers the type for ParseDict
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpConnectionManager  # noqa: F401 - as above
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext  # noqa: F401 - as above
from google.protobuf.json_format import ParseDict
from support_certs import Authority, Pair
from support_envoy import CLIENT_NAME, ROLE, SERVER_NAME
from support_stream import packed

from controlplane.xds.cache import ProxyKey, SnapshotCache
from controlplane.xds.server import AdsServer, ServerTls
from controlplane.xds.snapshot import Snapshot

KEY = ProxyKey(role=ROLE)
ADS = {"ads": {}, "resource_api_version": "V3"}
CA = Authority()
SERVER = CA.issue(SERVER_NAME)
TLS = ServerTls(certificate=SERVER.certificate, key=SERVER.key, client_ca=CA.pem, client_names=frozenset({CLIENT_NAME}))


def snapshot(
    *,
    port: int,
    endpoints: dict[str, int],
    to: str,
    clusters: dict[str, str] | None = None,
    more: dict[str, dict[str, Any]] | None = None,
    secrets: dict[str, Pair] | None = None,
) -> Snapshot:
    """A listener on `port` with one route to the cluster `to`; clusters have a connect timeout each, and fields of `more`.

    Of `secrets` the one named "server" is the listener's certificate.
    """
    timeouts = dict.fromkeys(endpoints, "1s") | (clusters or {})
    hcm = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "rds": {"route_config_name": "routes", "config_source": ADS},
        "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    }
    listener: dict[str, Any] = {
        "name": "http",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": hcm}]}],
    }
    if secrets:
        certificate = {"name": "server", "sds_config": ADS}
        context = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {"tls_certificate_sds_secret_configs": [certificate]},
        }
        listener["filter_chains"][0]["transport_socket"] = {"name": "tls", "typed_config": context}
    virtual_hosts = [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": to}}]}]
    return packed(
        clusters={
            name: ParseDict(
                {"name": name, "type": "EDS", "connect_timeout": timeout, "eds_cluster_config": {"eds_config": ADS}} | (more or {}).get(name, {}),
                Cluster(),
            )
            for name, timeout in timeouts.items()
        },
        endpoints={
            name: ParseDict(
                {
                    "cluster_name": name,
                    "endpoints": [
                        {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": endpoint}}}}]}
                    ],
                },
                ClusterLoadAssignment(),
            )
            for name, endpoint in endpoints.items()
        },
        secrets={
            name: ParseDict(
                {
                    "name": name,
                    "tls_certificate": {"certificate_chain": {"inline_string": pair.certificate}, "private_key": {"inline_string": pair.key}},
                },
                Secret(),
            )
            for name, pair in (secrets or {}).items()
        },
        listeners={"http": ParseDict(listener, Listener())},
        routes={"routes": ParseDict({"name": "routes", "virtual_hosts": virtual_hosts}, RouteConfiguration())},
    )


@asynccontextmanager
async def serving(cache: SnapshotCache, port: int = 0) -> AsyncIterator[AdsServer]:
    server = AdsServer(cache=cache, address=f"127.0.0.1:{port}", tls=TLS)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def get(port: int) -> str:
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/")
        return answer.text if answer.status_code == 200 else f"{answer.status_code} {answer.text}"


async def until(port: int, expected: str, why: str, *, seconds: float = 10.0) -> float:
    """Ask until the answer is `expected`; how long that took."""
    start = time.monotonic()
    seen = "nothing"
    while time.monotonic() - start < seconds:
        try:
            seen = await get(port)
        except httpx.HTTPError as error:
            seen = type(error).__name__
        if seen == expected:
            return time.monotonic() - start
        await asyncio.sleep(0.01)
    raise AssertionError(f"within {seconds} s the answer was not {expected!r} but {seen!r}: {why}")
