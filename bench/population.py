"""The objects of a cluster with many Upstreams, all alike but for their number. Pure.

Of ten Upstreams five are static and five follow a Service; two of the ten have a health check and fail over through a gateway with mutual TLS. Nobody
listens at their addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controlplane.gloo.kinds import UPSTREAM
from controlplane.kube.objects import ENDPOINT_SLICE, SERVICE, Kind, Object
from gloo_api import names

NAMESPACE, APPS = "gloo-system", "default"
SECRET = "bench-failover"  # noqa: S105 - the name of a Secret
GATEWAY_IDENTITY = "failover-gateway.bench"
_PORT = 80


@dataclass(frozen=True)
class Member:
    """The Upstream number `index`."""

    index: int

    @property
    def follows_service(self) -> bool:
        return self.index % 2 == 0

    @property
    def fails_over(self) -> bool:
        return self.index % 10 < 2

    @property
    def service(self) -> str:
        return f"bench-{self.index:05}"

    @property
    def upstream(self) -> str:
        return names.discovered_upstream_name(APPS, self.service, _PORT)

    @property
    def cluster(self) -> str:
        return names.cluster_name(self.upstream, NAMESPACE)

    def upstream_object(self, *, connect_timeout: str = "5s") -> Object:
        """The Upstream; `connect_timeout` is what a change of the Upstream changes."""
        spec: dict[str, Any] = {"connectionConfig": {"connectTimeout": connect_timeout}}
        if self.follows_service:
            spec["kube"] = {"serviceName": self.service, "serviceNamespace": APPS, "servicePort": _PORT}
        else:
            spec["static"] = {"hosts": [{"addr": _address(self.index, 0), "port": _PORT}]}
        if self.fails_over:
            check = {"timeout": "1s", "interval": "10s", "unhealthyThreshold": 1, "healthyThreshold": 1, "httpHealthCheck": {"path": "/health"}}
            ssl = {"secretRef": {"name": SECRET}, "sni": f"far-{self.cluster}", "verifySubjectAltName": [GATEWAY_IDENTITY]}
            endpoint = {"address": "10.127.255.1", "port": 15443, "upstreamSslConfig": ssl}
            spec["healthChecks"] = [check]
            spec["failover"] = {"prioritizedLocalities": [{"localityEndpoints": [{"lbEndpoints": [endpoint]}]}]}
        return {"metadata": {"namespace": NAMESPACE, "name": self.upstream}, "spec": spec}

    def slice_object(self, *, round_: int = 0) -> Object:
        """The endpoints of its Service; a change of round changes the address."""
        endpoint = {"addresses": [_address(self.index, round_)], "conditions": {"ready": True}}
        labels = {"kubernetes.io/service-name": self.service}
        meta = {"namespace": APPS, "name": f"{self.service}-1", "labels": labels}
        return {"metadata": meta, "addressType": "IPv4", "ports": [{"name": "http", "port": _PORT, "protocol": "TCP"}], "endpoints": [endpoint]}

    def objects(self) -> Iterator[tuple[Kind, Object]]:
        if self.follows_service:
            spec = {"clusterIP": "None", "ports": [{"name": "http", "port": _PORT, "protocol": "TCP"}]}
            yield SERVICE, {"metadata": {"namespace": APPS, "name": self.service}, "spec": spec}
            yield ENDPOINT_SLICE, self.slice_object()
        yield UPSTREAM, self.upstream_object()


def members(count: int, *, start: int = 0) -> list[Member]:
    return [Member(index) for index in range(start, count)]


def _address(index: int, round_: int) -> str:
    """An address in a network that no embedded cluster has, another one in each round."""
    number = (index + 101 * round_) % 62_500
    return f"10.127.{number // 250}.{number % 250 + 1}"
