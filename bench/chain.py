"""The chain of the guide for the benchmarks of failover: gateway -> blue; when blue fails, gateway -> mTLS, SNI -> the other gateway -> green.

Both sides are configured by gloo, each by one of its own, out of one API server: the far side lives in a namespace of its own. `static_chain.py`
has the same chain written by hand. The apps are Envoys with the guide's health_check filter (without a matcher: everything fails at once).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.certificates import Authority
from bench.envoys import Envoy, envoy, gateway
from bench.lab import Lab
from bench.processes import until
from controlplane.gloo.kinds import GATEWAY, UPSTREAM, VIRTUAL_SERVICE
from gloo_api.names import cluster_name
from service_failover.names import FAILOVER_PORT, HTTP_PORT

NEAR, FAR = "gloo-system", "gloo-far"
BLUE, GREEN = "blue", "green"
BLUE_CLUSTER, GREEN_CLUSTER = cluster_name(BLUE, NEAR), cluster_name(GREEN, FAR)
GREEN_ANSWER = f"{GREEN}-pod"
SERVER_IDENTITY, CLIENT_IDENTITY = "failover-gateway.far", "gateway-proxy.near"
SECRET = "bench-chain"  # noqa: S105 - the name of a Secret
CHECK_INTERVAL, CHECK_TIMEOUT = "0.5s", "0.5s"
ROUTE_TIMEOUT = "3.75s"
"""What a user sets who knows that the app answers fast. The default retries race a request that is silent for a fifteenth of it."""
APP_PORT, ADMIN_PORT = 10000, 19000
_ADDRESSES = {BLUE: "10.127.253.1", GREEN: "10.127.253.2", NEAR: "10.127.253.3", FAR: "10.127.253.4"}


def on_host(name: str) -> str:
    """Address of an app or a proxy, as a socket has it."""
    return _ADDRESSES[name].replace("10.", "127.", 1)


@dataclass
class App:
    """Blue or green; it can fail in three ways, and be healed of each."""

    color: str
    directory: Path
    envoy: Envoy | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        config = _app(text=f"{self.color}-pod", address=on_host(self.color))
        admin = f"{on_host(self.color)}:{ADMIN_PORT}"
        self.envoy = await self._stack.enter_async_context(envoy(config, directory=self.directory, name=self.color, admin=admin))

    async def end(self) -> None:
        await self._stack.aclose()

    async def fail(self) -> None:
        await self._tell("fail")

    async def heal(self) -> None:
        await self._tell("ok")

    async def kill(self) -> None:
        self._running.process.send(signal.SIGKILL)

    async def restart(self) -> None:
        await self.end()
        await self.start()

    async def freeze(self) -> None:
        self._running.process.send(signal.SIGSTOP)

    async def thaw(self) -> None:
        self._running.process.send(signal.SIGCONT)

    async def _tell(self, health: str) -> None:
        """By hand: to set up an HTTP client takes longer than the failover."""
        reader, writer = await asyncio.open_connection(on_host(self.color), ADMIN_PORT)
        writer.write(f"POST /healthcheck/{health} HTTP/1.1\r\nHost: app\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        if b" 200 " not in answer.partition(b"\r\n")[0]:
            raise RuntimeError(f"{self.color} did not take /healthcheck/{health}: {answer[:100]!r}")

    @property
    def _running(self) -> Envoy:
        if self.envoy is None:
            raise RuntimeError(f"the app {self.color} is not started")
        return self.envoy


@asynccontextmanager
async def apps(directory: Path) -> AsyncIterator[App]:
    """Blue and green; the value is blue."""
    blue, green = App(BLUE, directory), App(GREEN, directory)
    try:
        await green.start()
        await blue.start()
        yield blue
    finally:
        await blue.end()
        await green.end()


@dataclass(frozen=True)
class Chain:
    """A chain that runs; `near` is the gateway that clients ask."""

    name: str
    near: Envoy
    url: str

    async def healthy(self) -> None:
        """Wait until both priorities are proven healthy."""

        async def check() -> bool:
            return await self.near.healthy(BLUE_CLUSTER) == {0: True, 1: True}

        await until(check, f"blue and green are healthy for {self.name}", seconds=30)


async def prepare(lab: Lab, authority: Authority) -> None:
    """Write the objects of both sides."""
    await lab.tls_secret(NEAR, SECRET, authority=authority, identity=CLIENT_IDENTITY)
    await lab.tls_secret(FAR, SECRET, authority=authority, identity=SERVER_IDENTITY)
    secret = {"secretRef": {"name": SECRET}}
    ssl = {**secret, "sni": GREEN_CLUSTER, "verifySubjectAltName": [SERVER_IDENTITY]}
    endpoint = {"address": _ADDRESSES[FAR], "port": FAILOVER_PORT, "upstreamSslConfig": ssl}
    check = {
        "unhealthyThreshold": 1,
        "healthyThreshold": 1,
        "interval": CHECK_INTERVAL,
        "timeout": CHECK_TIMEOUT,
        "httpHealthCheck": {"path": "/health"},
    }
    failover = {"prioritizedLocalities": [{"localityEndpoints": [{"lbEndpoints": [endpoint]}]}]}
    host = {
        "name": "failover",
        "sslConfig": {**secret, "sniDomains": [GREEN_CLUSTER], "verifySubjectAltName": [CLIENT_IDENTITY]},
        "destination": {"forwardSniClusterName": {}},
    }
    action = {"single": {"upstream": {"name": BLUE, "namespace": NEAR}}}
    route = {"matchers": [{"prefix": "/"}], "routeAction": action, "options": {"timeout": ROUTE_TIMEOUT}}
    await lab.apply_all(
        [
            (UPSTREAM, _object(NEAR, BLUE, {"static": _hosts(BLUE), "healthChecks": [check], "failover": failover})),
            (UPSTREAM, _object(FAR, GREEN, {"static": _hosts(GREEN)})),
            (GATEWAY, _object(NEAR, "http", {"bindAddress": "::", "bindPort": HTTP_PORT, "httpGateway": {}})),
            (GATEWAY, _object(FAR, "failover", {"bindAddress": "::", "bindPort": FAILOVER_PORT, "tcpGateway": {"tcpHosts": [host]}})),
            (VIRTUAL_SERVICE, _object(NEAR, "chain", {"virtualHost": {"domains": ["*"], "routes": [route]}})),
        ]
    )


@asynccontextmanager
async def ours(lab: Lab, *, near_xds: int, far_xds: int) -> AsyncIterator[Chain]:
    """The two gateway proxies, configured by the gloos whose ports are given."""
    far = gateway(directory=lab.directory, address=on_host(FAR), xds_port=far_xds, authority=lab.authority, namespace=FAR, name="far")
    near = gateway(directory=lab.directory, address=on_host(NEAR), xds_port=near_xds, authority=lab.authority, namespace=NEAR, name="near")
    async with far, near as found:
        chain = Chain(name="ours", near=found, url=f"http://{on_host(NEAR)}:{HTTP_PORT}/")
        await chain.healthy()
        yield chain


def _object(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name}, "spec": spec}


def _hosts(color: str) -> dict[str, Any]:
    return {"hosts": [{"addr": _ADDRESSES[color], "port": APP_PORT}]}


def _app(*, text: str, address: str) -> dict[str, Any]:
    """An Envoy that answers `text`, behind the health_check filter."""
    package = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{package}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "app",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "app",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": text}}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.health_check",
                "typed_config": {"@type": f"{package}.http.health_check.v3.HealthCheck", "pass_through_mode": True},
            },
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{package}.http.router.v3.Router"}},
        ],
    }
    listener = {
        "name": "app",
        "address": {"socket_address": {"address": address, "port_value": APP_PORT}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    admin = {"address": {"socket_address": {"address": address, "port_value": ADMIN_PORT}}}
    return {"admin": admin, "static_resources": {"listeners": [listener]}}
