"""The loop of `gloo`: changes in the cluster → what they change in the translation → snapshots of the proxies, and reports on the objects.

It is level-triggered: an object that changed is read as it is when its turn comes, so nothing is lost when changes come in a burst. Changes within a
few milliseconds are taken together; of a flood a bounded number at a time, endpoints first, with as much time for everything else in between as each
took. Nothing is published before everything watched has been read and translated once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping

from controlplane import metrics
from controlplane.gloo import status
from controlplane.gloo.inputs import TABLES, Inputs
from controlplane.gloo.kinds import REPORTED
from controlplane.gloo.refusals import refusals
from controlplane.kube.backoff import Backoff
from controlplane.kube.objects import ENDPOINT_SLICE, Kind, Object
from controlplane.translation.results import Resources
from controlplane.translation.translator import Change, Translator, everything
from controlplane.translation.types import Key, ObjectRef, ProxyRef, Realise, Report
from controlplane.xds.cache import ProxyKey, SnapshotCache
from controlplane.xds.resources import Resource, ResourceType
from controlplane.xds.snapshot import Changes, Snapshot
from gloo_api import names

log = logging.getLogger(__name__)

DEBOUNCE_SECONDS = 0.005
BATCH = 128
"""Objects that are taken at a time: some tens of milliseconds of work."""
IDLE_PROXY_SECONDS = 600.0

OnReports = Callable[[Mapping[ObjectRef, Report | None]], None]


class Publisher:
    """`get` reads an object of the cluster as it is now (None: it is not there); `report` receives the reports that have changed.

    `namespace` is that of the control plane. Tell `changed` about every object, from the first one on.
    """

    def __init__(
        self, *, cache: SnapshotCache, namespace: str, get: Callable[[Kind, Key], Object | None], report: OnReports, realise: Realise
    ) -> None:
        self._cache = cache
        self._namespace = namespace
        self._get = get
        self._report = report
        self._realise = realise
        self._wake = asyncio.Event()
        self._waiting: dict[Kind, dict[Key, None]] = {kind: {} for kind in TABLES}
        self._inputs = Inputs()
        self._translator = self._new_translator()
        self._untranslated: set[Change] = set()
        self._afresh = True
        """Snapshots are published whole: what proxies have is not known to the translator."""
        self._refused: Mapping[ObjectRef, frozenset[str]] = {}
        self._unreported: set[ObjectRef] = set()
        self.published = asyncio.Event()
        """Set when everything has been published once."""
        cache.on_interest = self._wake.set
        cache.on_rejections = self._wake.set

    def changed(self, kind: Kind, key: tuple[str, str]) -> None:
        """An object has come, gone or changed."""
        if kind in self._waiting:
            self._waiting[kind][Key(*key)] = None
            self._wake.set()

    async def run(self) -> None:
        """Publish until cancelled. To be started when everything watched has been read."""
        backoff = Backoff(first=0.5, cap=60.0)
        self._wake.set()
        while True:
            await self._wake.wait()
            await asyncio.sleep(DEBOUNCE_SECONDS if self.published.is_set() else 0)
            self._wake.clear()
            started = time.perf_counter()
            try:
                if self.publish():
                    self._wake.set()
                backoff.reset()
                await asyncio.sleep(time.perf_counter() - started if self.published.is_set() else 0)
            except Exception:  # A defect must not end the process: the proxies keep what they have, and it is tried again with a clean slate.
                log.exception("translation failed; the proxies keep what they have")
                self._translator = self._new_translator()
                self._untranslated |= everything(self._inputs.now)
                self._afresh = True
                self._wake.set()
                await asyncio.sleep(backoff.next())

    def publish(self) -> bool:
        """One step: translate some of what has changed, for every proxy that is connected or that a Gateway names. True when there is more."""
        started = time.perf_counter()
        batch = self._take()
        for kind, key, obj in batch:
            self._untranslated |= self._inputs.read(kind, key, obj)
            if kind.kind in REPORTED:
                self._unreported.add(ObjectRef(kind.kind, *key))
        self._cache.prune(idle_seconds=IDLE_PROXY_SECONDS)
        connected = {key: _proxy(key) for key in self._cache.keys()}  # noqa: SIM118 - it is no mapping
        changes = self._translator.update(self._untranslated, proxies={*connected.values(), *self._named(connected)})
        self._untranslated = set()
        more = any(self._waiting.values())
        if more and not self.published.is_set():
            return True
        published = [key for key, proxy in connected.items() if self._send(key, proxy, changes[proxy])]
        self._afresh = False
        self._send_reports()
        self.published.set()
        took = time.perf_counter() - started
        metrics.TRANSLATION_SECONDS.observe(took)
        log.debug("translated", extra={"objects": len(batch), "proxies": len(published), "milliseconds": round(took * 1000, 1), "more": more})
        return more

    def _new_translator(self) -> Translator[Resource]:
        return Translator(self._inputs.now, realise=self._realise, pack=Resource.pack, on_defect=_log_defect)

    def _take(self) -> list[tuple[Kind, Key, Object | None]]:
        """The next objects to read. What others refer to comes before these; what is gone, after those that referred to it."""
        batch: list[tuple[Kind, Key, Object | None]] = []
        for kind, waiting in self._waiting.items():
            for key in list(waiting):
                if len(batch) == BATCH:
                    return batch
                obj = self._get(kind, key)
                if obj is not None or kind == ENDPOINT_SLICE:
                    del waiting[key]
                    batch.append((kind, key, obj))
        for kind, waiting in reversed(self._waiting.items()):
            gone = list(waiting)[: BATCH - len(batch)]
            batch += [(kind, key, self._get(kind, key)) for key in gone]
            for key in gone:
                del waiting[key]
        return batch

    def _named(self, connected: Mapping[ProxyKey, ProxyRef]) -> Collection[ProxyRef]:
        """Proxies without an Envoy, so that objects have a status before the first one connects."""
        named = {names.DEFAULT_PROXY} | {proxy for gateway in self._inputs.now.gateways.values() for proxy in gateway.spec.proxy_names}
        there = {(proxy.namespace, proxy.name) for proxy in connected.values()}
        return [ProxyRef(namespace=self._namespace, name=name) for name in sorted(named) if (self._namespace, name) not in there]

    def _send(self, key: ProxyKey, proxy: ProxyRef, changes: Resources[Resource]) -> bool:
        if self._afresh or self._cache.snapshot(key) is None:
            return self._cache.publish(key, Snapshot().apply(_changes(self._translator.resources(proxy))))
        return bool(changes) and self._cache.apply(key, _changes(changes))

    def _send_reports(self) -> None:
        refused = refusals(self._cache.rejections(), inputs=self._inputs.now, users_of=self._translator.users_of)
        self._unreported.update(self._translator.reports.take_changed())
        self._unreported.update(ref for ref in refused.keys() | self._refused.keys() if refused.get(ref) != self._refused.get(ref))
        self._refused = refused
        if self._unreported:
            self._report({ref: self._final(ref) for ref in self._unreported})
            self._unreported = set()

    def _final(self, ref: ObjectRef) -> Report | None:
        said = self._translator.reports.get(ref)
        return status.final(said, invalid=self._inputs.problems(ref), refusals=self._refused.get(ref, ()))


def _proxy(key: ProxyKey) -> ProxyRef:
    namespace, _, name = key.role.partition("~")
    if not (namespace and name):  # No proxy of ours: it gets no listener.
        namespace, name = key.role, ""
    return ProxyRef(namespace=namespace, name=name, bind_address=key.bind_address or None)


def _changes(resources: Resources[Resource]) -> Changes:
    return {
        ResourceType.CLUSTER: resources.clusters,
        ResourceType.ENDPOINT: resources.endpoints,
        ResourceType.SECRET: resources.secrets,
        ResourceType.LISTENER: resources.listeners,
        ResourceType.ROUTE: resources.routes,
    }


def _log_defect(ref: ObjectRef, error: Exception) -> None:
    log.error("an object cannot be translated; what it served before stays", extra={"object": str(ref)}, exc_info=error)
