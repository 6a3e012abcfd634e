"""Time from a failure of blue to the first answer of green: our chain against the same one written by hand, in turns, under the same open-loop load.

The clock starts just before blue is told to fail, is killed or is frozen. A request that was in flight then, and is answered by green, counts.
"""

from __future__ import annotations

import asyncio
import enum
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.certificates import Authority
from bench.chain import FAR, GREEN_ANSWER, NEAR, App, Chain, apps, ours, prepare
from bench.lab import lab
from bench.report import Goal, Report
from bench.static_chain import static
from drill.load import Load, Request
from drill.probe import Probe

_BEFORE, _AFTER = 0.6, 2.0
"""Seconds of load before and after the failure."""
_LONGEST_LOAD = 300
"""Seconds after which a load ends by itself, whatever happens."""

TO_GREEN = "failure to first green answer"


class Fault(enum.StrEnum):
    """What happens to blue."""

    SIGNALLED = "signalled"
    KILLED = "kill -9"
    FROZEN = "SIGSTOP"

    async def strike(self, blue: App) -> None:
        await {Fault.SIGNALLED: blue.fail, Fault.KILLED: blue.kill, Fault.FROZEN: blue.freeze}[self]()

    async def mend(self, blue: App) -> None:
        await {Fault.SIGNALLED: blue.heal, Fault.KILLED: blue.restart, Fault.FROZEN: blue.thaw}[self]()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`rate` is requests a second; a first green answer can be late by the time between two of them, for every chain alike."""

    repeats: int = 10
    rate: float = 500
    faults: tuple[Fault, ...] = tuple(Fault)


@dataclass(frozen=True)
class Switch:
    """One failure, in seconds."""

    to_green: float
    slowest: float
    lost: int


async def run(settings: Settings, report: Report) -> None:
    """Measure all failures on both chains; figures and goals go into `report`."""
    authority = Authority()
    seen: dict[tuple[Fault, str], list[Switch]] = {}
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="service-failover-bench-")))
        blue = await stack.enter_async_context(apps(directory))
        found = await stack.enter_async_context(lab(directory, namespaces=(NEAR, FAR)))
        await prepare(found, authority)
        near = await stack.enter_async_context(found.ready_gloo(namespace=NEAR, watch=NEAR))
        far = await stack.enter_async_context(found.ready_gloo(namespace=FAR, watch=FAR))
        chains = [
            await stack.enter_async_context(ours(found, near_xds=near.xds_port, far_xds=far.xds_port)),
            await stack.enter_async_context(static(directory, authority)),
        ]
        for repeat in range(settings.repeats):
            for fault in settings.faults:
                # Who is first changes from one repeat to the next.
                for chain in chains if repeat % 2 else chains[::-1]:
                    switch = await one_switch(chain, blue, fault, rate=settings.rate)
                    seen.setdefault((fault, chain.name), []).append(switch)
                for chain in chains:
                    await chain.healthy()
    note(report, seen, names=[chain.name for chain in chains], faults=settings.faults)


async def one_switch(chain: Chain, blue: App, fault: Fault, *, rate: float, when: asyncio.Event | None = None) -> Switch:
    """One failure of blue under load, and its end. `when`: strike not before this event."""
    await chain.healthy()
    async with _probing(Load(requests=(Request(url=chain.url),), rate=rate, seconds=_LONGEST_LOAD, timeout=5)) as probe:
        await asyncio.sleep(_BEFORE)
        if when is not None:
            await when.wait()
        struck = time.monotonic()
        await fault.strike(blue)
        await asyncio.sleep(_AFTER)
    await fault.mend(blue)
    await chain.healthy()
    after = [result for result in probe.results if result.done >= struck]
    green = [result.done - struck for result in after if result.server == GREEN_ANSWER]
    if not green:
        raise RuntimeError(f"{chain.name}: green never answered after {fault}; answers: {sorted({result.server or result.kind for result in after})}")
    return Switch(to_green=min(green), slowest=max(result.took for result in after), lost=sum(result.failed for result in probe.results))


@asynccontextmanager
async def _probing(load: Load) -> AsyncIterator[Probe]:
    """The probe waits for its process; a tap in this one has to go on meanwhile."""
    probe = Probe(load)
    await asyncio.to_thread(probe.__enter__)
    try:
        yield probe
    finally:
        await asyncio.to_thread(probe.__exit__, None, None, None)


def note(report: Report, seen: dict[tuple[Fault, str], list[Switch]], *, names: list[str], faults: tuple[Fault, ...]) -> None:
    for fault in faults:
        medians = []
        for name in names:
            switches = seen[fault, name]
            figure = report.add(case=fault, subject=name, metric=TO_GREEN, unit="ms", values=[each.to_green * 1000 for each in switches])
            report.add(case=fault, subject=name, metric="slowest request", unit="ms", values=[each.slowest * 1000 for each in switches])
            report.add(case=fault, subject=name, metric="requests lost", unit="", values=[each.lost for each in switches])
            medians.append(figure.median)
        report.goals.append(Goal(name=f"{fault}: {names[0]} against {names[1]} (medians)", value=medians[0] / medians[1], limit=1.2, unit="times"))
