"""How late the drill's probe is by itself, at a rate, on one core: what it measures of others is no more exact than that.

The whole probe - the process that sends and the thread that reads its results - has one core, the server that answers has another one. The server is
an Envoy that answers by itself, so that it is not what is measured.
"""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.chain import APP_PORT, BLUE, App, on_host
from bench.report import Goal, Report
from drill.load import Load, Request
from drill.probe import Probe
from drill.results import Kind, Result

SUBJECT = "probe"
LATEST = 5.0
"""Milliseconds of its own delay (p99), at most."""
LONGER = 1.01
"""Times the planned time that sending may take: the rate is kept."""
_QUANTILES = (50, 99)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`rate` in requests a second, for so many seconds."""

    repeats: int = 3
    rate: float = 2000
    seconds: float = 20


async def run(settings: Settings, report: Report) -> None:
    """Measure a load after the other; figures and goals go into `report`. Raises RuntimeError on a machine of one core."""
    probe_core, server_core = _two_cores()
    with tempfile.TemporaryDirectory(prefix="service-failover-bench-") as directory:
        async with _server(Path(directory), core=server_core) as url:
            load = Load(requests=(Request(url=url),), rate=settings.rate, seconds=settings.seconds, timeout=5)
            with _on_core(probe_core):
                loads = [await asyncio.to_thread(_one, load) for _ in range(settings.repeats)]
    note(report, load, [results for results, _ in loads], [busy for _, busy in loads])


def note(report: Report, load: Load, loads: list[list[Result]], busy: list[float]) -> None:
    """Figures and goals of loads that were sent; `busy` is the share of its core that each took."""
    case = f"{load.rate:,g} requests a second"
    delays = [sorted(result.sent - result.scheduled for result in results) for results in loads]
    for quantile in _QUANTILES:
        values = [each[max(0, -(-len(each) * quantile // 100) - 1)] * 1000 for each in delays]
        figure = report.add(case=case, subject=SUBJECT, metric=f"own delay p{quantile}", unit="ms", values=values)
    report.add(case=case, subject=SUBJECT, metric="own delay, longest", unit="ms", values=[each[-1] * 1000 for each in delays])
    report.add(case=case, subject=SUBJECT, metric="share of its core", unit="", values=busy)
    took = [max(result.sent for result in results) - min(result.scheduled for result in results) for results in loads]
    length = report.add(case=case, subject=SUBJECT, metric="time taken against planned", unit="", values=[each / load.seconds for each in took])
    lost = [sum(result.kind is not Kind.OK for result in results) + load.count - len(results) for results in loads]
    failed = report.add(case=case, subject=SUBJECT, metric="requests that failed or were not sent", unit="", values=lost)
    report.goals += [
        Goal(name=f"own delay p{_QUANTILES[-1]} (worst)", value=max(figure.values), limit=LATEST, unit="ms"),
        Goal(name="time taken against planned (worst)", value=max(length.values), limit=LONGER, unit="times"),
        Goal(name="requests that failed or were not sent", value=max(failed.values), limit=0, unit=""),
    ]


def _one(load: Load) -> tuple[list[Result], float]:
    """The results of a load, and the share of the time for which the probe kept its core busy; both from the first request to the last answer."""
    before = _processor_seconds()
    with Probe(load) as probe:
        probe.wait()
    results = probe.results
    return results, (_processor_seconds() - before) / load.seconds


def _processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def _two_cores() -> tuple[int, int]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("bench probe needs two cores: one for the probe, another one for the server that answers")
    return cores[-1], cores[0]


@asynccontextmanager
async def _server(directory: Path, *, core: int) -> AsyncIterator[str]:
    """The URL of an Envoy that answers, all of whose threads are on one core."""
    app = App(BLUE, directory)
    try:
        with _on_core(core):
            await app.start()
        yield f"http://{on_host(BLUE)}:{APP_PORT}"
    finally:
        await app.end()


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    """Every thread of this process is on one core, and so is what it starts."""
    threads = [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
    before = os.sched_getaffinity(0)
    for thread in threads:
        os.sched_setaffinity(thread, {core})
    try:
        yield
    finally:
        for entry in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(entry.name), before)
