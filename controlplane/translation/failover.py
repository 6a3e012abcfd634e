"""Failover endpoints: the priorities after the Upstream's own, each endpoint with its own TLS.

One bad endpoint never takes the primary down: it is left out and warned about.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from envoy.config.cluster.v3 import cluster_pb2

from controlplane.translation import tls
from controlplane.translation.endpoints import TLS_MATCH, Endpoint, Group, realised
from controlplane.translation.reporter import Reporter
from controlplane.translation.secrets import SecretBook
from controlplane.translation.types import Realise, content_version
from gloo_api.failover import LbEndpoint, LocalityLbEndpoints
from gloo_api.ssl import UpstreamSslConfig
from gloo_api.upstream import UpstreamSpec


@dataclass
class FailoverTranslator:
    """Translates `spec.failover` of one Upstream. `socket_matches` fills up with the TLS settings that its endpoints name."""

    namespace: str
    alpn: str
    secrets: SecretBook
    realise: Realise
    report: Reporter
    socket_matches: dict[str, cluster_pb2.Cluster.TransportSocketMatch] = field(default_factory=dict)

    def priorities(self, spec: UpstreamSpec) -> list[list[Group]]:
        """Groups by priority, in the order of the list; empty without failover."""
        if spec.failover is None or not spec.failover.prioritized_localities:
            return []
        if not spec.health_checks:
            self.report.warn("spec.failover", "has no effect without spec.healthChecks: the Upstream's own endpoints never count as unhealthy")
        return [
            [
                self._group(group, path=f"spec.failover.prioritizedLocalities[{priority}].localityEndpoints[{index}]")
                for index, group in enumerate(locality.locality_endpoints)
            ]
            for priority, locality in enumerate(spec.failover.prioritized_localities)
        ]

    def _group(self, group: LocalityLbEndpoints, *, path: str) -> Group:
        endpoints = (self._endpoint(endpoint, path=f"{path}.lbEndpoints[{index}]") for index, endpoint in enumerate(group.lb_endpoints))
        return Group(endpoints=tuple(endpoint for endpoint in endpoints if endpoint), locality=group.locality, weight=group.load_balancing_weight)

    def _endpoint(self, endpoint: LbEndpoint, *, path: str) -> Endpoint | None:
        match = None
        if endpoint.upstream_ssl_config is not None:
            try:
                match = self._socket_match(endpoint.upstream_ssl_config, path=f"{path}.upstreamSslConfig")
            except tls.UnusableTls as error:
                self.report.warn(f"{path}.upstreamSslConfig.{error.path}", f"{error}; the endpoint is left out")
                return None
        check = endpoint.health_check_config
        return Endpoint(
            host=realised(endpoint.address, self.realise),
            port=endpoint.port,
            weight=endpoint.load_balancing_weight,
            tls=match,
            check_port=check.port_value if check else None,
            check_host=check.hostname if check else "",
        )

    def _socket_match(self, config: UpstreamSslConfig, *, path: str) -> str:
        """Name of the match with these settings. It is made of their content, so that endpoints can come, go and move without changing the others."""
        context = tls.upstream_tls(config, secrets=self.secrets, namespace=self.namespace, alpn=self.alpn, path=path, report=self.report)
        name = content_version(context)
        if name not in self.socket_matches:
            match = cluster_pb2.Cluster.TransportSocketMatch(name=name, transport_socket=tls.transport_socket(context))
            match.match.update({TLS_MATCH: name})
            self.socket_matches[name] = match
        return name
