"""A real Envoy for tests, configured over ADS with mutual TLS, and the smallest HTTP backend."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from support_certs import Authority, Pair

ROLE = "gloo-system~gateway-proxy"
SERVER_NAME = "gloo.gloo-system.svc"
CLIENT_NAME = "gateway-proxy.gloo-system"


def find_envoy() -> str:
    if path := os.environ.get("SERVICE_FAILOVER_ENVOY"):
        return path
    try:
        import toolchain

        return str(toolchain.find("envoy"))
    except Exception as error:
        pytest.fail(f"this test needs Envoy: {error}; run `python3 -m toolchain install envoy` or set SERVICE_FAILOVER_ENVOY")


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@dataclass
class Envoy:
    """A running Envoy."""

    admin: int
    process: asyncio.subprocess.Process
    log: Path

    async def stats(self) -> dict[str, int]:
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"http://127.0.0.1:{self.admin}/stats?usedonly")).text
        pairs = (line.rsplit(": ", 1) for line in text.splitlines() if ": " in line)
        return {name: int(value) for name, value in pairs if value.isdecimal()}

    async def wait(self, check: Any, why: str, *, seconds: float = 10.0) -> dict[str, int]:
        """Wait until `check(stats)` is true."""
        deadline = asyncio.get_running_loop().time() + seconds
        stats: dict[str, int] = {}
        while asyncio.get_running_loop().time() < deadline:
            with suppress(httpx.HTTPError):
                stats = await self.stats()
                if check(stats):
                    return stats
            await asyncio.sleep(0.02)
        tail = self.log.read_text()[-3000:]
        raise AssertionError(f"did not happen within {seconds} s: {why}\n{tail}")


def bootstrap(*, xds_port: int, admin: int, node: str, ca: str, pair: Pair, bind_address: str, delta: bool) -> dict[str, Any]:
    metadata = {"role": ROLE} | ({"bind_address": bind_address} if bind_address else {})
    return {
        "node": {"id": node, "cluster": "gateway", "metadata": metadata},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC" if delta else "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [
                    {"envoy_grpc": {"cluster_name": "xds", "retry_policy": {"retry_back_off": {"base_interval": "0.2s", "max_interval": "1s"}}}}
                ],
            },
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                            "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": {"interval": "5s", "timeout": "2s"}}},
                        }
                    },
                    "load_assignment": {
                        "cluster_name": "xds",
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": xds_port}}}}]}
                        ],
                    },
                    "transport_socket": {
                        "name": "envoy.transport_sockets.tls",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                            "sni": SERVER_NAME,
                            "common_tls_context": {
                                "tls_certificates": [
                                    {"certificate_chain": {"inline_string": pair.certificate}, "private_key": {"inline_string": pair.key}}
                                ],
                                "validation_context": {
                                    "trusted_ca": {"inline_string": ca},
                                    "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": SERVER_NAME}}],
                                },
                            },
                        },
                    },
                }
            ]
        },
    }


@asynccontextmanager
async def running_envoy(
    tmp_path: Path, *, xds_port: int, ca: Authority, node: str = "test", bind_address: str = "", delta: bool = True
) -> AsyncIterator[Envoy]:
    """`delta`: it asks for the incremental protocol, as the gateway proxy does; else for state of the world."""
    admin = free_port()
    config = bootstrap(xds_port=xds_port, admin=admin, node=node, ca=ca.pem, pair=ca.issue(CLIENT_NAME), bind_address=bind_address, delta=delta)
    path, log = tmp_path / f"{node}.json", tmp_path / f"{node}.log"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    process = await asyncio.create_subprocess_exec(
        *(find_envoy(), "-c", str(path), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--log-path", str(log)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Envoy(admin=admin, process=process, log=log)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def backend(text: str) -> AsyncIterator[int]:
    """An HTTP server on loopback that answers everything with `text`; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
