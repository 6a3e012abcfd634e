"""RouteTable: HTTP routes that a VirtualService, or another RouteTable, delegates to."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from gloo_api.meta import Kind, Resource, StrictModel
from gloo_api.routes import Route
from gloo_api.status import EdgeStatuses

ROUTE_TABLE = Kind(group="gateway.solo.io", version="v1", kind="RouteTable", plural="routetables", short_names=("rt",))


class RouteTableSpec(StrictModel):
    """Routes for the requests that a parent hands over."""

    routes: tuple[Route, ...] = Field((), description="The routes in their order; their paths begin with the prefix of the parent's matcher.")
    weight: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] = Field(
        0, description="Place among the tables that one selector chooses, the smallest first. Default: 0."
    )


class RouteTable(Resource):
    """HTTP routes that others delegate to."""

    KIND: ClassVar[Kind] = ROUTE_TABLE

    spec: RouteTableSpec
    status: EdgeStatuses | None = None
