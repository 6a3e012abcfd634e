"""From stores of JSON objects to the inputs of a translation. Each object is parsed once per change.

An object that is not valid does not reach the translation. The last valid version of it, if this process has seen one, stays in its place: an
edit that cannot be understood must not take away what serves.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from controlplane.kube.objects import Key as PlainKey
from controlplane.kube.objects import Object
from controlplane.translation.types import EndpointSlice, GlooInputs, Key, ObjectRef, Service, TlsSecret
from gloo_api.gateway import Gateway
from gloo_api.meta import InvalidResource, Problem
from gloo_api.upstream import Upstream
from gloo_api.virtual_service import VirtualService

M = TypeVar("M")

Store = Mapping[PlainKey, Object]


@dataclass(frozen=True)
class Stores:
    """The objects of one cluster, by kind."""

    upstreams: Store
    gateways: Store
    virtual_services: Store
    services: Store
    endpoint_slices: Store
    secrets: Store


class Models(Generic[M]):
    """Parsed objects of one kind."""

    def __init__(self, parse: Callable[[Object], M]) -> None:
        self._parse = parse
        self._parsed: dict[Key, tuple[Object, M | None, tuple[Problem, ...]]] = {}

    def update(self, store: Store) -> tuple[dict[Key, M], dict[Key, tuple[Problem, ...]]]:
        """The models of all objects of `store`, and the problems of those that are not valid."""
        parsed = {Key(*key): self._read(Key(*key), obj) for key, obj in store.items()}
        self._parsed = parsed
        models = {key: model for key, (_, model, _) in parsed.items() if model is not None}
        return models, {key: problems for key, (_, _, problems) in parsed.items() if problems}

    def _read(self, key: Key, obj: Object) -> tuple[Object, M | None, tuple[Problem, ...]]:
        before = self._parsed.get(key)
        if before is not None and before[0] is obj:
            return before
        try:
            return obj, self._parse(obj), ()
        except InvalidResource as error:
            return obj, before[1] if before else None, error.problems


class InputBuilder:
    """Builds GlooInputs from stores again and again, cheaply."""

    def __init__(self) -> None:
        self._upstreams = Models(lambda obj: Upstream.parse(dict(obj)))
        self._gateways = Models(lambda obj: Gateway.parse(dict(obj)))
        self._virtual_services = Models(lambda obj: VirtualService.parse(dict(obj)))
        self._services = Models(Service.from_object)
        self._endpoint_slices = Models(EndpointSlice.from_object)
        self._secrets = Models(tls_secret)

    def build(self, stores: Stores) -> tuple[GlooInputs, dict[ObjectRef, tuple[Problem, ...]]]:
        """The inputs, and the problems of the objects that are not valid."""
        upstreams, bad_upstreams = self._upstreams.update(stores.upstreams)
        gateways, bad_gateways = self._gateways.update(stores.gateways)
        virtual_services, bad_virtual_services = self._virtual_services.update(stores.virtual_services)
        inputs = GlooInputs(
            upstreams=upstreams,
            gateways=gateways,
            virtual_services=virtual_services,
            services=self._services.update(stores.services)[0],
            endpoint_slices=self._endpoint_slices.update(stores.endpoint_slices)[0],
            secrets=self._secrets.update(stores.secrets)[0],
        )
        bad = {"Upstream": bad_upstreams, "Gateway": bad_gateways, "VirtualService": bad_virtual_services}
        return inputs, {ObjectRef(kind, *key): problems for kind, found in bad.items() for key, problems in found.items()}


def tls_secret(obj: Object) -> TlsSecret:
    """The PEM documents of a Secret; what is not base64 counts as missing and is reported where the Secret is used."""
    data: dict[str, bytes] = {}
    for name, value in (obj.get("data") or {}).items():
        try:
            data[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            continue
    return TlsSecret.from_data(data)
