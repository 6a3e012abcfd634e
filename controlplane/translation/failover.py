"""Failover endpoints: the priorities after the Upstream's own, each endpoint with its own TLS.

One bad endpoint never takes the primary down: it is left out and warned about.
"""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.translation import endpoints, tls
from controlplane.translation.endpoints import Endpoint, Group
from controlplane.translation.health_check import warn_of_own_path
from controlplane.translation.load_balancer import localities_are_weighted
from controlplane.translation.reporter import Reporter
from controlplane.translation.sockets import Sockets
from controlplane.translation.types import Realise
from gloo_api.failover import LbEndpoint, LocalityLbEndpoints
from gloo_api.upstream import UpstreamSpec


@dataclass(frozen=True)
class FailoverTranslator:
    """Translates `spec.failover` of one Upstream."""

    spec: UpstreamSpec
    sockets: Sockets
    realise: Realise
    report: Reporter

    def priorities(self) -> list[list[Group]]:
        """Groups by priority, in the order of the list; empty without failover."""
        failover = self.spec.failover
        if failover is None or not failover.prioritized_localities:
            return []
        if not self.spec.health_checks and self.spec.outlier_detection is None:
            self.report.warn(
                "spec.failover",
                "has no effect without spec.healthChecks or spec.outlierDetection: the Upstream's own endpoints never count as unhealthy",
            )
        return [
            self._priority(locality.locality_endpoints, path=f"spec.failover.prioritizedLocalities[{priority}]")
            for priority, locality in enumerate(failover.prioritized_localities)
        ]

    def _priority(self, groups: tuple[LocalityLbEndpoints, ...], *, path: str) -> list[Group]:
        weighted = localities_are_weighted(self.spec)
        for index, group in enumerate(groups):
            if group.load_balancing_weight is not None and len(groups) > 1 and not weighted:
                self.report.warn(
                    f"{path}.localityEndpoints[{index}].loadBalancingWeight",
                    f"{group.load_balancing_weight} has no effect; set spec.loadBalancerConfig.localityWeightedLbConfig: {{}}",
                )
        endpoints.check_weights((group.load_balancing_weight for group in groups), path=f"{path}.localityEndpoints", report=self.report)
        return [self._group(group, path=f"{path}.localityEndpoints[{index}]") for index, group in enumerate(groups)]

    def _group(self, group: LocalityLbEndpoints, *, path: str) -> Group:
        endpoints.check_weights((item.load_balancing_weight for item in group.lb_endpoints), path=f"{path}.lbEndpoints", report=self.report)
        found = (self._endpoint(endpoint, path=f"{path}.lbEndpoints[{index}]") for index, endpoint in enumerate(group.lb_endpoints))
        return Group(endpoints=tuple(endpoint for endpoint in found if endpoint), locality=group.locality, weight=group.load_balancing_weight)

    def _endpoint(self, endpoint: LbEndpoint, *, path: str) -> Endpoint | None:
        match = None
        if endpoint.upstream_ssl_config is not None:
            try:
                match = self.sockets.match(endpoint.upstream_ssl_config, path=f"{path}.upstreamSslConfig")
            except tls.UnusableTls as error:
                self.report.warn(f"{path}.upstreamSslConfig.{error.path}", f"{error}; the endpoint is left out")
                return None
        check = endpoint.health_check_config
        if check is not None:
            warn_of_own_path(check, self.spec.health_checks, path=f"{path}.healthCheckConfig", report=self.report)
        return Endpoint(
            host=endpoints.realised(endpoint.address, self.realise),
            port=endpoint.port,
            weight=endpoint.load_balancing_weight,
            tls=match,
            check_port=check.port_value if check else None,
            check_host=check.hostname if check else "",
        )
