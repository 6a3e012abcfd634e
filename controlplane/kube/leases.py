"""Leader election among the replicas of a process: one of them writes, all of them serve.

A Leader leads until a moment, not until told otherwise: `is_leader` compares the clock with the last renewal on every read, so it is right after a
stall of the process too. A lost API server ends the term in time, and is tried again without end. The rules are in `election`.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from controlplane.kube.backoff import Backoff
from controlplane.kube.client import Writer
from controlplane.kube.election import LEASE, Action, Sighting, Timing, decide, expires_in, held, holder, released, see
from controlplane.kube.errors import Conflict, Forbidden, KubeError, Modified, NotFound
from controlplane.kube.informer import Informer, Source
from controlplane.kube.leadership import AlwaysLeader, Duty, Leadership
from controlplane.kube.objects import Key, Kind, Object, resource_version

log = logging.getLogger(__name__)

_RELEASE_SECONDS = 1.0


class LeaseClient(Source, Writer, Protocol):
    """What an election needs of a client."""

    async def get(self, kind: Kind, *, namespace: str, name: str) -> Object: ...


def leadership(client: LeaseClient, *, namespace: str, name: str, identity: str | None) -> Leadership:
    """The election for the Lease `name`; without an identity there is none, and this replica leads."""
    return AlwaysLeader() if identity is None else Leader(client=client, namespace=namespace, name=name, identity=identity)


class _TermOverError(Exception):
    """Ends the duties of a term."""


class Leader:
    """Contends for the Lease `name` in `namespace`. `identity` is unique among the running replicas: the pod's name."""

    def __init__(self, *, client: LeaseClient, namespace: str, name: str, identity: str, timing: Timing | None = None) -> None:
        self.identity = identity
        self.holder = ""
        self.on_change: Callable[[bool], None] = lambda leads: None
        self._client = client
        self._namespace = namespace
        self._name = name
        self._timing = timing or Timing()
        self._informer = Informer(client, LEASE, namespace=namespace, field_selector=f"metadata.name={name}", on_change=self._look)
        self._sighting: Sighting | None = None
        self._until = 0.0
        self._claimed = False
        """The Lease may be ours: also when the answer to the claim has not been seen."""
        self._timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        self._won = asyncio.Event()
        self._lost = asyncio.Event()
        self._backoff = Backoff(first=0.1, cap=self._timing.retry)
        self._trouble = ""

    @property
    def is_leader(self) -> bool:
        """True while nobody else can lead."""
        return time.monotonic() < self._until

    async def run(self) -> None:
        """Contend until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._informer.run())
            while True:
                self._wake.clear()
                async with self._turn:
                    pause = await self._round()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()

    async def while_leading(self, *duties: Duty) -> None:
        """Run `duties` in each term of this replica, until cancelled."""
        while True:
            await self._won.wait()
            try:
                async with asyncio.TaskGroup() as term:
                    for duty in duties:
                        term.create_task(duty())
                    await self._lost.wait()
                    raise _TermOverError
            except* _TermOverError:
                log.info("duties ended", extra=self._extra())

    async def release(self) -> None:
        """Let the next leader start at once. To be called when nothing writes any more; never fails."""
        if not self._claimed:
            return
        try:
            # In turn with the rounds: the answer to a renewal that came after the release would begin another term.
            async with asyncio.timeout(_RELEASE_SECONDS), self._turn:
                self._end_term(reason="released")
                lease = await self._read()
                if lease is not None and holder(lease) == self.identity:
                    await self._patch(lease, released(time=_now()))
                self._claimed = False
        except (KubeError, TimeoutError) as error:
            self._end_term(reason="released")
            log.warning("lease not released, it expires by itself", extra=self._extra(reason=_reason(error)))

    def _look(self, kind: Kind, key: Key) -> None:
        """Others' renewals are news for a standby, others' claims are for a leader; one's own renewals are for nobody."""
        if holder(self._informer.objects.get(key)) != self.identity:
            self._wake.set()

    async def _round(self) -> float:
        """Look at the Lease and do what there is to do; seconds until the next round."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timing.retry):
                lease = await self._read()
                now = time.monotonic()
                self._sighting = see(lease, self._sighting, now=now)
                action = decide(lease, self._sighting, identity=self.identity, timing=self._timing, now=now)
                if action is Action.WAIT and lease is not None and self._sighting is not None:
                    self._follow(holder(lease))
                    return expires_in(lease, self._sighting, timing=self._timing, now=now)
                await self._hold(lease)
        except (Conflict, Modified):
            return self._backoff.next()  # Another replica was faster: what it wrote decides the next round.
        except (KubeError, TimeoutError) as error:
            self._complain(error)
            return self._backoff.next()
        self._backoff.reset()
        self._trouble = ""
        self._lead(until=started + self._timing.renew)
        return self._timing.retry

    async def _read(self) -> Object | None:
        try:
            return await self._client.get(LEASE, namespace=self._namespace, name=self._name)
        except NotFound:
            return None

    async def _hold(self, lease: Object | None) -> None:
        self._claimed = True
        spec = held(lease, identity=self.identity, timing=self._timing, time=_now())
        if lease is None:
            await self._client.create(LEASE, {"metadata": {"namespace": self._namespace, "name": self._name}, "spec": spec})
        else:
            await self._patch(lease, spec)

    async def _patch(self, lease: Object, spec: dict[str, Any]) -> None:
        """Fails with Modified when the Lease is no longer the one that was read: of two contenders one wins."""
        patch = {"metadata": {"resourceVersion": resource_version(lease)}, "spec": spec}
        await self._client.merge(LEASE, namespace=self._namespace, name=self._name, patch=patch)

    def _lead(self, *, until: float) -> None:
        if self._won.is_set() and not self.is_leader:
            self._end_term(reason="not renewed in time")  # By a stall of the process: others may have led meanwhile.
        self._until = until
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, until - time.monotonic()), self._expire)
        if not self._won.is_set():
            self.holder = self.identity
            log.info("leading", extra=self._extra())
            self._lost.clear()
            self._won.set()
            self.on_change(True)

    def _expire(self) -> None:
        if not self.is_leader:
            self._end_term(reason="not renewed in time")

    def _follow(self, leader: str) -> None:
        self._backoff.reset()
        self._trouble = ""
        self._claimed = False
        self._end_term(reason="taken over")
        if self.holder != leader:
            self.holder = leader
            log.info("following", extra=self._extra(leader=leader))

    def _end_term(self, *, reason: str) -> None:
        self._until = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._won.is_set():
            self._won.clear()
            self._lost.set()
            self.holder = ""
            log.log(logging.INFO if reason == "released" else logging.WARNING, "no longer leading", extra=self._extra(reason=reason))
            self.on_change(False)

    def _complain(self, error: Exception) -> None:
        """Once for each trouble: it is tried again all the time."""
        reason = _reason(error)
        if isinstance(error, Forbidden):
            reason += "; the ServiceAccount needs get, list, watch, patch on this Lease and create on leases: `pulumi up --refresh` grants it"
        if reason != self._trouble:
            self._trouble = reason
            log.warning("lease not held; it is tried again", extra=self._extra(reason=reason))

    def _extra(self, **more: object) -> dict[str, object]:
        return {"lease": f"{self._namespace}/{self._name}", "identity": self.identity, **more}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _reason(error: Exception) -> str:
    return str(error) or "no answer in time"
