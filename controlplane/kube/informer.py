"""An informer keeps the objects of one kind in memory, as an API server has them, for as long as the process lives.

It lists once, then watches; lists again only when the server has forgotten its version (410) or answered with an error; and retries without end.
While the server is lost it keeps what it knows and says since when (`lost`): stale objects are better than none. It never writes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from dataclasses import dataclass
from typing import Protocol

from controlplane.kube.backoff import Backoff
from controlplane.kube.client import Listing, WatchEvent
from controlplane.kube.errors import ApiError, Gone, KubeError, Unreachable
from controlplane.kube.objects import Key, Kind, Object, content, key_of, resource_version
from controlplane.kube.packed import PackedObjects

log = logging.getLogger(__name__)

_LASTING_SECONDS = 1.0


class Source(Protocol):
    """What an informer needs of a client."""

    @property
    def server(self) -> str: ...

    def pages(self, kind: Kind, *, namespace: str | None = None, field_selector: str | None = None) -> AsyncIterator[Listing]: ...

    def watch(self, kind: Kind, *, version: str, namespace: str | None = None, field_selector: str | None = None) -> AsyncIterator[WatchEvent]: ...


@dataclass(frozen=True)
class Lost:
    """The API server does not answer, or not with objects."""

    since: float
    """Unix time."""
    reason: str


OnChange = Callable[[Kind, Key], None]


class Informer:
    """`on_change(kind, key)` is called when an object has come, gone or changed in what matters (see `content`); `on_lost()` when `lost` changed;
    `on_status(kind, key)` when only the status has changed and that does not matter to `on_change`.

    `status`: whether a change of only the object's status counts. `keep_managers`: whether managedFields (large) are kept.
    `packed`: objects are kept as text (see PackedObjects).
    """

    def __init__(
        self,
        source: Source,
        kind: Kind,
        *,
        on_change: OnChange,
        on_lost: Callable[[], None] = lambda: None,
        on_status: OnChange = lambda kind, key: None,
        namespace: str | None = None,
        field_selector: str | None = None,
        status: bool = True,
        keep_managers: bool = False,
        packed: bool = False,
        backoff: Backoff | None = None,
    ) -> None:
        self.kind = kind
        self.objects: MutableMapping[Key, Object] = PackedObjects() if packed else {}
        self.synced = asyncio.Event()
        self.lost: Lost | None = None
        self._source = source
        self._on_change = on_change
        self._on_lost = on_lost
        self._on_status = on_status
        self._namespace = namespace
        self._field_selector = field_selector
        self._status = status
        self._keep_managers = keep_managers
        self._backoff = backoff or Backoff()
        self._lasted = False

    async def run(self) -> None:
        """Keep `objects` true until cancelled."""
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list()
                    self.synced.set()
                    self._found()
                async for event in self._watch(version):
                    self._found()
                    version = self._take(event) or version
                if self._lasted:
                    continue
            except Gone:
                log.debug("version expired, listing again", extra=self._extra())
                version = ""
            except Unreachable as error:
                self._missed(error)
            except ApiError as error:
                self._missed(error)
                version = ""
            except (ValueError, KeyError, TypeError) as error:
                # Not a Kubernetes answer (a proxy's page, a cut line). Start over rather than trust a part of it.
                self._missed(error)
                version = ""
            await asyncio.sleep(self._backoff.next())

    async def _watch(self, version: str) -> AsyncIterator[WatchEvent]:
        """One watch request; one that lasted counts as a success, one that ends at once as a failure, however it ends."""
        started = time.monotonic()
        try:
            async for event in self._source.watch(self.kind, version=version, namespace=self._namespace, field_selector=self._field_selector):
                yield event
        finally:
            self._lasted = time.monotonic() - started > _LASTING_SECONDS
            if self._lasted:
                self._backoff.reset()

    async def _list(self) -> str:
        """Take everything that is there, and away what is not. Returns the version from which to watch."""
        gone = set(self.objects)
        version = ""
        async for part in self._source.pages(self.kind, namespace=self._namespace, field_selector=self._field_selector):
            for item in part.items:
                gone.discard(key_of(item))
                self._put(item)
            version = part.version
        for key in gone:
            self._remove(key)
        return version

    def _take(self, event: WatchEvent) -> str:
        if event.type == "OPEN":
            return ""
        if event.type == "DELETED":
            self._remove(key_of(event.object))
        elif event.type in ("ADDED", "MODIFIED"):
            self._put(event.object)
        self._backoff.reset()
        return resource_version(event.object)

    def _put(self, item: Object) -> None:
        key = key_of(item)
        before = self.objects.get(key)
        if not self._keep_managers and "managedFields" in item["metadata"]:
            item = {**item, "metadata": {name: value for name, value in item["metadata"].items() if name != "managedFields"}}
        self.objects[key] = item
        if before is None or content(before, status=self._status) != content(item, status=self._status):
            self._on_change(self.kind, key)
        elif before.get("status") != item.get("status"):
            self._on_status(self.kind, key)

    def _remove(self, key: Key) -> None:
        if self.objects.pop(key, None) is not None:
            self._on_change(self.kind, key)

    def _found(self) -> None:
        if self.lost is not None:
            log.debug("watched again", extra=self._extra())
            self.lost = None
            self._on_lost()

    def _missed(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, KubeError) else f"{type(error).__name__}: not a Kubernetes answer"
        # One broken watch is normal (a restart, an idle connection that was dropped): lost is a server that does not take the next one either.
        if self.lost is None and (self._backoff.failures > 0 or not self.synced.is_set()):
            log.debug("watch lost", extra=self._extra(reason=reason, objects=len(self.objects)))
            self.lost = Lost(since=time.time(), reason=reason)
            self._on_lost()

    def _extra(self, **more: object) -> dict[str, object]:
        return {"kind_watched": self.kind.kind, "namespace": self._namespace or "*", "server": self._source.server, **more}
