"""Time from a change in the cluster to its acknowledgement by the proxy, bytes, processor time and memory, by the number of Upstreams.

Everything between is real: the API server, gloo as a process, mutual TLS. Two clients take turns, delta and state of the world, and up to a limit a
real Envoy. Every turn has a gloo of its own, so that its start is measured as often as the rest and no turn pays for another's clients.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol as Typed

from bench.ads import Client, Protocol, connected
from bench.envoys import gateway
from bench.journal import CLUSTER, ENDPOINT, LISTENER, Journal
from bench.lab import Gloo, Lab, lab
from bench.population import GATEWAY_IDENTITY, NAMESPACE, SECRET, Member, members
from bench.processes import until
from bench.report import Goal, Report
from bench.tap import Tap
from controlplane.gloo.kinds import GATEWAY, UPSTREAM, VIRTUAL_SERVICE
from controlplane.kube.objects import ENDPOINT_SLICE
from gloo_api.names import DEFAULT_PROXY, proxy_role

ROLE = proxy_role(DEFAULT_PROXY, NAMESPACE)
ENVOY = "Envoy"
CLIENTS = (*Protocol, ENVOY)
_ENVOY_ADDRESS = "127.127.254.1"
_SYNC_SECONDS = 180
_CHANGE_SECONDS = 60
_QUIET_SECONDS = 0.05
"""Pause between two changes, in which what follows a change (endpoints after their cluster) arrives and is counted with it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`sizes` ascend. `changes` are made in each of the `repeats` turns of each of `clients`. Envoy takes part up to `envoy_up_to` Upstreams."""

    sizes: tuple[int, ...] = (10, 100, 1000, 5000)
    changes: int = 100
    repeats: int = 3
    envoy_up_to: int = 1000
    clients: tuple[str, ...] = CLIENTS


@dataclass
class Turn:
    """What one client saw in one turn."""

    start: float
    sync: float
    sync_bytes: float
    to_ack: dict[str, list[float]] = field(default_factory=dict)
    from_request: list[float] = field(default_factory=list)
    bytes_per_change: float = 0.0
    cpu_per_change: float = 0.0
    resident: float = 0.0


async def run(settings: Settings, report: Report) -> None:
    """Measure all sizes; figures and goals go into `report`."""
    rounds = itertools.count(1)
    with tempfile.TemporaryDirectory(prefix="service-failover-bench-") as name:
        async with lab(Path(name)) as found:
            await _prepare(found)
            present = 0
            for size in settings.sizes:
                await found.apply_all(each for member in members(size, start=present) for each in member.objects())
                present = size
                await _settle(found, size)
                turns: dict[str, list[Turn]] = {}
                for _ in range(settings.repeats):
                    for subject in _subjects(size, settings):
                        turns.setdefault(subject, []).append(await _turn(found, subject, size=size, changes=settings.changes, rounds=rounds))
                for subject, each in turns.items():
                    _note(report, subject, each, size=size)
    _goals(report)


def _subjects(size: int, settings: Settings) -> Iterable[str]:
    return [client for client in settings.clients if client != ENVOY or size <= settings.envoy_up_to]


async def _prepare(found: Lab) -> None:
    """A listener and a route, so that all types of resources are served."""
    await found.tls_secret(NAMESPACE, SECRET, authority=found.authority, identity=GATEWAY_IDENTITY)
    gateway_spec = {"bindAddress": "::", "bindPort": 8080, "httpGateway": {}}
    await found.apply(GATEWAY, {"metadata": {"namespace": NAMESPACE, "name": "http"}, "spec": gateway_spec})
    action = {"single": {"upstream": {"name": Member(0).upstream, "namespace": NAMESPACE}}}
    host = {"domains": ["*"], "routes": [{"matchers": [{"prefix": "/"}], "routeAction": action}]}
    await found.apply(VIRTUAL_SERVICE, {"metadata": {"namespace": NAMESPACE, "name": "http"}, "spec": {"virtualHost": host}})


async def _settle(found: Lab, size: int) -> None:
    """Until every Upstream has a status: writing them is the work of a first start, and would disturb what is measured."""

    async def reported() -> bool:
        items = (await found.client.list(UPSTREAM, namespace=NAMESPACE)).items
        return sum(bool(((item.get("status") or {}).get("statuses") or {}).get(NAMESPACE)) for item in items) >= size

    async with found.ready_gloo():
        await until(reported, f"{size} Upstreams have a status", seconds=_SYNC_SECONDS, pause=1.0)


async def _turn(found: Lab, subject: str, *, size: int, changes: int, rounds: Iterator[int]) -> Turn:
    launched = time.monotonic()
    async with found.gloo() as gloo:
        await until(gloo.ready, "gloo is ready", seconds=_SYNC_SECONDS)
        ready = time.monotonic()
        async with _subscriber(found, gloo, subject) as subscriber:
            journal = subscriber.journal
            synced = await subscriber.until(lambda seen: _complete(seen, size), seconds=_SYNC_SECONDS)
            turn = Turn(start=synced - launched, sync=synced - ready, sync_bytes=journal.payload)
            await asyncio.sleep(1.0)  # what a start leaves to do
            payload, cpu = journal.payload, gloo.process.cpu_seconds()
            for member in _chosen(size, changes):
                await _change(found, subscriber, member, turn=turn, round_=next(rounds))
            turn.bytes_per_change = (journal.payload - payload) / changes
            turn.cpu_per_change = (gloo.process.cpu_seconds() - cpu) / changes
            turn.resident = gloo.process.resident_megabytes()
            return turn


class Subscriber(Typed):
    """Who is configured: a client of our own, or an Envoy behind a tap."""

    journal: Journal

    async def until(self, done: Callable[[Journal], bool], *, seconds: float) -> float: ...


@asynccontextmanager
async def _subscriber(found: Lab, gloo: Gloo, subject: str) -> AsyncIterator[Subscriber]:
    if subject != ENVOY:
        async with connected(Client(Protocol(subject), role=ROLE), port=gloo.xds_port, authority=found.authority) as client:
            yield client
        return
    tap = Tap(xds_port=gloo.xds_port, authority=found.authority)
    async with (
        tap.serving(),
        gateway(directory=found.directory, address=_ENVOY_ADDRESS, xds_port=tap.port, authority=found.authority),
    ):
        yield tap
        tap.check()


def _complete(journal: Journal, size: int) -> bool:
    """Every cluster and its endpoints, and the listener, have arrived."""
    return len(journal.known.get(CLUSTER, ())) >= size <= len(journal.known.get(ENDPOINT, ())) and LISTENER in journal.known


def _chosen(size: int, changes: int) -> list[Member]:
    """Upstreams to change, the same mix at every size: as many of each kind as there are in ten, spread over all."""
    numbers = random.Random(size)  # noqa: S311 - the same ones in every turn
    return [Member(numbers.randrange(size // 10) * 10 + index % 10) for index in range(changes)]


async def _change(found: Lab, subscriber: Subscriber, member: Member, *, turn: Turn, round_: int) -> None:
    """Change the endpoints of an Upstream that follows a Service, or else the Upstream itself, and wait for the acknowledgement."""
    kind, type_url, obj = (
        (ENDPOINT_SLICE, ENDPOINT, member.slice_object(round_=round_))
        if member.follows_service
        else (UPSTREAM, CLUSTER, member.upstream_object(connect_timeout=f"5.{round_:06}s"))
    )
    change = subscriber.journal.change(type_url, member.cluster)
    requested = time.monotonic()
    await found.apply(kind, obj)
    accepted = time.monotonic()
    async with asyncio.timeout(_CHANGE_SECONDS):
        acked = await change.acked
    turn.to_ack.setdefault(str(kind), []).append(acked - accepted)
    turn.from_request.append(acked - requested)
    await asyncio.sleep(_QUIET_SECONDS)


def _note(report: Report, subject: str, turns: list[Turn], *, size: int) -> None:
    case = f"{size:,} Upstreams"

    def add(metric: str, unit: str, values: Iterable[float]) -> None:
        report.add(case=case, subject=subject, metric=metric, unit=unit, values=list(values))

    for kind in sorted({kind for turn in turns for kind in turn.to_ack}):
        add(f"{kind} accepted to ACK", "ms", (value * 1000 for turn in turns for value in turn.to_ack.get(kind, ())))
    add(ACCEPTED_TO_ACK, "ms", (value * 1000 for turn in turns for values in turn.to_ack.values() for value in values))
    add("request to ACK", "ms", (value * 1000 for turn in turns for value in turn.from_request))
    add(BYTES, "bytes", (turn.bytes_per_change for turn in turns))
    add("processor time per change", "ms", (turn.cpu_per_change * 1000 for turn in turns))
    add(RESIDENT, "MB", (turn.resident for turn in turns))
    add(START, "s", (turn.start for turn in turns))
    add("connected to full sync", "s", (turn.sync for turn in turns))
    add("full sync", "kB", (turn.sync_bytes / 1000 for turn in turns))


ACCEPTED_TO_ACK, BYTES, RESIDENT, START = "any change accepted to ACK", "sent per change", "gloo's memory", "start of gloo to full sync"


def _goals(report: Report) -> None:
    """The goals are about the protocol that the product uses; a size that was not measured has none."""
    figures = {(figure.case, figure.metric): figure for figure in report.figures if figure.subject == Protocol.DELTA}

    def goal(size: int, metric: str, limit: float, *, share: float) -> None:
        if figure := figures.get((f"{size:,} Upstreams", metric)):
            name = f"{metric} at {size:,}{' (p99)' if share < 1 else ''}"
            report.goals.append(Goal(name=name, value=figure.quantile(share), limit=limit, unit=figure.unit))

    goal(1000, ACCEPTED_TO_ACK, 100, share=0.99)
    goal(5000, ACCEPTED_TO_ACK, 250, share=0.99)
    goal(5000, RESIDENT, 250, share=1)
    goal(5000, START, 5, share=1)
    flat = [figure for (_, metric), figure in figures.items() if metric == BYTES]
    if len(flat) > 1:
        ratio = flat[-1].median / flat[0].median
        report.goals.append(Goal(name=f"sent per change, {flat[-1].case} against {flat[0].case}", value=ratio, limit=1.1, unit="times"))
