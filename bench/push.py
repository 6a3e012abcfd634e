"""Failover time (signalled) while a full push of many clusters runs into the same Envoy, against the time when nothing else happens.

For the push gloo is away while every other Upstream changes; when it is back, Envoy reconnects and gets all of them at once. Blue fails at the moment
at which a tap on the stream has seen that push begin.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.ads import Protocol
from bench.certificates import Authority
from bench.chain import FAR, NEAR, App, Chain, apps, ours, prepare
from bench.failover import TO_GREEN, Fault, Switch, one_switch
from bench.journal import CLUSTER
from bench.lab import Gloo, Lab, lab
from bench.population import APPS, GATEWAY_IDENTITY, SECRET, members
from bench.processes import free_port, until
from bench.report import Goal, Report
from bench.tap import Tap
from controlplane.gloo.kinds import UPSTREAM

IDLE, BUSY = "idle", "during the push"
_PUSH_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`clusters` Upstreams beside blue; all of them change in each push."""

    repeats: int = 5
    rate: float = 500
    clusters: int = 1000


async def run(settings: Settings, report: Report) -> None:
    """Measure in turns without and with a push; figures and the goal go into `report`."""
    authority = Authority()
    switches: dict[str, list[Switch]] = {IDLE: [], BUSY: []}
    pushes: list[float] = []
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="service-failover-bench-")))
        blue = await stack.enter_async_context(apps(directory))
        found = await stack.enter_async_context(lab(directory, namespaces=(NEAR, FAR)))
        await prepare(found, authority)
        await found.tls_secret(NEAR, SECRET, authority=authority, identity=GATEWAY_IDENTITY)
        await found.apply_all(each for member in members(settings.clusters) for each in member.objects())
        far = await stack.enter_async_context(found.ready_gloo(namespace=FAR, watch=FAR))
        near = Near(found, port=free_port())
        tap = await stack.enter_async_context(Tap(xds_port=near.port, authority=found.authority).serving())
        try:
            await near.start()
            chain = await stack.enter_async_context(ours(found, near_xds=tap.port, far_xds=far.xds_port))
            for repeat in range(settings.repeats):
                await _quiet(tap, settings.clusters)
                switches[IDLE].append(await one_switch(chain, blue, Fault.SIGNALLED, rate=settings.rate))
                switch, seconds = await _during_push(chain, blue, near, tap, settings, round_=repeat + 1)
                switches[BUSY].append(switch)
                pushes.append(seconds)
        finally:
            await near.stop()
    medians = []
    for subject, each in switches.items():
        figure = report.add(case="signalled", subject=subject, metric=TO_GREEN, unit="ms", values=[switch.to_green * 1000 for switch in each])
        report.add(case="signalled", subject=subject, metric="slowest request", unit="ms", values=[switch.slowest * 1000 for switch in each])
        report.add(case="signalled", subject=subject, metric="requests lost", unit="", values=[switch.lost for switch in each])
        medians.append(figure.median)
    protocol = tap.protocol or Protocol.SOTW
    report.add(case=f"push of {settings.clusters:,} clusters", subject=protocol, metric="sent to acknowledged", unit="s", values=pushes)
    report.goals.append(Goal(name=f"{BUSY} against {IDLE} (medians)", value=medians[1] / medians[0], limit=1.5, unit="times"))


class Near:
    """The gloo of the near side, which can be away for a while."""

    def __init__(self, found: Lab, *, port: int) -> None:
        self.port = port
        self._lab = found
        self._stack = AsyncExitStack()

    async def start(self) -> Gloo:
        return await self._stack.enter_async_context(self._lab.ready_gloo(namespace=NEAR, watch=f"{NEAR},{APPS}", xds_port=self.port))

    async def stop(self) -> None:
        await self._stack.aclose()

    async def change(self, clusters: int, *, round_: int) -> None:
        """Change every Upstream but those of the chain."""
        await self._lab.apply_all((UPSTREAM, member.upstream_object(connect_timeout=f"6.{round_:03}s")) for member in members(clusters))


async def _quiet(tap: Tap, clusters: int) -> None:
    """Until Envoy has all clusters, and nothing was sent for a second."""

    async def check() -> bool:
        before = tap.journal.responses
        await asyncio.sleep(1)
        return len(tap.journal.known.get(CLUSTER, ())) > clusters and tap.journal.responses == before

    await until(check, "Envoy has everything", seconds=_PUSH_SECONDS)
    tap.check()


async def _during_push(chain: Chain, blue: App, near: Near, tap: Tap, settings: Settings, *, round_: int) -> tuple[Switch, float]:
    """One failure at the beginning of a push, and the seconds from the first cluster sent to the acknowledgement of the last."""
    await near.stop()
    await near.change(settings.clusters, round_=round_)
    began = asyncio.Event()
    times: list[float] = []

    def on_response(type_url: str, _resources: int) -> None:
        if type_url == CLUSTER:
            times.append(time.monotonic())
            began.set()

    tap.on_response = on_response
    changes = [tap.journal.change(CLUSTER, member.cluster) for member in members(settings.clusters)]
    switch = asyncio.create_task(one_switch(chain, blue, Fault.SIGNALLED, rate=settings.rate, when=began))
    await near.start()
    async with asyncio.timeout(_PUSH_SECONDS):
        found = await switch
        acked = max(await asyncio.gather(*(change.acked for change in changes)))
    tap.on_response = lambda type_url, resources: None
    return found, acked - times[0]
