"""A work queue in the manner of Kubernetes controllers: keys, not events.

A key that is added many times is handled once; a key is never handled twice at the same time; a key whose handling failed is tried again with
back-off, without end. So a handler may simply compare what should be with what is, and do the difference.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from controlplane.kube.backoff import Backoff
from controlplane.kube.errors import KubeError

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

FINISH_SECONDS = 1.0
"""For what a queue is doing when it is told to stop: a write that has been sent is worth its answer."""


class WorkQueue(Generic[K]):
    """Calls `handle(key)` for each added key, up to `workers` keys at a time. Errors are retried; those that are not Kubernetes' are defects."""

    def __init__(self, handle: Callable[[K], Awaitable[None]], *, workers: int = 8, cap: float = 5.0) -> None:
        self._handle = handle
        self._workers = workers
        self._cap = cap
        self._waiting: dict[K, None] = {}
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._backoffs: dict[K, Backoff] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        """Have `key` handled soon (once, however often it is added before that)."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
            return
        self._waiting[key] = None
        self._wake.set()

    def add_later(self, key: K, *, seconds: float) -> None:
        """Have `key` handled in `seconds`, unless it is added before that."""
        if key in self._waiting or key in self._again:
            return
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    @property
    def idle(self) -> bool:
        """Nothing waits, runs or is to be retried."""
        return not (self._waiting or self._busy or self._timers)

    async def run(self) -> None:
        """Handle keys until cancelled; then finish what has begun, for a second at most. May be run again: what was added meanwhile is kept."""
        tasks: set[asyncio.Task[None]] = set()
        self._wake.set()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting and len(self._busy) < self._workers:
                    key = next(iter(self._waiting))
                    del self._waiting[key]
                    self._busy.add(key)
                    task = asyncio.create_task(self._work(key))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=FINISH_SECONDS)
                for task in late:
                    task.cancel()

    async def _work(self, key: K) -> None:
        retry = False
        try:
            await self._handle(key)
            self._backoffs.pop(key, None)
        except KubeError as error:
            retry = True
            log.warning("will be tried again", extra={"key": str(key), "error": str(error)})
        except Exception:  # A defect in one object's handling must not end the work on all others.
            retry = True
            log.exception("handling failed", extra={"key": str(key)})
        finally:
            self._busy.discard(key)
            self._wake.set()
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            elif retry:
                backoff = self._backoffs.setdefault(key, Backoff(first=0.1, cap=self._cap))
                self.add_later(key, seconds=backoff.next())
