"""The Kubernetes kinds that `gloo` reads and writes."""

from __future__ import annotations

from controlplane.kube.objects import Kind
from gloo_api.gateway import Gateway
from gloo_api.meta import Kind as ApiKind
from gloo_api.route_table import RouteTable
from gloo_api.upstream import Upstream
from gloo_api.virtual_service import VirtualService


def kind(api: ApiKind) -> Kind:
    """The client's view of a resource of `gloo_api`."""
    return Kind(group=api.group, version=api.version, kind=api.kind, plural=api.plural)


UPSTREAM = kind(Upstream.KIND)
GATEWAY = kind(Gateway.KIND)
VIRTUAL_SERVICE = kind(VirtualService.KIND)
ROUTE_TABLE = kind(RouteTable.KIND)

REPORTED = {each.kind: each for each in (UPSTREAM, GATEWAY, VIRTUAL_SERVICE, ROUTE_TABLE)}
"""The kinds whose objects have a status, by name."""
