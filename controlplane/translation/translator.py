"""The translation of a whole cluster for all its proxies, kept up to date: a change costs what it changes.

It puts the nouns together; what each becomes is decided in its own file. There are three layers, each a memo (see recording.py), and a result that
comes out as it was stops a change there:

    Upstream (Service, slices, facts of secrets) → cluster, endpoints, Destination                 shared by all proxies
    VirtualService (RouteTables, Destinations) → virtual host                                      shared by all proxies
    Gateway (VirtualServices, virtual hosts, Destinations, facts of secrets) → listener, routes    for each proxy by itself

The content of a secret goes past them, straight to the proxies that use it. A translation that raises, which is a defect of ours, costs its object
only: what that gave last stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Generic

from controlplane.translation.layers import Layers, Pack
from controlplane.translation.proxies import ProxyState
from controlplane.translation.recording import Memo, Read, Recorder, View
from controlplane.translation.reporter import Reporter
from controlplane.translation.reports import ReportBook, Source
from controlplane.translation.rescue import OnDefect, Rescue
from controlplane.translation.results import ClusterEntry, ClusterKey, GatewayEntry, GatewayKey, HostEntry, R, Resources
from controlplane.translation.route import Destination
from controlplane.translation.secrets import SecretFacts, secret_messages
from controlplane.translation.types import GlooInputs, IndexedInputs, Key, ObjectRef, ProxyRef, Realise, Report
from gloo_api.meta import Resource

Change = tuple[str, Key]
"""The name of one of GlooInputs' mappings (or of its index `slices_by_service`) and a key of it that has come, gone or changed."""

_PARTS = {"virtual_services": "VirtualService", "route_tables": "RouteTable"}
_NOTHING_SAID: Mapping[ObjectRef, Report] = {}


class Translator(Generic[R]):
    """`inputs` may change between two calls of `update`, which is told what has. `on_defect` hears of translations that raise; it may raise too."""

    def __init__(self, inputs: GlooInputs, *, realise: Realise, pack: Pack[R], on_defect: OnDefect) -> None:
        self.reports = ReportBook()
        self._inputs = inputs
        self._pack = pack
        self._proxies: dict[ProxyRef, ProxyState[R]] = {}
        self._facts: dict[Key, SecretFacts] = {}
        self._secrets: dict[Key, Mapping[str, R]] = {}
        self._destinations: dict[Key, Destination] = {}
        self._port_owners: dict[GatewayKey, Key] = {}
        recorder, rescue = Recorder(), Rescue(on_defect)
        views = {each.name: View(each.name, getattr(inputs, each.name), recorder) for each in fields(GlooInputs)}
        layers = Layers(
            inputs=IndexedInputs(**views, index=View("slices_by_service", inputs.slices_by_service, recorder)),
            facts=View("facts", self._facts, recorder),
            destinations=View("destinations", self._destinations, recorder),
            hosts=View("hosts", _Made(lambda key: self._hosts.get(key)), recorder),
            port_owners=View("port_owners", self._port_owners, recorder),
            realise=realise,
            pack=pack,
        )
        self._clusters: Memo[ClusterKey, ClusterEntry[R]] = Memo(recorder, layers.cluster, rescue.cluster)
        self._hosts: Memo[Key, HostEntry] = Memo(recorder, layers.host, rescue.host)
        self._gateways: Memo[GatewayKey, GatewayEntry[R]] = Memo(recorder, layers.gateway, rescue.gateway)

    @property
    def destinations(self) -> Mapping[Key, Destination]:
        """The Upstreams that have a cluster."""
        return self._destinations

    def update(self, changed: Collection[Change], *, proxies: Collection[ProxyRef]) -> dict[ProxyRef, Resources[R]]:
        """Translate what `changed` concerns (see `everything`), for `proxies`, which are all there are from now on.

        Returns what differs for each proxy from what it got before; for a new one that is all it has.
        """
        stale: set[Read] = set(changed)
        secrets = self._read_secrets(changed, stale)
        self._say_unknown_fields(changed)
        fresh, concerned = self._meet(proxies)
        if fresh or any(name == "gateways" for name, _ in changed):
            concerned |= self._choose_gateways(stale)
        concerned.update(key for name, key in changed if name == "upstreams")
        concerned.update(key.upstream for key in self._clusters.expire(stale))
        self._update_clusters(concerned, stale, fresh)
        self._update_hosts(changed, stale)
        self._update_gateways(stale, fresh)
        for state in self._proxies.values():
            state.settle_secrets(self._secrets, changed=secrets)
        return {ref: state.take_changes() for ref, state in self._proxies.items()}

    def resources(self, proxy: ProxyRef) -> Resources[R]:
        """All that one of the proxies has, as of the last update."""
        return self._proxies[proxy].everything()

    def users_of(self, secret: Key) -> set[ObjectRef]:
        """The objects that name a Secret."""
        read = ("facts", secret)
        upstreams = {ObjectRef("Upstream", *key.upstream) for key in self._clusters.readers(read)}
        return upstreams | {ObjectRef("Gateway", *key.gateway) for key in self._gateways.readers(read)}

    def _read_secrets(self, changed: Iterable[Change], stale: set[Read]) -> list[Key]:
        keys = [key for name, key in changed if name == "secrets"]
        for key in keys:
            secret = self._inputs.secrets.get(key)
            facts = SecretFacts.of(secret) if secret is not None else None
            if facts != self._facts.get(key):
                stale.add(("facts", key))
            if secret is None or facts is None:
                self._facts.pop(key, None)
                self._secrets.pop(key, None)
            else:
                self._facts[key] = facts
                usable = {} if facts.fault else secret_messages(key, secret)
                self._secrets[key] = {name: self._pack(name, message) for name, message in usable.items()}
        return keys

    def _say_unknown_fields(self, changed: Iterable[Change]) -> None:
        """Of the objects that are translated as a part of another one: so that each has a report, be it used or not."""
        for name, key in changed:
            if name not in _PARTS:
                continue
            found: Resource | None = getattr(self._inputs, name).get(key)
            report = Reporter()
            if found is not None:
                report.unknown_fields(found)
            self.reports.say(("itself",), ObjectRef(_PARTS[name], *key), report.report() if found is not None else None)

    def _meet(self, proxies: Collection[ProxyRef]) -> tuple[set[ProxyRef], set[Key]]:
        """Returns the proxies that are new, and the Upstreams that those which are gone had."""
        left: set[Key] = set()
        for ref in self._proxies.keys() - set(proxies):
            state = self._proxies.pop(ref)
            left.update(state.clusters)
            self._forget_gateways(state, state.entries)
        fresh = {ref for ref in proxies if ref not in self._proxies}
        self._proxies.update((ref, ProxyState(ref)) for ref in sorted(fresh, key=str))
        return fresh, left

    def _choose_gateways(self, stale: set[Read]) -> set[Key]:
        """Which proxy has which Gateways. Returns the Upstreams of which it has changed whether TCP reaches them. The one step that looks at all."""
        owners: dict[GatewayKey, Key] = {}
        switched: set[Key] = set()
        for ref, state in self._proxies.items():
            state.choose(self._inputs.gateways)
            owners.update((GatewayKey(ref, key), owner) for key, owner in state.port_owners.items())
            switched.update(key for key, (by_tcp, _) in state.clusters.items() if state.reaches_by_tcp(key) != by_tcp)
        stale.update(("port_owners", key) for key in owners.keys() | self._port_owners.keys() if owners.get(key) != self._port_owners.get(key))
        self._port_owners.clear()
        self._port_owners.update(owners)
        return switched

    def _update_clusters(self, concerned: set[Key], stale: set[Read], fresh: set[ProxyRef]) -> None:
        used: set[ClusterKey] = set()
        for state in self._proxies.values():
            for upstream in sorted(self._inputs.upstreams if state.ref in fresh else concerned):
                if upstream not in self._inputs.upstreams:
                    state.drop_cluster(upstream)
                    continue
                key = ClusterKey(upstream, state.reaches_by_tcp(upstream))
                used.add(key)
                entry = self._clusters.get(key)
                state.put_cluster(key, entry)
                self.reports.say(_source(key), ObjectRef("Upstream", *upstream), entry.report)
                self._set_destination(upstream, entry.destination, stale)
        for upstream in concerned:
            for key in (ClusterKey(upstream, True), ClusterKey(upstream, False)):
                if key not in used:
                    self._clusters.forget(key)
                    self.reports.say(_source(key), ObjectRef("Upstream", *upstream), None)
            if upstream not in self._inputs.upstreams:
                self._set_destination(upstream, None, stale)

    def _set_destination(self, upstream: Key, destination: Destination | None, stale: set[Read]) -> None:
        if self._destinations.get(upstream) == destination:
            return
        stale.add(("destinations", upstream))
        if destination is None:
            del self._destinations[upstream]
        else:
            self._destinations[upstream] = destination

    def _update_hosts(self, changed: Iterable[Change], stale: set[Read]) -> None:
        for name, key in changed:
            if name == "virtual_services" and key not in self._inputs.virtual_services:
                self._hosts.forget(key)
        stale.update(("hosts", key) for key in self._hosts.refresh(stale))

    def _update_gateways(self, stale: set[Read], fresh: set[ProxyRef]) -> None:
        expired = {key.proxy for key in self._gateways.expire(stale)}
        for ref, state in self._proxies.items():
            keys = [Key(*gateway.key) for gateway in state.gateways]
            gone = [key for key in state.entries if key not in keys]
            if ref not in expired and ref not in fresh and not gone and len(keys) == len(state.entries):
                continue
            before = state.entries
            entries = {key: self._gateways.get(GatewayKey(ref, key)) for key in keys}
            self._forget_gateways(state, gone)
            for key, entry in entries.items():
                said = before[key].reports if key in before else _NOTHING_SAID
                self.reports.replace(_source(GatewayKey(ref, key)), entry.reports, before=said)
            state.put_gateways(entries)

    def _forget_gateways(self, state: ProxyState[R], gateways: Iterable[Key]) -> None:
        for gateway in gateways:
            key = GatewayKey(state.ref, gateway)
            self._gateways.forget(key)
            self.reports.replace(_source(key), _NOTHING_SAID, before=state.entries[gateway].reports)


class _Made(Mapping[Key, HostEntry]):
    """The virtual hosts, each made when it is asked for."""

    def __init__(self, get: Callable[[Key], HostEntry]) -> None:
        self._get = get

    def __getitem__(self, key: Key) -> HostEntry:
        return self._get(key)

    def __iter__(self) -> Iterator[Key]:
        raise TypeError("virtual hosts are asked for by name")

    def __len__(self) -> int:
        raise TypeError("virtual hosts are asked for by name")


def everything(inputs: GlooInputs) -> set[Change]:
    """What to tell `update` when all of the inputs are new."""
    mappings: dict[str, Mapping[Key, object]] = {each.name: getattr(inputs, each.name) for each in fields(GlooInputs)}
    return {(name, key) for name, mapping in mappings.items() for key in mapping}


def _source(key: ClusterKey | GatewayKey) -> Source:
    if isinstance(key, ClusterKey):
        return ("cluster", "by tcp" if key.by_tcp else "")
    return ("gateway", key.proxy.namespace, key.proxy.name, key.proxy.bind_address or "", *key.gateway)
