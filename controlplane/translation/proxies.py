"""What one proxy has: which Gateways are its own, which results it was given, which secrets it needs for them. Changes go out as differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Generic

from controlplane.translation import tcp
from controlplane.translation.results import ClusterEntry, ClusterKey, GatewayEntry, R, Resources
from controlplane.translation.types import Key, ProxyRef
from gloo_api import names
from gloo_api.gateway import Gateway


class ProxyState(Generic[R]):
    """The state of one proxy. `changes` collects what differs for it; who drives it takes them."""

    def __init__(self, ref: ProxyRef) -> None:
        self.ref = ref
        self.gateways: tuple[Gateway, ...] = ()
        self.port_owners: dict[Key, Key] = {}
        """Of each Gateway whose port another one has: that other one."""
        self.clusters: dict[Key, tuple[bool, ClusterEntry[R]]] = {}
        """By Upstream: whether a TCP listener can reach it, and what that gave."""
        self.entries: dict[Key, GatewayEntry[R]] = {}
        self.changes: Resources[R] = Resources()
        self._users: Counter[Key] = Counter()
        self._touched: set[Key] = set()
        self._secrets: dict[Key, Mapping[str, R]] = {}

    def choose(self, gateways: Mapping[Key, Gateway]) -> None:
        """Take the Gateways that are in the proxy's namespace and name it, the oldest first; of two with one port the older one has it."""
        found = (item for item in gateways.values() if item.metadata.namespace == self.ref.namespace and self.ref.name in item.spec.proxy_names)
        self.gateways = tuple(sorted(found, key=lambda item: item.age_key))
        ports: dict[int, Key] = {}
        self.port_owners = {}
        for gateway in self.gateways:
            key = Key(*gateway.key)
            owner = ports.setdefault(gateway.spec.bind_port, key)
            if owner != key:
                self.port_owners[key] = owner

    def reaches_by_tcp(self, upstream: Key) -> bool:
        cluster = names.cluster_name(upstream.name, upstream.namespace)
        return any(tcp.exposes(gateway, cluster=cluster, upstream=upstream) for gateway in self.gateways)

    def put_cluster(self, key: ClusterKey, entry: ClusterEntry[R]) -> None:
        _, before = self.clusters.get(key.upstream, (key.by_tcp, None))
        self.clusters[key.upstream] = key.by_tcp, entry
        if entry is not before:
            self._replace(before or _without(entry), entry)

    def drop_cluster(self, upstream: Key) -> None:
        _, before = self.clusters.pop(upstream, (False, None))
        if before is not None:
            self._replace(before, _without(before))

    def _replace(self, before: ClusterEntry[R], after: ClusterEntry[R]) -> None:
        self._use(after.secrets, instead_of=before.secrets)
        if after.cluster != before.cluster:
            self.changes.clusters[after.name] = after.cluster
        if after.assignment != before.assignment:
            self.changes.endpoints[after.name] = after.assignment

    def put_gateways(self, entries: Mapping[Key, GatewayEntry[R]]) -> None:
        """All of the proxy's Gateways. Taken together, because one may take over the name of another's listener."""
        before, self.entries = self.entries, dict(entries)
        for key in before.keys() | entries.keys():
            self._use(entries[key].secrets if key in entries else (), instead_of=before[key].secrets if key in before else ())
        _differences([each.listeners for each in before.values()], [each.listeners for each in entries.values()], into=self.changes.listeners)
        _differences([each.routes for each in before.values()], [each.routes for each in entries.values()], into=self.changes.routes)

    def settle_secrets(self, secrets: Mapping[Key, Mapping[str, R]], *, changed: Iterable[Key]) -> None:
        """Give the proxy the secrets that it needs, in their present version. `secrets`: all there are, by Secret and SDS name."""
        touched, self._touched = self._touched.union(key for key in changed if self._users[key]), set()
        for key in touched:
            wanted = secrets.get(key, {}) if self._users[key] else {}
            _differences([self._secrets.pop(key, {})], [wanted], into=self.changes.secrets)
            if wanted:
                self._secrets[key] = wanted
            if not self._users[key]:
                del self._users[key]

    def everything(self) -> Resources[R]:
        found = [entry for _, entry in self.clusters.values()]
        return Resources(
            clusters={entry.name: entry.cluster for entry in found if entry.cluster is not None},
            endpoints={entry.name: entry.assignment for entry in found if entry.assignment is not None},
            secrets={name: resource for each in self._secrets.values() for name, resource in each.items()},
            listeners={name: resource for each in self.entries.values() for name, resource in each.listeners.items()},
            routes={name: resource for each in self.entries.values() for name, resource in each.routes.items()},
        )

    def take_changes(self) -> Resources[R]:
        changes, self.changes = self.changes, Resources()
        return changes

    def _use(self, secrets: Iterable[Key], *, instead_of: Iterable[Key]) -> None:
        for used, number in ((secrets, 1), (instead_of, -1)):
            for key in used:
                self._users[key] += number
                self._touched.add(key)


def _without(entry: ClusterEntry[R]) -> ClusterEntry[R]:
    return replace(entry, cluster=None, assignment=None, destination=None, secrets=())


def _differences(before: Iterable[Mapping[str, R]], after: Iterable[Mapping[str, R]], *, into: dict[str, R | None]) -> None:
    old = {name: resource for each in before for name, resource in each.items()}
    new = {name: resource for each in after for name, resource in each.items()}
    into.update((name, None) for name in old if name not in new)
    into.update((name, resource) for name, resource in new.items() if name not in old or old[name] != resource)
