"""The loop of `gloo`: changes in the cluster → one consistent translation for each proxy → snapshots, and reports for the objects.

It is level-triggered: every run looks at everything, so nothing is lost when changes come in a burst, and a restart needs no memory. Changes within
a few milliseconds are taken together. Nothing is published before everything watched has been read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from controlplane.gloo import status
from controlplane.gloo.inputs import InputBuilder, Stores
from controlplane.gloo.refusals import refusals
from controlplane.translation import translate
from controlplane.translation.types import GlooInputs, ObjectRef, ProxyRef, Realise, Report, Translation
from controlplane.xds.cache import ProxyKey, SnapshotCache
from controlplane.xds.snapshot import Snapshot
from gloo_api import names
from gloo_api.meta import Problem

log = logging.getLogger(__name__)

DEBOUNCE_SECONDS = 0.005
IDLE_PROXY_SECONDS = 600.0


class Publisher:
    """`stores` reads the cluster as it is now; `report` receives the reports of each run. `namespace` is that of the control plane."""

    def __init__(
        self,
        *,
        cache: SnapshotCache,
        namespace: str,
        stores: Callable[[], Stores],
        report: Callable[[Mapping[ObjectRef, Report]], None],
        realise: Realise,
    ) -> None:
        self._cache = cache
        self._namespace = namespace
        self._stores = stores
        self._report = report
        self._realise = realise
        self._dirty = asyncio.Event()
        self._builder = InputBuilder()
        self._inputs = GlooInputs()
        self._invalid: Mapping[ObjectRef, tuple[Problem, ...]] = {}
        self._translations: dict[ProxyKey, Translation] = {}
        self.published = asyncio.Event()
        """Set when the first run of this process is complete."""
        cache.on_interest = self.changed
        cache.on_rejections = self._on_rejections

    def changed(self) -> None:
        """Something that a translation reads has changed."""
        self._dirty.set()

    async def run(self) -> None:
        """Publish until cancelled. To be started when the stores are complete."""
        self._dirty.set()
        while True:
            await self._dirty.wait()
            await asyncio.sleep(DEBOUNCE_SECONDS)
            self._dirty.clear()
            try:
                self.publish()
            except Exception:  # A defect of a translation must not end the process: the proxies keep what they have, the next change is tried.
                log.exception("translation failed; the proxies keep what they have")

    def publish(self) -> None:
        """One run: translate everything for every proxy that is connected or that a Gateway names."""
        started = time.perf_counter()
        self._inputs, self._invalid = self._builder.build(self._stores())
        self._cache.prune(idle_seconds=IDLE_PROXY_SECONDS)
        connected = self._cache.keys()
        self._translations = {}
        published = 0
        for key in self._proxies(connected):
            namespace, _, name = key.role.partition("~")
            proxy = ProxyRef(namespace=namespace, name=name, bind_address=key.bind_address or None)
            self._translations[key] = translation = translate(self._inputs, proxy=proxy, realise=self._realise)
            if key in connected:
                published += self._cache.publish(key, _pack(translation, previous=self._cache.snapshot(key)))
        self._send_reports()
        self.published.set()
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        log.debug("translated", extra={"proxies": len(self._translations), "changed": published, "milliseconds": milliseconds})

    def _proxies(self, connected: list[ProxyKey]) -> list[ProxyKey]:
        """Also those without an Envoy, so that objects have a status before the first one connects."""
        named = {names.DEFAULT_PROXY} | {proxy for gateway in self._inputs.gateways.values() for proxy in gateway.spec.proxy_names}
        roles = {names.proxy_role(name, self._namespace) for name in named} - {key.role for key in connected}
        return connected + [ProxyKey(role=role) for role in sorted(roles)]

    def _on_rejections(self) -> None:
        if self.published.is_set():
            self._send_reports()

    def _send_reports(self) -> None:
        refused = refusals(self._cache.rejections(), inputs=self._inputs)
        self._report(status.merge((each.reports for each in self._translations.values()), invalid=self._invalid, refusals=refused))


def _pack(translation: Translation, *, previous: Snapshot | None) -> Snapshot:
    return Snapshot.pack(
        clusters=translation.clusters,
        endpoints=translation.endpoints,
        secrets=translation.secrets,
        listeners=translation.listeners,
        routes=translation.routes,
        previous=previous,
    )
