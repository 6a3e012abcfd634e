"""TLS of single endpoints: settings that endpoints of a cluster name, each kept once.

An endpoint without settings of its own uses the transport socket of its cluster.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from envoy.config.cluster.v3 import cluster_pb2

from controlplane.translation import tls
from controlplane.translation.endpoints import TLS_MATCH
from controlplane.translation.reporter import Reporter
from controlplane.translation.secrets import SecretBook
from gloo_api.ssl import UpstreamSslConfig


@dataclass
class Sockets:
    """The TLS settings of one cluster. `alpn` is what its Upstream speaks, `namespace` where its Upstream is."""

    namespace: str
    alpn: str
    secrets: SecretBook
    report: Reporter
    matches: dict[str, cluster_pb2.Cluster.TransportSocketMatch] = field(default_factory=dict)

    def match(self, config: UpstreamSslConfig, *, path: str) -> str:
        """Name of the match with these settings. It is made of their content, so that endpoints can come, go and move without changing the others.

        `path` is where the settings are, for warnings. Raises UnusableTls.
        """
        context = tls.upstream_tls(config, secrets=self.secrets, namespace=self.namespace, alpn=self.alpn, path=path, report=self.report)
        socket = tls.transport_socket(context)
        name = hashlib.sha256(socket.typed_config.value).hexdigest()[:16]
        if name not in self.matches:
            match = cluster_pb2.Cluster.TransportSocketMatch(name=name, transport_socket=socket)
            match.match.fields[TLS_MATCH].string_value = name
            self.matches[name] = match
        return name

    def into(self, cluster: cluster_pb2.Cluster, config: UpstreamSslConfig | None, *, path: str) -> None:
        """Put `config`, the settings of all endpoints without their own, and every match into `cluster`. Raises UnusableTls."""
        cluster.transport_socket_matches.extend(self.matches.values())
        if config is not None:
            context = tls.upstream_tls(config, secrets=self.secrets, namespace=self.namespace, alpn=self.alpn, path=path, report=self.report)
            cluster.transport_socket.CopyFrom(tls.transport_socket(context))
