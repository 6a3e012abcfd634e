"""From what Envoy refuses (resources) to whom it concerns (objects). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controlplane.translation.listener import listener_name, route_name, serves
from controlplane.translation.types import GlooInputs, ObjectRef
from controlplane.xds.cache import ProxyKey
from controlplane.xds.nack import Rejection
from controlplane.xds.resources import ResourceType
from gloo_api import names
from gloo_api.gateway import Gateway


def refusals(found: Mapping[ProxyKey, Iterable[Rejection]], *, inputs: GlooInputs) -> dict[ObjectRef, set[str]]:
    """Envoy's words by object.

    A refused cluster concerns its Upstream, a listener its Gateway, routes their Gateway and its VirtualServices. What names no resource concerns
    every object of that kind. Secrets are checked before they are sent; a refusal of one is in the log only.
    """
    by_object: dict[ObjectRef, set[str]] = {}
    for key, rejections in found.items():
        for rejection in rejections:
            for ref in _owners(rejection, role=key.role, inputs=inputs):
                by_object.setdefault(ref, set()).add(f"proxy {key.role} refuses this: {rejection.message}")
    return by_object


def _owners(rejection: Rejection, *, role: str, inputs: GlooInputs) -> Iterable[ObjectRef]:
    name = rejection.name
    if rejection.type in (ResourceType.CLUSTER, ResourceType.ENDPOINT):
        return [ObjectRef("Upstream", *key) for key in inputs.upstreams if name in (None, names.cluster_name(key.name, key.namespace))]
    namespace, _, proxy = role.partition("~")
    gateways = [each for each in inputs.gateways.values() if each.metadata.namespace == namespace and proxy in each.spec.proxy_names]
    if rejection.type is ResourceType.LISTENER:
        return [_ref(each) for each in gateways if name in (None, listener_name(each.spec))]
    if rejection.type is ResourceType.ROUTE:
        concerned = [each for each in gateways if each.spec.http_gateway is not None and name in (None, route_name(each.spec))]
        return [*map(_ref, concerned), *(ref for each in concerned for ref in _services(each, inputs))]
    return ()


def _ref(gateway: Gateway) -> ObjectRef:
    return ObjectRef("Gateway", *gateway.key)


def _services(gateway: Gateway, inputs: GlooInputs) -> Iterable[ObjectRef]:
    http = gateway.spec.http_gateway
    return [] if http is None else [ObjectRef("VirtualService", *key) for key, each in inputs.virtual_services.items() if serves(http, each)]
