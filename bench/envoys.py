"""Envoy processes: the gateway proxy with the product's own bootstrap, and any other with a configuration of its own."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

import toolchain
from bench.certificates import Authority
from bench.processes import Running, running, until
from service_failover.addressing import EMBEDDED
from service_failover.envoy import ADMIN_PORT, gateway_proxy_bootstrap
from service_failover.names import xds_client_identity


@dataclass(frozen=True)
class Envoy:
    """A running Envoy; `admin` is where it is asked."""

    process: Running
    admin: str

    async def ask(self, path: str) -> str:
        async with httpx.AsyncClient(timeout=10) as http:
            answer = await http.get(f"http://{self.admin}{path}")
            answer.raise_for_status()
            return answer.text

    async def live(self) -> bool:
        self.process.check()
        try:
            return (await self.ask("/ready")).startswith("LIVE")
        except httpx.HTTPError:
            return False

    async def healthy(self, cluster: str) -> dict[int, bool]:
        """Whether every host of a cluster is healthy, by priority."""
        statuses = json.loads(await self.ask(f"/clusters?format=json&filter=^{re.escape(cluster)}$")).get("cluster_statuses", ())
        found: dict[int, bool] = {}
        for status in statuses:
            for host in status.get("host_statuses", ()) if status["name"] == cluster else ():
                priority, flags = host.get("priority", 0), host["health_status"]
                found[priority] = found.get(priority, True) and not (flags.get("failed_active_health_check") or flags.get("pending_active_hc"))
        return found


@asynccontextmanager
async def envoy(config: Mapping[str, Any], *, directory: Path, name: str, admin: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Envoy]:
    """Run Envoy with `config` until the block ends; it is ready when the block begins."""
    path = directory / f"{name}.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    command = (str(toolchain.find("envoy")), "-c", str(path), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
    async with running(command, log=directory / f"{name}.log", env=env or {}) as process:
        found = Envoy(process=process, admin=admin)
        await until(found.live, f"Envoy {name} is ready; see {process.log}", seconds=60)
        yield found


@asynccontextmanager
async def gateway(
    *, directory: Path, address: str, xds_port: int, authority: Authority, namespace: str = "gloo-system", name: str = "gateway-proxy"
) -> AsyncIterator[Envoy]:
    """The gateway proxy of one namespace, listening on `address`, configured by the xDS server on `xds_port` of 127.0.0.1."""
    pair = authority.issue(xds_client_identity(namespace))
    variables = {"POD_IP": address, "POD_NAME": name, "POD_NAMESPACE": namespace} | {
        "GLOO_SERVICE_HOST": "127.0.0.1",
        "GLOO_SERVICE_PORT_GRPC_XDS": str(xds_port),
    }
    config = _filled(gateway_proxy_bootstrap(EMBEDDED), variables)
    env = {"XDS_TLS_CRT": pair.certificate, "XDS_TLS_KEY": pair.key, "XDS_TLS_CA": authority.pem}
    async with envoy(config, directory=directory, name=name, admin=f"{address}:{ADMIN_PORT}", env=env) as found:
        yield found


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    """`$(NAME)` replaced as Kubernetes does when it starts a container; a value that is a number then is one."""
    if isinstance(value, dict):
        return {key: _filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, variables) for item in value]
    if not isinstance(value, str) or "$(" not in value:
        return value
    text = re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], value)
    return int(text) if text.isdecimal() else text
