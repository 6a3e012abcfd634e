"""Asks Envoy itself about many translations in one run of `--mode validate`, and finds the ones it refuses by halving.

Clusters and listeners are as the translation made them but for their names and ports, which must differ within one bootstrap. What would arrive by
EDS, RDS and SDS is put where Envoy validates it too: in static clusters, static routes and static secrets.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpConnectionManager
from google.protobuf.json_format import MessageToJson, ParseDict
from support_envoy import find_envoy

from controlplane.translation import wire
from controlplane.translation.types import Translation

_FIRST_PORT = 10_000
_BASE = {
    "node": {"id": "test", "cluster": "test"},
    "dynamic_resources": {
        "ads_config": {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [{"envoy_grpc": {"cluster_name": "ads"}}]}
    },
    "static_resources": {
        "clusters": [
            {
                "name": "ads",
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                        "explicit_http_config": {"http2_protocol_options": {}},
                    }
                },
            }
        ]
    },
}


def refused(translations: Sequence[Translation], folder: Path) -> list[tuple[int, str]]:
    """The translations that Envoy refuses, by index, with its words."""
    numbered = list(enumerate(translations))
    return _refused(numbered, folder)


def _refused(numbered: list[tuple[int, Translation]], folder: Path) -> list[tuple[int, str]]:
    said = complaint([translation for _, translation in numbered], folder)
    if said is None:
        return []
    if len(numbered) == 1:
        return [(numbered[0][0], said)]
    middle = len(numbered) // 2
    return _refused(numbered[:middle], folder) + _refused(numbered[middle:], folder)


def complaint(translations: Sequence[Translation], folder: Path) -> str | None:
    """What Envoy says against these translations; None when it takes them all."""
    path = folder / "batch.json"
    path.touch(mode=0o600)
    path.write_text(MessageToJson(_bootstrap(translations)))
    command = [find_envoy(), "--mode", "validate", "-c", str(path), "--log-level", "error"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return None if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr.strip()[-1500:]}"


def _bootstrap(translations: Sequence[Translation]) -> Bootstrap:
    bootstrap = ParseDict(_BASE, Bootstrap())
    static = bootstrap.static_resources
    for number, translation in enumerate(translations):
        for message in translation.clusters.values():
            cluster = static.clusters.add()
            cluster.CopyFrom(message)
            cluster.name = f"{number} {cluster.name}"
            if cluster.HasField("load_assignment"):
                cluster.load_assignment.cluster_name = cluster.name
            if cluster.type in (Cluster.STATIC, Cluster.STRICT_DNS):
                # In a bootstrap such a cluster can be complete before there is a stream for its secrets, which ends Envoy; from CDS it comes after.
                static.clusters.add(name=f"{cluster.name} endpoints", type=cluster.type).load_assignment.CopyFrom(cluster.load_assignment)
                cluster.ClearField("load_assignment")
                cluster.type = Cluster.EDS
                cluster.eds_cluster_config.eds_config.CopyFrom(wire.ads())
        for name, message in translation.endpoints.items():
            static.clusters.add(name=f"{number} endpoints {name}", type=Cluster.STATIC).load_assignment.CopyFrom(message)
        for message in translation.listeners.values():
            listener = static.listeners.add()
            listener.CopyFrom(message)
            _place(listener, number=number, count=len(static.listeners))
        for message in translation.routes.values():
            manager = HttpConnectionManager(stat_prefix="routes", route_config=message)
            manager.route_config.validate_clusters.value = False
            manager.http_filters.add(name="router").typed_config.Pack(Router())
            listener = static.listeners.add(name=f"routes {message.name}")
            listener.filter_chains.add().filters.add(name="manager").typed_config.Pack(manager)
            listener.address.socket_address.address = "127.0.0.1"
            _place(listener, number=number, count=len(static.listeners))
        for message in translation.secrets.values():
            static.secrets.add().CopyFrom(message)
            static.secrets[-1].name = f"{number} {message.name}"
    return bootstrap


def _place(listener: Listener, *, number: int, count: int) -> None:
    listener.name = f"{number} {listener.name}"
    listener.address.socket_address.port_value = _FIRST_PORT + count
