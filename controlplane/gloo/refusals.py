"""From what Envoy refuses (resources) to whom it concerns (objects). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from controlplane.translation.listener import listener_name, owns_routes, serves
from controlplane.translation.secrets import authority_name, certificate_name
from controlplane.translation.types import GlooInputs, Key, ObjectRef
from controlplane.xds.cache import ProxyKey
from controlplane.xds.nack import Rejection
from controlplane.xds.resources import ResourceType
from gloo_api.gateway import Gateway


def refusals(
    found: Mapping[ProxyKey, Iterable[Rejection]], *, inputs: GlooInputs, users_of: Callable[[Key], Iterable[ObjectRef]]
) -> dict[ObjectRef, frozenset[str]]:
    """Envoy's words by object.

    A refused cluster concerns its Upstream, a secret the objects that use it (`users_of`), a listener its Gateway, routes their Gateway and its
    VirtualServices. What names no resource concerns every object of that kind.
    """
    by_object: dict[ObjectRef, set[str]] = {}
    for key, rejections in found.items():
        for rejection in rejections:
            for ref in _owners(rejection, role=key.role, inputs=inputs, users_of=users_of):
                by_object.setdefault(ref, set()).add(f"proxy {key.role} refuses this: {rejection.message}")
    return {ref: frozenset(texts) for ref, texts in by_object.items()}


def _owners(rejection: Rejection, *, role: str, inputs: GlooInputs, users_of: Callable[[Key], Iterable[ObjectRef]]) -> Iterable[ObjectRef]:
    name = rejection.name
    if rejection.type in (ResourceType.CLUSTER, ResourceType.ENDPOINT):
        return [ObjectRef("Upstream", *key) for key in (inputs.upstreams if name is None else [_upstream(name)]) if key in inputs.upstreams]
    if rejection.type is ResourceType.SECRET:
        return [ref for key in inputs.secrets if name in (None, certificate_name(key), authority_name(key)) for ref in users_of(key)]
    namespace, _, proxy = role.partition("~")
    gateways = [each for each in inputs.gateways.values() if each.metadata.namespace == namespace and proxy in each.spec.proxy_names]
    if rejection.type is ResourceType.LISTENER:
        return [_ref(each) for each in gateways if name in (None, listener_name(each.spec))]
    if rejection.type is ResourceType.ROUTE:
        concerned = [each for each in gateways if each.spec.http_gateway is not None and (name is None or owns_routes(each.spec, name))]
        return [*map(_ref, concerned), *(ref for each in concerned for ref in _services(each, inputs))]
    return ()


def _upstream(cluster: str) -> Key:
    name, _, namespace = cluster.rpartition("_")
    return Key(namespace, name)


def _ref(gateway: Gateway) -> ObjectRef:
    return ObjectRef("Gateway", *gateway.key)


def _services(gateway: Gateway, inputs: GlooInputs) -> Iterable[ObjectRef]:
    return [ObjectRef("VirtualService", *key) for key, each in inputs.virtual_services.items() if serves(gateway, each)]
