"""Envoy's answer to GET /clusters?format=json, as values. Facts of Envoy's API only; what they mean together is decided elsewhere.

Envoy lists an endpoint once for each priority and each position that it has, also where two have the same address and port (two Upstreams behind one
failover gateway, told apart by SNI): so an endpoint is known here by its priority, its address and its number among those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

UNHEALTHY_BY_EDS = frozenset({"UNHEALTHY", "DRAINING", "TIMEOUT"})


class HostKey(NamedTuple):
    """An endpoint within a cluster."""

    priority: int
    address: str
    number: int


@dataclass(frozen=True, slots=True)
class Host:
    """One endpoint as one proxy sees it. The flags are Envoy's; proto3 JSON leaves out those that are not set."""

    key: HostKey
    flags: frozenset[str]
    requests: int
    """Requests sent to it since the proxy knows it (`rq_total`)."""

    @property
    def healthy(self) -> bool:
        """Envoy sends it requests."""
        return not self.flags & _NOT_HEALTHY

    @property
    def degraded(self) -> bool:
        """Envoy sends it requests only when no priority has enough healthy endpoints."""
        return bool(self.flags & _DEGRADED) and not self.flags & _UNHEALTHY

    @property
    def excluded(self) -> bool:
        """Envoy leaves it out of the count by which the health of its priority is a percentage."""
        return bool(self.flags & _EXCLUDED)

    @property
    def passes_check(self) -> bool:
        """Its active health check passes now, whatever outlier detection says."""
        return not self.flags & {FAILED_CHECK, PENDING_CHECK, EXCLUDED_BY_HEADER}


FAILED_CHECK = "failed_active_health_check"
CHECK_TIMEOUT = "active_hc_timeout"
PENDING_CHECK = "pending_active_hc"
EXCLUDED_BY_HEADER = "excluded_via_immediate_hc_fail"
EJECTED = "failed_outlier_check"
BY_EDS = "unhealthy_by_eds"
_DEGRADED = frozenset({"failed_active_degraded_check", "degraded_by_eds"})
_UNHEALTHY = frozenset({FAILED_CHECK, EJECTED, BY_EDS})
_NOT_HEALTHY = _UNHEALTHY | _DEGRADED
_EXCLUDED = frozenset({PENDING_CHECK, EXCLUDED_BY_HEADER})


def query(clusters: Iterable[str]) -> dict[str, str]:
    """Query parameters that ask for exactly these clusters."""
    return {"format": "json", "filter": f"^({'|'.join(map(re.escape, clusters))})$"}


def parse(body: bytes, *, named: Callable[[str], str] = str) -> dict[str, tuple[Host, ...]]:
    """The endpoints of each cluster in the answer, under addresses as `named` calls them. Raises ValueError when it is not an answer."""
    try:
        document = json.loads(body)
        return {status["name"]: _hosts(status.get("host_statuses") or (), named) for status in document.get("cluster_statuses") or ()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an answer to GET /clusters: {type(error).__name__} {error}") from error


def _hosts(statuses: Iterable[Mapping[str, Any]], named: Callable[[str], str]) -> tuple[Host, ...]:
    seen: dict[tuple[int, str], int] = {}
    hosts = []
    for status in statuses:
        place = (int(status.get("priority", 0)), _address(status["address"], named))
        number = seen[place] = seen.get(place, -1) + 1
        requests = next((int(stat.get("value", 0)) for stat in status.get("stats") or () if stat["name"] == "rq_total"), 0)
        hosts.append(Host(key=HostKey(*place, number), flags=_flags(status.get("health_status") or {}), requests=requests))
    return tuple(hosts)


def _flags(health: Mapping[str, Any]) -> frozenset[str]:
    by_eds = health.get("eds_health_status")
    flags = {name for name, value in health.items() if value is True}
    if by_eds in UNHEALTHY_BY_EDS:
        flags.add(BY_EDS)
    elif by_eds == "DEGRADED":
        flags.add("degraded_by_eds")
    return frozenset(flags)


def _address(address: Mapping[str, Any], named: Callable[[str], str]) -> str:
    socket = address.get("socket_address")
    if socket is None:
        return str(address.get("pipe", {}).get("path", "unknown"))
    host = named(socket["address"])
    return f"[{host}]:{socket['port_value']}" if ":" in host else f"{host}:{socket['port_value']}"
