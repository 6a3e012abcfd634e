"""Who serves: `status.failover` of an Upstream, written by gloo from what its proxies say, and what gloo-fed makes of it for a FailoverScheme.

An extension: Gloo's API has no such field. Everything here is observed, nothing is wished; times are RFC 3339 in UTC with milliseconds.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field
from pydantic.config import JsonDict

from gloo_api.meta import Model

_TIME: JsonDict = {"format": "date-time"}


class Reason(StrEnum):
    """Why another priority has come to serve."""

    FIRST_SEEN = "FirstSeen"
    HEALTH_CHECK_FAILED = "HealthCheckFailed"
    OUTLIER_EJECTED = "OutlierEjected"
    NO_ENDPOINTS = "NoEndpoints"
    DEGRADED = "Degraded"
    RECOVERED = "Recovered"


class Confirmation(StrEnum):
    """Whether the requests of the last seconds went where health says that they should."""

    CONFIRMED = "Confirmed"
    NO_TRAFFIC = "NoTraffic"
    DIFFERS = "Differs"


class Serving(Model):
    """The priority that serves now."""

    priority: int | None = Field(None, description="0 is the Upstream itself, then the failover priorities in order; absent: nobody is healthy.")
    since: str = Field("", json_schema_extra=_TIME, description="Since when, as gloo has seen it.")
    reason: Reason = Field(Reason.FIRST_SEEN, description="Why it serves and not the one before. Default: FirstSeen.")
    message: str = Field("", description="The reason with the endpoints that caused it.")
    confirmed: Confirmation = Field(
        Confirmation.NO_TRAFFIC,
        description="Whether the last seconds' requests went there, by the proxies' counters; NoTraffic: too few to tell. Default: NoTraffic.",
    )


class PriorityStatus(Model):
    """How one priority is: the worst that any proxy says."""

    priority: int = Field(ge=0, description="Which priority.")
    healthy: int = Field(0, ge=0, description="Endpoints that may get requests. Default: 0.")
    total: int = Field(0, ge=0, description="Endpoints that proxies know. Default: 0.")
    load: int = Field(0, ge=0, le=100, description="Percent of the requests that Envoy's rule gives it at this health. Default: 0.")
    request_share: int | None = Field(None, description="Percent of the requests of the last seconds that it got; absent: there were none.")
    proven: bool | None = Field(
        None, description="Whether every endpoint of a standby passes its health check, all the way through its gateway; absent for priority 0."
    )
    unproven_since: str | None = Field(None, json_schema_extra=_TIME, description="Since when it is not proven.")
    unproven_reason: str = Field("", description="What is missing for the proof.")


class ProxiesStatus(Model):
    """Where this knowledge comes from."""

    total: int = Field(0, ge=0, description="Proxies of this cluster that can be asked. Default: 0.")
    answering: int = Field(0, ge=0, description="Those that answer. Default: 0.")
    stale_since: str | None = Field(None, json_schema_extra=_TIME, description="Since when nothing new is known, when no proxy answers.")
    message: str = Field("", description="Which proxies do not answer and why, and which see another priority serve.")


class FailoverStatus(Model):
    """Who serves the requests for an Upstream with failover."""

    serving: Serving | None = Field(None, description="The priority that serves now; absent until a proxy has answered.")
    standby_proven: bool = Field(False, description="Whether every standby priority is proven. Default: false.")
    priorities: tuple[PriorityStatus, ...] = Field((), description="Every priority, in order.")
    proxies: ProxiesStatus | None = Field(None, description="Where this knowledge comes from.")


class SchemeServing(Serving):
    """The tier of a FailoverScheme that serves now."""

    name: str = Field("", description="`primary (<cluster>)`, `tier <n> (<clusters>)`, or `nobody`.")
    clusters: tuple[str, ...] = Field((), description="The clusters of the tier.")
    stale: str = Field("", description="Why this may be old; empty when it is not.")


class TierStatus(PriorityStatus):
    """How one tier of a FailoverScheme is: the primary is the first."""

    clusters: tuple[str, ...] = Field((), description="The clusters of the tier.")
    upstreams: tuple[str, ...] = Field((), description="Its Upstreams, `<cluster>/<namespace>/<name>`.")
