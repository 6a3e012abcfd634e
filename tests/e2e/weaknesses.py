"""Configurations in which a real stack misses what the drill promises: what somebody could do by kubectl, such as a field or a Secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.conftest import LiveStack
from tests.e2e.faults import FAILOVER_GATEWAY, GATEWAY, fresh_pid_of, kill_container

UPSTREAM = ("upstream", "-n", "gloo-system", "default-service-blue-10000")
FAILOVER = ("gateway", "-n", "gloo-system", "failover-gateway")
ROUTE = ("virtualservice", "-n", "gloo-system", "default")
CERTIFICATE = ("secret", "-n", "gloo-system", "failover-upstream")
RETRIES = "servicefailover.dev/failover-retries"


def patch(stack: LiveStack, cluster: str, *what: str, **operation: Any) -> None:
    """One operation of a JSON patch."""
    stack.kubectl(cluster, "patch", *what, "--type=json", "-p", json.dumps([operation]))


@contextmanager
def no_retries(stack: LiveStack) -> Iterator[None]:
    stack.kubectl("local", "annotate", *ROUTE, f"{RETRIES}=disabled")
    try:
        yield
    finally:
        stack.kubectl("local", "annotate", *ROUTE, f"{RETRIES}-")


@contextmanager
def no_health_check(stack: LiveStack) -> Iterator[None]:
    checks = stack.get("local", *UPSTREAM)["spec"]["healthChecks"]
    patch(stack, "local", *UPSTREAM, op="remove", path="/spec/healthChecks")
    try:
        yield
    finally:
        patch(stack, "local", *UPSTREAM, op="add", path="/spec/healthChecks", value=checks)


@contextmanager
def wrong_sni(stack: LiveStack) -> Iterator[None]:
    path = "/spec/tcpGateway/tcpHosts/0/sslConfig/sniDomains/0"
    (right,) = stack.get("remote", *FAILOVER)["spec"]["tcpGateway"]["tcpHosts"][0]["sslConfig"]["sniDomains"]
    patch(stack, "remote", *FAILOVER, op="replace", path=path, value="something-else_gloo-system")
    try:
        kill_container(stack, FAILOVER_GATEWAY)  # connections that are there would go on working
        yield
    finally:
        patch(stack, "remote", *FAILOVER, op="replace", path=path, value=right)


@contextmanager
def no_certificate(stack: LiveStack) -> Iterator[None]:
    secret = stack.get("local", *CERTIFICATE)
    kept = {"apiVersion": "v1", "kind": "Secret", "type": secret["type"], "data": secret["data"]}
    kept["metadata"] = {name: secret["metadata"].get(name, {}) for name in ("name", "namespace", "labels", "annotations")}
    stack.kubectl("local", "delete", *CERTIFICATE)
    try:
        fresh_pid_of(stack, GATEWAY)  # a proxy that has a certificate would keep it
        yield
    finally:
        stack.kubectl("local", "create", "-f", "-", stdin=json.dumps(kept))


@contextmanager
def slow_health_check(stack: LiveStack) -> Iterator[None]:
    path = "/spec/healthChecks/0/healthyThreshold"
    quick = stack.get("local", *UPSTREAM)["spec"]["healthChecks"][0]["healthyThreshold"]
    patch(stack, "local", *UPSTREAM, op="replace", path=path, value=50)
    try:
        yield
    finally:
        patch(stack, "local", *UPSTREAM, op="replace", path=path, value=quick)


@dataclass(frozen=True, kw_only=True)
class Weakness:
    """Something that is weak, for as long as a context lasts."""

    weakened: Callable[[LiveStack], AbstractContextManager[None]]
    misses: dict[str, str]
    """Scenarios that it matters for, each with an objective that is missed then."""
    cause: str
    """A part of what the drill has to say of it."""


WEAK: dict[str, Weakness] = {
    "no retries": Weakness(
        weakened=no_retries, misses={"app-sick": "failed"}, cause=f"VirtualService 'default' has no retries ({RETRIES}: disabled)"
    ),
    "no health check": Weakness(weakened=no_health_check, misses={"app-unhealthy": "detect_within"}, cause="has no health check (spec.healthChecks)"),
    "slow health check": Weakness(
        weakened=slow_health_check, misses={"app-unhealthy": "recover_within"}, cause="is held for healthy only after 50 good answers"
    ),
    "wrong SNI": Weakness(
        weakened=wrong_sni,
        misses={"app-unhealthy": "switch_within"},
        cause="(SNI), and the failover Gateway there serves only something-else_gloo-system",
    ),
    "missing certificate": Weakness(
        weakened=no_certificate,
        misses={"app-unhealthy": "switch_within", "scaled-to-zero": "failback_failed"},
        cause="Secret 'failover-upstream' in local is missing",
    ),
}
MISSED_ON_A_STACK = {objective for weakness in WEAK.values() for objective in weakness.misses.values()}
"""The objectives of the drill that are missed so. The others are in tests/drill/test_drill_weakened.py."""
