"""Runs a real Envoy from a translation, without a control plane: what would come by ADS is read from files instead.

Only where resources come from is changed; every resource is as the translation made it.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.core.v3.config_source_pb2 import ConfigSource
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpConnectionManager
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext, UpstreamTlsContext
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from google.protobuf.json_format import MessageToJson, ParseDict
from google.protobuf.message import Message
from support_envoy import find_envoy

from controlplane.translation.types import Translation
from gloo_api.names import REGEX_MAX_PROGRAM_SIZE

_PLACE = os.getpid() % 10000
NETWORK = f"{200 + _PLACE // 200 % 50}.{_PLACE % 200}"
"""Second and third octet of this process's addresses, so that two test runs do not meet; outside of those of embedded clusters."""


def pod(number: int) -> str:
    """An address as the API would have it; a socket opens the realised one."""
    return f"10.{NETWORK}.{number}"


def on_loopback(address: str) -> str:
    return address.replace("10.", "127.", 1)


class _Files:
    """Resources as files that Envoy reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def source(self, resource: Message) -> ConfigSource:
        response = DiscoveryResponse(version_info="1")
        response.resources.add().Pack(resource)
        text = MessageToJson(response)
        path = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        path.write_text(text)
        path.chmod(0o600)
        return ParseDict({"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}, ConfigSource())


def write_bootstrap(translation: Translation, folder: Path, *, admin: tuple[str, int]) -> Path:
    """A bootstrap with everything of `translation`; its path."""
    files = _Files(folder)
    bootstrap = Bootstrap()
    bootstrap.node.id, bootstrap.node.cluster = "test", "gateway"
    bootstrap.layered_runtime.layers.add(name="static").static_layer["re2.max_program_size.error_level"] = REGEX_MAX_PROGRAM_SIZE
    bootstrap.admin.address.socket_address.address, bootstrap.admin.address.socket_address.port_value = admin
    for name, message in translation.clusters.items():
        cluster = Cluster()
        cluster.CopyFrom(message)
        if cluster.type == Cluster.EDS:
            cluster.eds_cluster_config.eds_config.CopyFrom(files.source(translation.endpoints[name]))
        for match in cluster.transport_socket_matches:
            _secrets_from_files(match.transport_socket, UpstreamTlsContext(), translation.secrets, files)
        _secrets_from_files(cluster.transport_socket, UpstreamTlsContext(), translation.secrets, files)
        bootstrap.static_resources.clusters.append(cluster)
    for message in translation.listeners.values():
        listener = Listener()
        listener.CopyFrom(message)
        for chain in listener.filter_chains:
            _secrets_from_files(chain.transport_socket, DownstreamTlsContext(), translation.secrets, files)
            for item in chain.filters:
                manager = HttpConnectionManager()
                if item.typed_config.Unpack(manager):
                    manager.rds.config_source.CopyFrom(files.source(translation.routes[manager.rds.route_config_name]))
                    item.typed_config.Pack(manager)
        bootstrap.static_resources.listeners.append(listener)
    path = folder / "bootstrap.json"
    path.write_text(MessageToJson(bootstrap))
    path.chmod(0o600)
    return path


def _secrets_from_files(socket: TransportSocket, context: Any, secrets: Mapping[str, Message], files: _Files) -> None:
    if not socket.typed_config.Unpack(context):
        return
    common: CommonTlsContext = context.common_tls_context
    configs = list(common.tls_certificate_sds_secret_configs)
    if common.HasField("combined_validation_context"):
        configs.append(common.combined_validation_context.validation_context_sds_secret_config)
    if common.HasField("validation_context_sds_secret_config"):
        configs.append(common.validation_context_sds_secret_config)
    for config in configs:
        config.sds_config.CopyFrom(files.source(secrets[config.name]))
    socket.typed_config.Pack(context)


def validate(bootstrap: Path) -> subprocess.CompletedProcess[str]:
    """What Envoy itself says about a bootstrap, without running it."""
    command = [find_envoy(), "--mode", "validate", "-c", str(bootstrap), "--log-level", "warning"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@dataclass(frozen=True)
class Envoy:
    """A running Envoy, by its admin address."""

    admin: tuple[str, int]
    log: Path
    pid: int

    def ask(self, method: str, path: str) -> str:
        return request(self.admin, method, path)[1]

    def stat(self, name: str) -> int:
        text = self.ask("GET", f"/stats?filter=^{name.replace('.', '[.]')}$")
        return int(text.rpartition(": ")[2] or 0)

    def health(self, cluster: str) -> dict[int, bool]:
        """Whether the hosts of each priority are healthy; a priority without hosts is left out."""
        statuses = json.loads(self.ask("GET", "/clusters?format=json"))["cluster_statuses"]
        found: dict[int, bool] = {}
        for status in statuses:
            for host in status.get("host_statuses", ()) if status["name"] == cluster else ():
                priority = host.get("priority", 0)
                healthy = not any(host["health_status"].get(flag) for flag in ("failed_active_health_check", "pending_active_hc"))
                found[priority] = found.get(priority, True) and healthy
        return found


@contextmanager
def running(bootstrap: Path, *, admin: tuple[str, int]) -> Iterator[Envoy]:
    """Run Envoy until the block ends; ready when it says so."""
    log = bootstrap.with_suffix(".log")
    command = [find_envoy(), "-c", str(bootstrap), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--log-path", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    envoy = Envoy(admin=admin, log=log, pid=process.pid)
    try:
        eventually(lambda: envoy.ask("GET", "/ready").startswith("LIVE"), why=f"Envoy is ready; see {log}", seconds=20, alive=process)
        yield envoy
    finally:
        process.kill()
        process.wait(timeout=10)


def request(address: tuple[str, int], method: str = "GET", path: str = "/") -> tuple[int, str]:
    """Status and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def eventually(check: Callable[[], bool], *, why: str, seconds: float, alive: subprocess.Popen[bytes] | None = None) -> float:
    """Wait until `check` is true; the seconds that took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        assert alive is None or alive.poll() is None, f"Envoy ended with {alive.poll() if alive else None} before: {why}"
        try:
            if check():
                return time.monotonic() - started
        except OSError:
            pass
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {why}")


def write_backend(folder: Path, *, text: str, address: str, matched: bool) -> Path:
    """The guide's app: an Envoy with the health_check filter that answers `text`. `matched`: only /health is a check, else every request is."""
    package = "type.googleapis.com/envoy.extensions.filters"
    check: dict[str, Any] = {"@type": f"{package}.http.health_check.v3.HealthCheck", "pass_through_mode": True}
    if matched:
        check["headers"] = [{"name": ":path", "string_match": {"exact": "/health"}}]
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": text}}}
    manager = {
        "@type": f"{package}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "app",
        "route_config": {"virtual_hosts": [{"name": "app", "domains": ["*"], "routes": [answer]}]},
        "http_filters": [
            {"name": "envoy.filters.http.health_check", "typed_config": check},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{package}.http.router.v3.Router"}},
        ],
    }
    listener = {
        "name": "app",
        "address": {"socket_address": {"address": address, "port_value": 10000}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    config = {
        "admin": {"address": {"socket_address": {"address": address, "port_value": 19000}}},
        "static_resources": {"listeners": [listener]},
    }
    folder.mkdir(parents=True)
    path = folder / "backend.json"
    path.write_text(json.dumps(config))
    return path
