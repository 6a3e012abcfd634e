"""VirtualService: HTTP routes for a set of domains. Prefix matchers and single destinations; anything else is refused, never widened."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gloo_api.gateway import Single
from gloo_api.meta import Duration, Kind, Model, PositiveDuration, PositiveUInt32, Resource, StrictModel, UInt32
from gloo_api.status import EdgeStatuses

VIRTUAL_SERVICE = Kind(group="gateway.solo.io", version="v1", kind="VirtualService", plural="virtualservices", short_names=("vs",))


class Matcher(StrictModel):
    """Which requests a route is for."""

    prefix: str = Field("/", min_length=1, pattern="^/", description='Start of the path. Default: "/", every request.')


class RouteAction(StrictModel):
    """Where requests go."""

    single: Single = Field(description="One destination.")


class RetryBackOff(Model):
    """Random wait between tries."""

    base_interval: PositiveDuration = Field(description="Upper bound of the first wait; it doubles with each try.")
    max_interval: PositiveDuration | None = Field(None, description="Upper bound of every wait. Default: ten times baseInterval.")


class PreviousPriorities(Model):
    """Leave out priorities that were tried already."""

    update_frequency: PositiveUInt32 = Field(
        1, description="After how many tries the priorities are chosen anew; 0 would stop the proxy. Default: 1."
    )


class RetryPolicy(Model):
    """Tries after the first one. It replaces the retries that a route to an Upstream with failover has by default."""

    retry_on: str = Field("", description="Envoy's retry conditions, separated by commas. Default: none, nothing is retried.")
    num_retries: UInt32 = Field(1, description="Tries after the first one; 0 means none. Default: 1.")
    per_try_timeout: PositiveDuration | None = Field(
        None, description="How long each try may take to begin its answer. Default: the timeout of the route."
    )
    retry_back_off: RetryBackOff | None = Field(None, description="Wait between tries. Default: up to 25 ms, doubling.")
    retriable_status_codes: tuple[int, ...] = Field((), description="Statuses to retry; retryOn must name retriable-status-codes. Default: none.")
    previous_priorities: PreviousPriorities | None = Field(None, description="Leave out priorities that were tried already. Default: do not.")


class Options(Model):
    """How requests are passed on."""

    timeout: Duration | None = Field(None, description='How long an answer may take, all tries together; "0s" is no limit. Default: "15s".')
    retries: RetryPolicy | None = Field(
        None, description="Tries after the first one. Default: none, or failover's own where the Upstream has failover."
    )


class VirtualHostOptions(Model):
    """Defaults of all routes."""

    retries: RetryPolicy | None = Field(None, description="Retries of routes that have none of their own.")


class Route(StrictModel):
    """Requests and where they go."""

    name: str = Field("", description="Name for people to read.")
    matchers: tuple[Matcher, ...] = Field((), description="Requests that match any of these. Default: every request.")
    route_action: RouteAction = Field(description="Where the requests go.")
    options: Options | None = Field(None, description="How they are passed on.")


class VirtualHost(Model):
    """Routes of a set of domains; the first that matches is taken."""

    domains: tuple[str, ...] = Field(
        ("*",), min_length=1, description='Host names, "*.example.com" or "*". A domain can be in one VirtualService of a Gateway. Default: ["*"].'
    )
    routes: tuple[Route, ...] = Field((), description="The routes in their order.")
    options: VirtualHostOptions | None = Field(None, description="Defaults of all routes.")


class VirtualServiceSpec(StrictModel):
    """HTTP only: a VirtualService that asks for HTTPS (sslConfig) is refused."""

    virtual_host: VirtualHost = Field(description="The domains and their routes.")
    display_name: str = Field("", description="Name for people to read.")


class VirtualService(Resource):
    """HTTP routes of a set of domains."""

    KIND: ClassVar[Kind] = VIRTUAL_SERVICE

    spec: VirtualServiceSpec
    status: EdgeStatuses | None = None
