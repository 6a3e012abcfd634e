"""From what Envoy refuses (resources) to whom it concerns (objects). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controlplane.translation.types import GlooInputs, ObjectRef
from controlplane.xds.cache import ProxyKey
from controlplane.xds.nack import Rejection
from controlplane.xds.resources import ResourceType
from gloo_api import names


def refusals(found: Mapping[ProxyKey, Iterable[Rejection]], *, inputs: GlooInputs) -> dict[ObjectRef, set[str]]:
    """Envoy's words by object. A refusal that names no resource, or one that no object stands for, concerns nobody here (it is in the log)."""
    by_object: dict[ObjectRef, set[str]] = {}
    for key, rejections in found.items():
        for rejection in rejections:
            for ref in _owners(rejection, inputs):
                by_object.setdefault(ref, set()).add(f"proxy {key.role} refuses this: {rejection.message}")
    return by_object


def _owners(rejection: Rejection, inputs: GlooInputs) -> Iterable[ObjectRef]:
    if rejection.name is None:
        return ()
    if rejection.type in (ResourceType.CLUSTER, ResourceType.ENDPOINT):
        return [ObjectRef("Upstream", *key) for key in inputs.upstreams if names.cluster_name(key.name, key.namespace) == rejection.name]
    return ()
