"""VirtualService: HTTP routes for a set of domains. What is not written here is reported, or refused where ignoring it would serve more."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from gloo_api.meta import GuardedModel, Kind, Resource, StrictModel
from gloo_api.route_options import VirtualHostOptions
from gloo_api.routes import Route
from gloo_api.ssl import SslConfig
from gloo_api.status import EdgeStatuses

VIRTUAL_SERVICE = Kind(group="gateway.solo.io", version="v1", kind="VirtualService", plural="virtualservices", short_names=("vs",))

Domain = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x20]+$")]


class VirtualHost(GuardedModel):
    """Routes of a set of domains; the first that matches is taken."""

    GUARDS = frozenset({"optionsConfigRefs"})

    domains: tuple[Domain, ...] = Field(
        (), description='Host names, "*.example.com" or "*". A domain can be in one VirtualService of a Gateway. Default: ["*"].'
    )
    routes: tuple[Route, ...] = Field((), description="The routes in their order.")
    options: VirtualHostOptions | None = Field(None, description="Options of all routes.")

    @property
    def served_domains(self) -> tuple[str, ...]:
        """The domains; without any, all."""
        return self.domains or ("*",)


class VirtualServiceSpec(StrictModel):
    """Served by Gateways with `ssl: true` when it has an `sslConfig`, by the others when it has none."""

    virtual_host: VirtualHost = Field(description="The domains and their routes.")
    ssl_config: SslConfig | None = Field(None, description="Serve HTTPS. Default: plain HTTP.")
    display_name: str = Field("", description="Name for people to read.")


class VirtualService(Resource):
    """HTTP routes of a set of domains."""

    KIND: ClassVar[Kind] = VIRTUAL_SERVICE

    spec: VirtualServiceSpec
    status: EdgeStatuses | None = None
