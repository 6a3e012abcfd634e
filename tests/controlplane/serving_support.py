"""Endpoints as a proxy shows them, for tests of who serves."""

from __future__ import annotations

from controlplane.gloo.serving.hosts import Host, HostKey
from controlplane.gloo.serving.watched import Watched

NOW = 1_790_000_000.0
"""A moment."""
SAID_NOW = "2026-09-21T14:13:20.000Z"
"""The same as a status has it."""


def host(priority: int, *flags: str, address: str = "", number: int = 0, requests: int = 0) -> Host:
    """An endpoint; without flags a healthy one."""
    return Host(key=HostKey(priority, address or f"10.0.{priority}.{number}:80", 0), flags=frozenset(flags), requests=requests)


def upstream(*endpoints: int, checked: bool = True, factor: int = 140, panic_percent: float = 50.0) -> Watched:
    """An Upstream with so many endpoints in each failover priority."""
    return Watched(key=("gloo-system", "blue"), endpoints=endpoints or (1,), checked=checked, factor=factor, panic_percent=panic_percent)
