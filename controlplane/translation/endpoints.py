"""Endpoints: which addresses an Upstream has, and the assignment that says so to Envoy.

Addresses are those that a socket can open (`realise`). Failover endpoints have a file of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from controlplane.translation import wire
from controlplane.translation.reporter import Reporter
from controlplane.translation.types import EndpointSlice, GlooInputs, Key, Realise, SliceEndpoint
from gloo_api.failover import Locality
from gloo_api.upstream import KubeUpstream

MAX_WEIGHT = 2**32 - 1
TLS_MATCH = "tls"
"""Key below `envoy.transport_socket_match` by which an endpoint names the TLS settings it is dialled with."""


@dataclass(frozen=True)
class Endpoint:
    """One address. `tls` names a transport socket match; None means the transport socket of the cluster."""

    host: str
    port: int
    weight: int | None = None
    tls: str | None = None
    check_port: int | None = None
    check_host: str = ""


@dataclass(frozen=True)
class Group:
    """Endpoints in one place."""

    endpoints: tuple[Endpoint, ...]
    locality: Locality | None = None
    weight: int | None = None


Priorities = Sequence[Sequence[Group]]
"""Groups by priority: the first serves while it is healthy. A priority without endpoints keeps its place."""


def kube_endpoints(kube: KubeUpstream, *, inputs: GlooInputs, realise: Realise, report: Reporter) -> tuple[Endpoint, ...]:
    """Ready endpoints of a Service's port; when none is ready, those that still serve while they end. As kube-proxy has it."""
    key = Key(kube.service_namespace, kube.service_name)
    service = inputs.services.get(key)
    if service is None:
        report.warn("spec.kube.serviceName", f"Service {key.namespace}/{key.name} does not exist; the Upstream has no endpoints of its own")
        return ()
    if service.external_name:
        report.warn("spec.kube.serviceName", f"Service {key.namespace}/{key.name} is an ExternalName, which has no endpoints; use spec.static")
        return ()
    if kube.service_port not in service.port_names:
        ports = ", ".join(str(port) for port in sorted(service.port_names)) or "none"
        report.warn("spec.kube.servicePort", f"{kube.service_port} is no TCP port of Service {key.namespace}/{key.name}; allowed: {ports}")
        return ()
    foreign = dict(kube.selector.items() - service.selector.items())
    if foreign:
        report.error(
            "spec.kube.selector", f"{foreign} is not in the selector of Service {key.namespace}/{key.name}; parts of a Service are not supported"
        )
        return ()
    slices = inputs.slices_by_service.get(key, ())
    port_name = service.port_names[kube.service_port]
    return tuple(Endpoint(host=realise(host), port=port) for host, port in _addresses(slices, port_name=port_name, family=service.ip_family))


def _addresses(slices: Iterable[EndpointSlice], *, port_name: str, family: str) -> list[tuple[str, int]]:
    usable = [item for item in slices if item.address_type != "FQDN" and port_name in item.ports]
    # A dual-stack Service has a slice for each family: one of them is enough, or every pod would count twice.
    families = {item.address_type for item in usable}
    wanted = family if family in families else min(families, default="")
    found = [(endpoint, item.ports[port_name]) for item in usable if item.address_type == wanted for endpoint in item.endpoints]
    ready = _unique((endpoint, port) for endpoint, port in found if endpoint.ready)
    return ready or _unique((endpoint, port) for endpoint, port in found if endpoint.serving and endpoint.terminating)


def _unique(endpoints: Iterable[tuple[SliceEndpoint, int]]) -> list[tuple[str, int]]:
    """Sorted, so that a change in the order of a slice changes nothing; a pod is in two slices for a moment when it moves between them."""
    return sorted({(endpoint.addresses[0], port) for endpoint, port in endpoints if endpoint.addresses})


def check_weights(weights: Iterable[int | None], *, path: str, report: Reporter) -> None:
    """Envoy refuses endpoints, or localities, whose weights add up to more than 32 bits."""
    if (total := sum(weight or 1 for weight in weights)) > MAX_WEIGHT:
        report.error(path, f"the values of loadBalancingWeight add up to {total}; allowed is at most {MAX_WEIGHT}")


def realised(host: str, realise: Realise) -> str:
    """IP addresses are realised; host names are resolved by Envoy."""
    return realise(host) if wire.is_ip(host) else host


def load_assignment(name: str, priorities: Priorities, *, overprovisioning_factor: int | None, weighted: bool) -> endpoint_pb2.ClusterLoadAssignment:
    """The endpoints of a cluster. `weighted`: weights of localities count, so that every locality gets one."""
    assignment = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    if overprovisioning_factor is not None:
        assignment.policy.overprovisioning_factor.value = overprovisioning_factor
    for priority, groups in enumerate(priorities):
        seen = {("", "", "")} if len(groups) > 1 else set()
        # An empty priority is sent too: endpoints that move up to fill a gap would have to prove their health again.
        for group in groups or (Group(endpoints=()),):
            message = assignment.endpoints.add(priority=priority)
            _fill(message, group)
            if weighted:
                message.load_balancing_weight.value = group.weight or 1
                _tell_apart(message.locality, seen)
    return assignment


def _fill(message: endpoint_components_pb2.LocalityLbEndpoints, group: Group) -> None:
    if (place := group.locality) is not None:
        message.locality.CopyFrom(base_pb2.Locality(region=place.region, zone=place.zone, sub_zone=place.sub_zone))
    for endpoint in group.endpoints:
        _lb_endpoint(message.lb_endpoints.add(), endpoint)


def _tell_apart(locality: base_pb2.Locality, seen: set[tuple[str, str, str]]) -> None:
    """Envoy makes one of two groups in the same place, with the weight of the last, and lets one without a place get nothing beside others.

    So each of several gets a place of its own; `seen` holds those that are taken.
    """
    if (locality.region, locality.zone, locality.sub_zone) in seen:
        locality.sub_zone = f"{locality.sub_zone}#{len(seen)}"
    seen.add((locality.region, locality.zone, locality.sub_zone))


def _lb_endpoint(message: endpoint_components_pb2.LbEndpoint, endpoint: Endpoint) -> None:
    address = message.endpoint.address.socket_address
    address.address = endpoint.host
    address.port_value = endpoint.port
    if endpoint.weight is not None:
        message.load_balancing_weight.value = endpoint.weight
    if endpoint.tls is not None:
        message.metadata.filter_metadata["envoy.transport_socket_match"].fields[TLS_MATCH].string_value = endpoint.tls
    # An empty health_check_config is not the same as none: it would make Envoy ignore the check's own host.
    if endpoint.check_port is not None:
        message.endpoint.health_check_config.port_value = endpoint.check_port
    if endpoint.check_host:
        message.endpoint.health_check_config.hostname = endpoint.check_host
