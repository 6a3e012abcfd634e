"""What goes into a translation and what comes out. Values only: nothing here decides anything or does I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from google.protobuf.message import Message

from gloo_api import names
from gloo_api.gateway import Gateway
from gloo_api.meta import Problem
from gloo_api.route_table import RouteTable
from gloo_api.status import EdgeState
from gloo_api.upstream import Upstream
from gloo_api.virtual_service import VirtualService

Realise = Callable[[str], str]
"""Turns an IP address as the Kubernetes API writes it into the one that a socket may open."""


class Key(NamedTuple):
    """Namespace first, as Kubernetes sorts; equal to a plain tuple of the two."""

    namespace: str
    name: str


class ObjectRef(NamedTuple):
    """An object that a report is about. `kind` is `Upstream`, `Gateway`, `VirtualService` or `RouteTable`."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Service:
    """What of a Kubernetes Service matters here. `port_names` maps port numbers to port names (empty for a single unnamed port)."""

    port_names: Mapping[int, str]
    selector: Mapping[str, str] = field(default_factory=dict)
    ip_family: str = ""
    external_name: str = ""

    @classmethod
    def from_object(cls, value: Mapping[str, Any]) -> Service:
        """From the object as the API server gives it. UDP and SCTP ports are left out."""
        spec = value.get("spec") or {}
        ports = (port for port in spec.get("ports") or () if port.get("protocol", "TCP") == "TCP")
        return cls(
            port_names={port["port"]: port.get("name") or "" for port in ports},
            selector=dict(spec.get("selector") or {}),
            ip_family=next(iter(spec.get("ipFamilies") or ()), ""),
            external_name=spec.get("externalName") or "",
        )


@dataclass(frozen=True)
class SliceEndpoint:
    """One endpoint of a slice; what a condition's absence means is decided already (ready: true, serving: as ready, terminating: false)."""

    addresses: tuple[str, ...]
    ready: bool = True
    serving: bool = True
    terminating: bool = False


@dataclass(frozen=True)
class EndpointSlice:
    """What of an EndpointSlice matters here. `service` is its owner; `ports` maps port names to port numbers."""

    service: Key
    address_type: str
    ports: Mapping[str, int]
    endpoints: tuple[SliceEndpoint, ...]

    @classmethod
    def from_object(cls, value: Mapping[str, Any]) -> EndpointSlice:
        """From the object as the API server gives it."""
        meta = value["metadata"]
        service = (meta.get("labels") or {}).get("kubernetes.io/service-name", "")
        ports = (port for port in value.get("ports") or () if port.get("protocol", "TCP") == "TCP" and port.get("port"))
        return cls(
            service=Key(meta.get("namespace", ""), service),
            address_type=value.get("addressType", "IPv4"),
            ports={port.get("name") or "": port["port"] for port in ports},
            endpoints=tuple(_slice_endpoint(endpoint) for endpoint in value.get("endpoints") or ()),
        )


def _slice_endpoint(value: Mapping[str, Any]) -> SliceEndpoint:
    conditions = value.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    return SliceEndpoint(
        addresses=tuple(value.get("addresses") or ()),
        ready=ready,
        serving=ready if serving is None else bool(serving),
        terminating=bool(conditions.get("terminating")),
    )


@dataclass(frozen=True)
class TlsSecret:
    """A Secret of type kubernetes.io/tls, PEM. `ca` is the optional `ca.crt`. The key never appears in a repr."""

    certificate_chain: bytes = b""
    private_key: bytes = field(default=b"", repr=False)
    ca: bytes = b""
    refused: str = ""
    """Why a newer version is not used and this one still is; empty: this is the newest."""

    @classmethod
    def from_data(cls, data: Mapping[str, bytes]) -> TlsSecret:
        """From the (base64-decoded) data of the Secret; what is missing stays empty and is reported where the secret is used."""
        return cls(certificate_chain=data.get("tls.crt", b""), private_key=data.get("tls.key", b""), ca=data.get("ca.crt", b""))


@dataclass(frozen=True)
class ProxyRef:
    """The proxy that is translated for. `bind_address` (from its node metadata) replaces `::` and `0.0.0.0` of a Gateway."""

    namespace: str
    name: str = names.DEFAULT_PROXY
    bind_address: str | None = None


@dataclass(frozen=True)
class GlooInputs:
    """One consistent view of a cluster. Keys are (namespace, name). Objects that did not parse are not in it: report their problems
    (`InvalidResource.problems`) directly, and put the last good version here so that it keeps serving."""

    upstreams: Mapping[Key, Upstream] = field(default_factory=dict)
    gateways: Mapping[Key, Gateway] = field(default_factory=dict)
    virtual_services: Mapping[Key, VirtualService] = field(default_factory=dict)
    route_tables: Mapping[Key, RouteTable] = field(default_factory=dict)
    services: Mapping[Key, Service] = field(default_factory=dict)
    endpoint_slices: Mapping[Key, EndpointSlice] = field(default_factory=dict)
    secrets: Mapping[Key, TlsSecret] = field(default_factory=dict)

    @cached_property
    def slices_by_service(self) -> Mapping[Key, Sequence[EndpointSlice]]:
        """The slices of each Service, in the order of their keys. Every Upstream asks, so they are sorted out once."""
        found: dict[Key, list[EndpointSlice]] = {}
        for _, item in sorted(self.endpoint_slices.items()):
            found.setdefault(item.service, []).append(item)
        return found


@dataclass(frozen=True)
class IndexedInputs(GlooInputs):
    """Inputs that may change in place, with an index that whoever changes them keeps."""

    index: Mapping[Key, Sequence[EndpointSlice]] = field(default_factory=dict)

    @property
    def slices_by_service(self) -> Mapping[Key, Sequence[EndpointSlice]]:
        return self.index


@dataclass(frozen=True)
class Report:
    """What the translation has to say about one object. A rejected object serves nothing; a warned one serves all but what is named."""

    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def state(self) -> EdgeState:
        if self.errors:
            return EdgeState.REJECTED
        return EdgeState.WARNING if self.warnings else EdgeState.ACCEPTED

    @property
    def reason(self) -> str:
        """For `status.reason`: every problem, errors first; empty when there is none."""
        return "; ".join(str(problem) for problem in self.errors + self.warnings)


@dataclass(frozen=True)
class Translation:
    """Everything one proxy gets, by resource name, and the report on every object that was read.

    `endpoints` has an entry for each cluster of type EDS, under the cluster's own name. `endpoint_versions` mixes the version of the cluster into
    that of its endpoints: a changed cluster warms until it gets its endpoints again (even when they did not change), so a server that compares these
    versions sends them again by itself. Other types: `content_version` of the message.
    """

    clusters: Mapping[str, Message]
    endpoints: Mapping[str, Message]
    listeners: Mapping[str, Message]
    routes: Mapping[str, Message]
    secrets: Mapping[str, Message] = field(repr=False)
    reports: Mapping[ObjectRef, Report]

    @property
    def endpoint_versions(self) -> Mapping[str, str]:
        return {name: content_version(self.clusters[name], message) for name, message in self.endpoints.items()}


def content_version(*messages: Message) -> str:
    """The same for equal content, in every process: a hash of the deterministic encoding."""
    digest = hashlib.sha256()
    for message in messages:
        encoded = message.SerializeToString(deterministic=True)
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()[:16]
