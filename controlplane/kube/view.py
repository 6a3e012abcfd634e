"""A view of one cluster: all the informers on one API server, as one thing that is synced or not, lost or not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from controlplane.kube.informer import Informer, Lost, OnChange, Source
from controlplane.kube.objects import Key, Kind, Object

log = logging.getLogger(__name__)


class ClusterView:
    """Informers by kind; a kind may be watched in several namespaces, each with a watch (and so a right) of its own.

    `on_lost` is called when `lost` has changed.
    """

    def __init__(self, source: Source, *, on_change: OnChange, on_lost: Callable[[], None] = lambda: None) -> None:
        self._source = source
        self._on_change = on_change
        self._on_lost = on_lost
        self._informers: list[Informer] = []
        self.lost: Lost | None = None
        """Set while the API server does not answer some watch: since when the first one is without, and why."""

    def watch(self, kind: Kind, *, namespaces: Iterable[str | None] = (None,), **options: Any) -> None:
        """Watch `kind` in each of `namespaces` (None: in all). For `options` see Informer."""
        for namespace in dict.fromkeys(namespaces):
            informer = Informer(self._source, kind, namespace=namespace, on_change=self._on_change, on_lost=self._heed, **options)
            self._informers.append(informer)

    def objects(self, kind: Kind) -> dict[Key, Object]:
        """All known objects of `kind`."""
        return {key: obj for informer in self._informers if informer.kind == kind for key, obj in informer.objects.items()}

    def keys(self, kind: Kind) -> Iterator[Key]:
        """The keys of all known objects of `kind`."""
        return (key for informer in self._informers if informer.kind == kind for key in informer.objects)

    def get(self, kind: Kind, key: Key) -> Object | None:
        return next((informer.objects[key] for informer in self._informers if informer.kind == kind and key in informer.objects), None)

    def unsynced(self) -> list[str]:
        """What has not been listed yet; empty when the view is complete."""
        return sorted({informer.kind.plural for informer in self._informers if not informer.synced.is_set()})

    def _heed(self) -> None:
        without = [informer.lost for informer in self._informers if informer.lost is not None]
        if bool(without) == (self.lost is not None):
            return
        self.lost = min(without, key=lambda lost: lost.since, default=None)
        if self.lost is not None:
            log.warning("API server lost; what is known is kept", extra={"server": self._source.server, "reason": self.lost.reason})
        else:
            log.info("API server is back", extra={"server": self._source.server})
        self._on_lost()

    async def synced(self) -> None:
        """Wait until everything has been listed once."""
        for informer in self._informers:
            await informer.synced.wait()

    async def run(self) -> None:
        """Keep the view true until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._informers:
                group.create_task(informer.run())
