"""What the gateway's Envoy says of itself: which endpoints it holds for healthy, and what it has counted."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2 as httpx

if TYPE_CHECKING:
    from drill.target import Target

CLUSTERS = "clusters?format=json"
HEALTHY = {"eds_health_status": "HEALTHY"}
"""Envoy's health_status of an endpoint that nothing speaks against."""
CERTIFICATES_TAKEN = ".ssl_context_update_by_sds"
"""Counter of Envoy: certificates that came by SDS and are in use."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """An endpoint, as Envoy sees it."""

    priority: int
    healthy: bool
    requests: int


def hosts_in(document: Mapping[str, Any], *, cluster: str) -> list[Host]:
    """The endpoints of one of Envoy's clusters in what it answers to /clusters?format=json."""
    found = []
    for host in next((each.get("host_statuses", []) for each in document.get("cluster_statuses", []) if each["name"] == cluster), []):
        counted = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
        found.append(Host(priority=host.get("priority", 0), healthy=host["health_status"] == HEALTHY, requests=counted["rq_total"]))
    return found


def healths(hosts: Iterable[Host]) -> dict[int, bool]:
    """For each priority whether any of its endpoints is healthy."""
    found: dict[int, bool] = {}
    for host in hosts:
        found[host.priority] = found.get(host.priority, False) or host.healthy
    return found


def hosts(target: Target) -> list[Host]:
    """The primary's endpoints with priority 0, the standby's with 1, in the newest proxy. Empty while it has none or does not answer."""
    with target.admin_ports(target.gateway, newest=True) as urls:
        answer = ask_at(urls, CLUSTERS)
    return hosts_in(json.loads(answer), cluster=target.roles.envoy_cluster) if answer else []


def counted_at(urls: Sequence[str], suffix: str) -> int:
    """What the proxies with these admin ports have counted under the names that end so, all together."""
    lines = ask_at(urls, "stats").splitlines()
    return sum(int(value) for name, _, value in (line.partition(": ") for line in lines) if name.endswith(suffix))


def ask_at(urls: Sequence[str], path: str) -> str:
    """What these admin ports answer; "" while they do not."""
    with contextlib.suppress(httpx.TransportError):
        return "".join(httpx.get(f"{url}/{path}", timeout=5).text for url in urls)
    return ""
