"""Why an endpoint is not used, in words, and why that made requests go elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane.gloo.serving import hosts as flags
from controlplane.gloo.serving.hosts import Host
from gloo_api.serving import Reason

NAMED = 3
"""At most so many endpoints are named in a message."""


def why(priority: int, hosts: Sequence[Host]) -> tuple[Reason, str]:
    """Why requests do not go to this priority any more."""
    bad = [host for host in hosts if not host.healthy or host.excluded]
    if not hosts:
        return Reason.NO_ENDPOINTS, f"priority {priority} has no endpoints"
    if any(not host.passes_check for host in bad):
        reason = Reason.HEALTH_CHECK_FAILED
    elif any(flags.EJECTED in host.flags for host in bad):
        reason = Reason.OUTLIER_EJECTED
    elif any(host.degraded for host in bad):
        reason = Reason.DEGRADED
    else:
        reason = Reason.NO_ENDPOINTS
    return reason, f"priority {priority}: {described(bad) or 'it has too few healthy endpoints'}"


def recovered(hosts: Sequence[Host]) -> str:
    return _listed([f"{host.key.address} is healthy" for host in hosts if host.healthy]) or "its endpoints are degraded, and no other is healthy"


def described(hosts: Sequence[Host]) -> str:
    """What is wrong with each, by address."""
    return _listed([f"{host.key.address} {_fault(host)}" for host in hosts])


def _fault(host: Host) -> str:
    if flags.EXCLUDED_BY_HEADER in host.flags:
        return "says that it is failing (x-envoy-immediate-health-check-fail)"
    if flags.PENDING_CHECK in host.flags:
        return "has not been checked yet"
    if flags.FAILED_CHECK in host.flags:
        return "did not answer its health check in time" if flags.CHECK_TIMEOUT in host.flags else "failed its health check"
    if flags.EJECTED in host.flags:
        return "was ejected by outlier detection"
    if flags.BY_EDS in host.flags:
        return "is unhealthy as configured"
    return "is degraded"


def _listed(texts: Sequence[str]) -> str:
    return ", ".join(texts[:NAMED]) + (f" and {len(texts) - NAMED} more" if len(texts) > NAMED else "")
