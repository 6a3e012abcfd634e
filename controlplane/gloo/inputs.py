"""The inputs of all translations, kept up to date object by object: only what has changed is read, and only once."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Any

from controlplane.gloo.kinds import GATEWAY, REPORTED, ROUTE_TABLE, UPSTREAM, VIRTUAL_SERVICE
from controlplane.gloo.tables import Table, packed
from controlplane.kube.objects import ENDPOINT_SLICE, SECRET, SERVICE, Kind, Object, key_of
from controlplane.translation.secrets import fault_of
from controlplane.translation.translator import Change
from controlplane.translation.types import EndpointSlice, IndexedInputs, Key, ObjectRef, Service, TlsSecret
from gloo_api.gateway import Gateway
from gloo_api.meta import Problem
from gloo_api.route_table import RouteTable
from gloo_api.upstream import Upstream
from gloo_api.virtual_service import VirtualService

TABLES = {
    ENDPOINT_SLICE: "endpoint_slices",
    SERVICE: "services",
    SECRET: "secrets",
    UPSTREAM: "upstreams",
    ROUTE_TABLE: "route_tables",
    VIRTUAL_SERVICE: "virtual_services",
    GATEWAY: "gateways",
}
"""Where GlooInputs has the objects of each kind. In the order in which changes that come together are taken: first what others refer to."""


class Inputs:
    """`now` is what the objects that were `read` so far come to."""

    def __init__(self) -> None:
        self._slices: dict[Key, dict[Key, EndpointSlice]] = {}
        self._index: dict[Key, tuple[EndpointSlice, ...]] = {}
        self._tables: dict[Kind, Table[Any]] = {
            UPSTREAM: packed(Upstream),
            GATEWAY: Table(lambda obj: Gateway.parse(dict(obj))),
            VIRTUAL_SERVICE: Table(lambda obj: VirtualService.parse(dict(obj))),
            ROUTE_TABLE: Table(lambda obj: RouteTable.parse(dict(obj))),
            SERVICE: Table(Service.from_object),
            ENDPOINT_SLICE: Table(EndpointSlice.from_object),
            SECRET: Table(self._secret),
        }
        self.now = IndexedInputs(**{name: self._tables[kind] for kind, name in TABLES.items()}, index=self._index)

    def read(self, kind: Kind, key: Key, obj: Object | None) -> set[Change]:
        """Take the newest version of an object, None when it is gone. Returns what of `now` has changed."""
        table = self._tables[kind]
        before = table.get(key)
        if not table.put(key, obj):
            return set()
        changed: set[Change] = {(TABLES[kind], key)}
        if kind == ENDPOINT_SLICE:
            changed |= {("slices_by_service", service) for service in self._sort(key, before, table.get(key))}
        return changed

    def problems(self, ref: ObjectRef) -> tuple[Problem, ...]:
        """Why the newest version of an object is not valid; empty when it is."""
        return self._tables[REPORTED[ref.kind]].problems.get(Key(ref.namespace, ref.name), ())

    def _sort(self, key: Key, before: object, after: object) -> set[Key]:
        """Keep the index true. Returns the Services whose slices have changed."""
        services: set[Key] = set()
        for item in (before, after):
            if isinstance(item, EndpointSlice):
                services.add(item.service)
                self._slices.setdefault(item.service, {}).pop(key, None)
        if isinstance(after, EndpointSlice):
            self._slices[after.service][key] = after
        for service in services:
            slices = self._slices[service]
            if slices:
                self._index[service] = tuple(item for _, item in sorted(slices.items()))
            else:
                del self._slices[service]
                self._index.pop(service, None)
        return services

    def _secret(self, obj: Object) -> TlsSecret:
        """The newest version that a proxy would take; if that is not the newest one, it says so (`refused`)."""
        secret = tls_secret(obj)
        fault, before = fault_of(secret), self.now.secrets.get(Key(*key_of(obj)))
        return secret if fault is None or before is None or fault_of(before) is not None else replace(before, refused=fault)


def tls_secret(obj: Object) -> TlsSecret:
    """The PEM documents of a Secret; what is not base64 counts as missing and is reported where the Secret is used."""
    data: dict[str, bytes] = {}
    for name, value in (obj.get("data") or {}).items():
        try:
            data[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            continue
    return TlsSecret.from_data(data)
