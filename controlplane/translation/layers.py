"""The three layers of a translation, each as a function of one object that reads everything else through views. See translator.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic

from envoy.config.route.v3 import route_components_pb2, route_pb2
from google.protobuf.message import Message

from controlplane.translation import listener
from controlplane.translation.cluster import ClusterResult, translate_upstream
from controlplane.translation.reporter import Reporter, Reporters
from controlplane.translation.reports import ACCEPTED
from controlplane.translation.results import ClusterEntry, ClusterKey, GatewayEntry, GatewayKey, HostEntry, R
from controlplane.translation.route import Destination, route_configuration, virtual_host
from controlplane.translation.secrets import SecretBook, SecretFacts
from controlplane.translation.types import GlooInputs, Key, ObjectRef, Realise
from gloo_api import names
from gloo_api.virtual_service import VirtualService

Pack = Callable[[str, Message], R]
"""Makes what is kept of a message, given its resource name; equal for equal messages."""


@dataclass(frozen=True)
class Layers(Generic[R]):
    """The functions, with the views that they read. `hosts` gives what `host` made of a VirtualService; `port_owners`: see ProxyState."""

    inputs: GlooInputs
    facts: Mapping[Key, SecretFacts]
    destinations: Mapping[Key, Destination]
    hosts: Mapping[Key, HostEntry]
    port_owners: Mapping[GatewayKey, Key]
    realise: Realise
    pack: Pack[R]

    def cluster(self, key: ClusterKey) -> ClusterEntry[R]:
        """The first layer: an Upstream."""
        upstream = self.inputs.upstreams[key.upstream]
        report, secrets = Reporter(), SecretBook(self.facts)
        result = translate_upstream(upstream, inputs=self.inputs, secrets=secrets, realise=self.realise, by_tcp=key.by_tcp, report=report)
        _outdated(secrets, report=report)
        name = names.cluster_name(key.upstream.name, key.upstream.namespace)
        return ClusterEntry(
            name=name,
            cluster=self.pack(name, result.cluster) if result else None,
            assignment=self.pack(name, result.assignment) if result and result.assignment is not None else None,
            destination=_destination(name, result) if result else None,
            secrets=tuple(secrets.used),
            report=report.report(),
        )

    def host(self, key: Key) -> HostEntry:
        """The second layer: a VirtualService."""
        reports = Reporters()
        host = virtual_host(self.inputs.virtual_services[key], inputs=self.inputs, destinations=self.destinations, reports=reports)
        return HostEntry(host=host.SerializeToString(deterministic=True) if host is not None else None, reports=reports.reports())

    def gateway(self, key: GatewayKey) -> GatewayEntry[R]:
        """The third layer: a Gateway at one proxy."""
        gateway = self.inputs.gateways[key.gateway]
        reports, secrets = Reporters(), SecretBook(self.facts)
        report = reports[ObjectRef("Gateway", *key.gateway)]
        listeners: dict[str, R] = {}
        routes: dict[str, R] = {}
        if (owner := self.port_owners.get(key)) is not None:
            report.error(
                "spec.bindPort", f"{gateway.spec.bind_port} is taken by Gateway {owner.namespace}/{owner.name} of the same proxy; use another port"
            )
        else:
            services = listener.selected(gateway, self.inputs.virtual_services)
            result = listener.translate_gateway(gateway, services, proxy=key.proxy, secrets=secrets, destinations=self.destinations, reports=reports)
            if result is not None:
                listeners[result.listener.name] = self.pack(result.listener.name, result.listener)
                for name, served in result.routes.items():
                    routes[name] = self.pack(name, self._routes(name, served, reports=reports))
        _outdated(secrets, report=report)
        said = {ref: found for ref, found in reports.reports().items() if ref.kind == "Gateway" or found != ACCEPTED}
        return GatewayEntry(listeners=listeners, routes=routes, secrets=tuple(secrets.used), reports=said)

    def _routes(self, name: str, services: Iterable[VirtualService], *, reports: Reporters) -> route_pb2.RouteConfiguration:
        def host_of(service: VirtualService) -> route_components_pb2.VirtualHost | None:
            entry = self.hosts[Key(*service.key)]
            for ref, report in entry.reports.items():
                reports[ref].repeat(report)
            return None if entry.host is None else route_components_pb2.VirtualHost.FromString(entry.host)

        return route_configuration(name, services, hosts=host_of, reports=reports)


def _destination(name: str, result: ClusterResult) -> Destination:
    return Destination(cluster=name, tiers=result.tiers, retries=result.failover_retries)


def _outdated(secrets: SecretBook, *, report: Reporter) -> None:
    for key, facts in secrets.used.items():
        if facts.refused:
            report.warn(f"Secret {key.namespace}/{key.name}", f"{facts.refused}; the version before it is in use")
