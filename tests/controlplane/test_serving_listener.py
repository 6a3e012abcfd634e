"""The gateway proxy's status and metrics listeners, as its bootstrap has them, in a real Envoy: gloo can ask through the one, Prometheus through the
other, and nobody else can, for nothing else."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2 as httpx
import pytest
import pytest_asyncio
import yaml
from support_certs import Authority
from support_envoy import find_envoy

from controlplane.gloo.serving.proxies import NoAnswer, ProxyClient, Target
from controlplane.peer_tls import client_context
from service_failover import envoy
from service_failover.addressing import EMBEDDED
from service_failover.names import GLOO_NAMESPACE, metrics_identity, xds_client_identity, xds_server_identity

pytestmark = pytest.mark.envoy

ADDRESS = "127.0.77.3"
"""An address of this machine that nothing else listens on: the ports are the real ones."""
PROXY = Target(name="gateway-proxy", address=f"{ADDRESS}:{envoy.STATUS_PORT}")
AUTHORITY = Authority()
SERVER, CLIENT = xds_server_identity(GLOO_NAMESPACE), xds_client_identity(GLOO_NAMESPACE)
PROMETHEUS = metrics_identity(GLOO_NAMESPACE)


def context(name: str, *, authority: Authority = AUTHORITY) -> ssl.SSLContext:
    """TLS of a client by that name, which trusts the proxy's authority."""
    pair = authority.issue(name)
    return client_context(certificate=pair.certificate, key=pair.key, ca=AUTHORITY.pem)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def proxy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    """Envoy with the gateway proxy's bootstrap. Without its xDS part: there is no gloo here, and its listeners would wait for one."""
    bootstrap = envoy.gateway_proxy_bootstrap(EMBEDDED, metrics=True)
    del bootstrap["dynamic_resources"]
    text = (
        yaml.safe_dump(bootstrap).replace("$(POD_IP)", ADDRESS).replace("$(GLOO_SERVICE_HOST)", ADDRESS).replace("$(POD_NAMESPACE)", GLOO_NAMESPACE)
    )
    pair = AUTHORITY.issue(CLIENT)
    process = await asyncio.create_subprocess_exec(
        *(find_envoy(), "--config-yaml", text.replace("$(GLOO_SERVICE_PORT_GRPC_XDS)", "9977")),
        *("--disable-hot-restart", "--concurrency", "1", "--log-path", str(tmp_path_factory.mktemp("proxy") / "log")),
        env={**os.environ, "XDS_TLS_CRT": pair.certificate, "XDS_TLS_KEY": pair.key, "XDS_TLS_CA": AUTHORITY.pem},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with suppress(OSError):
                _, writer = await asyncio.open_connection(ADDRESS, envoy.STATUS_PORT)
                writer.close()
                break
            await asyncio.sleep(0.05)
        yield
    finally:
        process.kill()
        await process.wait()


async def request(method: str, path: str, *, name: str = SERVER, port: int = envoy.STATUS_PORT) -> int:
    """The status that a certificate gets, by default gloo's; raises httpx.TransportError or OSError where it gets no connection."""
    transport = httpx.AsyncHTTPTransport(verify=context(name))
    async with httpx.AsyncClient(transport=transport) as http:
        response = await http.request(method, f"https://{ADDRESS}:{port}{path}", extensions={"sni_hostname": CLIENT})
        return response.status_code


async def test_gloo_asks_for_a_cluster_and_gets_its_endpoints() -> None:
    client = ProxyClient(tls=context(SERVER), server_name=CLIENT)
    try:
        answer = await client.ask(PROXY, ["xds_cluster"])
    finally:
        await client.close()
    assert answer.hosts.keys() == {"xds_cluster"}, "what was asked for"
    assert [host.key.address for host in answer.hosts["xds_cluster"]] == [f"{ADDRESS}:9977"], "with its endpoint"


async def test_only_three_paths_can_be_read() -> None:
    for path in envoy.STATUS_PATHS:
        assert await request("GET", f"{path}?filter=nothing") == 200, "what gloo needs, and what Prometheus may be given through it"
    for path in ("/", "/server_info", "/config_dump", "/certs", "/clusters/", "/statsx", "/quitquitquit", "/healthcheck/fail", "/../quitquitquit"):
        assert await request("GET", path) == 404, f"{path} is nobody's business"


async def test_nothing_can_be_changed() -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert await request(method, "/clusters") == 404, f"{method} has no route"


@pytest.mark.parametrize(
    ("tls", "server_name"),
    [
        (context("somebody-else.gloo-system.svc"), CLIENT),
        (context(CLIENT), CLIENT),
        (context(SERVER, authority=Authority("another CA")), CLIENT),
        (context(SERVER), "some-other-proxy.gloo-system"),
    ],
    ids=["another name", "another proxy", "another authority", "the proxy is somebody else"],
)
async def test_with_the_wrong_certificate_on_either_side_nothing_is_read(tls: ssl.SSLContext, server_name: str) -> None:
    client = ProxyClient(tls=tls, server_name=server_name)
    try:
        with pytest.raises(NoAnswer):
            await client.ask(PROXY, ["xds_cluster"])
    finally:
        await client.close()


async def test_without_tls_nothing_is_read() -> None:
    client = ProxyClient(tls=None, server_name="")
    try:
        with pytest.raises(NoAnswer):
            await client.ask(PROXY, ["xds_cluster"])
    finally:
        await client.close()


async def test_prometheus_reads_metrics_and_nothing_else() -> None:
    assert await request("GET", "/stats/prometheus", name=PROMETHEUS, port=envoy.METRICS_PORT) == 200
    for path in ("/clusters", "/stats", "/ready", "/server_info", "/config_dump", "/quitquitquit", "/stats/prometheus/", "/stats/../clusters"):
        assert await request("GET", path, name=PROMETHEUS, port=envoy.METRICS_PORT) == 404, f"{path} is not its business"
    for method in ("POST", "PUT", "DELETE"):
        assert await request(method, "/stats/prometheus", name=PROMETHEUS, port=envoy.METRICS_PORT) == 404, f"{method} has no route"


@pytest.mark.parametrize(
    ("name", "port"),
    [(PROMETHEUS, envoy.STATUS_PORT), (SERVER, envoy.METRICS_PORT), (CLIENT, envoy.METRICS_PORT), (CLIENT, envoy.STATUS_PORT)],
    ids=["prometheus at gloo's port", "gloo at prometheus's port", "a proxy at prometheus's port", "a proxy at gloo's port"],
)
async def test_each_listener_takes_one_certificate_only(name: str, port: int) -> None:
    with pytest.raises((httpx.TransportError, OSError)):
        await request("GET", "/stats/prometheus", name=name, port=port)


async def test_there_is_no_metrics_listener_unless_it_is_asked_for() -> None:
    listeners = envoy.gateway_proxy_bootstrap(EMBEDDED)["static_resources"]["listeners"]
    assert [each["name"] for each in listeners] == ["readiness", "status"]
