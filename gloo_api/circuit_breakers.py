"""`spec.circuitBreakers` of an Upstream: how much one proxy may have going on with it at a time."""

from __future__ import annotations

from pydantic import Field

from gloo_api.meta import Model, UInt32

_DEFAULT = "Default: 1024; with failover no limit, because what waits for a dead endpoint counts too."


class CircuitBreakers(Model):
    """Limits, each for itself; what exceeds one fails at once with status 503."""

    max_connections: UInt32 | None = Field(None, description=f"Connections. {_DEFAULT}")
    max_pending_requests: UInt32 | None = Field(None, description=f"Requests that wait for a connection. {_DEFAULT}")
    max_requests: UInt32 | None = Field(None, description=f"Requests. {_DEFAULT}")
    max_retries: UInt32 | None = Field(None, description="Retries. Default: 3; with failover no limit, because all requests in flight retry at once.")
