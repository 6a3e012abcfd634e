"""The process that sends a load: reads it from standard input, writes a line for each result, ends when the input ends.

A process of its own, so that neither the one that judges nor the other disturbs the schedule; and one that goes away with the one that started it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import ssl
import sys
import time
from contextlib import suppress

from drill.load import Load
from drill.results import LONGEST_SERVER, Kind, Result
from drill.wire import Connection, Target

REPORT_INTERVAL = 0.02
"""Seconds. Short, as what is written at once is a pause in the schedule."""
LEAD = 0.05
"""Seconds between the announcement of the start and the first request."""


class Sender:
    """Sends one load, and keeps the results until `take` is called."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._targets = [Target.of(request) for request in load.requests]
        self._tls = ssl.create_default_context() if any(target.tls for target in self._targets) else None
        self._idle: dict[tuple[str, int, bool], list[Connection]] = {}
        self._results: list[Result] = []
        self._flying: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None

    def take(self) -> list[Result]:
        """The results since the last call."""
        taken, self._results = self._results, []
        return taken

    async def run(self, *, start: float, stop: asyncio.Event) -> None:
        """Send everything, the first at `start`, until the end of the load or `stop`; return when all of it has ended."""
        load = self._load
        for number in range(load.count):
            scheduled = start + number / load.rate
            # Also behind the schedule, where it lets answers in.
            await asyncio.sleep(max(0.0, scheduled - time.monotonic()))
            if stop.is_set() or self._broken:
                break
            if len(self._flying) >= load.most_in_flight:
                now = time.monotonic()
                self._results.append(Result(number, scheduled, now, now - scheduled, Kind.UNSENT, 0, "", f"{load.most_in_flight} in flight"))
                continue
            task = asyncio.create_task(self._one(self._targets[number % len(self._targets)], number=number, scheduled=scheduled))
            self._flying.add(task)
            task.add_done_callback(self._ended)
        await asyncio.gather(*self._flying)
        if self._broken:
            raise self._broken
        for connection in (connection for idle in self._idle.values() for connection in idle):
            connection.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """An error of the probe's own ends it: without a result for each request it would say nothing."""
        self._flying.discard(task)
        self._broken = self._broken or task.exception()

    async def _one(self, target: Target, *, number: int, scheduled: float) -> None:
        sent = time.monotonic()
        status, body = 0, b""
        try:
            async with asyncio.timeout(max(0.0, scheduled + self._load.timeout - sent)):
                kind, status, body, error = await self._answer(target)
        except TimeoutError:
            kind, error = Kind.TIMEOUT, f"no complete answer within {self._load.timeout:g} s"
        except OSError as problem:
            kind, error = Kind.REFUSED, repr(problem)
        server = body[:LONGEST_SERVER].decode(errors="replace").strip().strip('"')
        self._results.append(Result(number, scheduled, sent, time.monotonic() - scheduled, kind, status, server, error))

    async def _answer(self, target: Target) -> tuple[Kind, int, bytes, str]:
        """How a request ended, its status, its body, and what went wrong. Raises OSError when there is no connection."""
        idle = self._idle.setdefault((target.host, target.port, target.tls), [])
        while idle and not idle[-1].idle:
            idle.pop()  # the server has closed it meanwhile
        connection = idle.pop() if idle else await self._connect(target)
        used = connection.used
        answer = await connection.exchange(target)
        if connection.idle:
            idle.append(connection)
        if answer.whole:
            kind = Kind.OK if 200 <= answer.status < 300 else Kind.STATUS
        elif answer.begun:
            kind = Kind.CUT
        else:
            kind = Kind.STALE if used else Kind.CLOSED
        return kind, answer.status, answer.body, answer.error

    async def _connect(self, target: Target) -> Connection:
        context = self._tls if target.tls else None
        _, connection = await asyncio.get_running_loop().create_connection(Connection, target.host, target.port, ssl=context)
        return connection


async def _report(sender: Sender) -> None:
    """Write what there is, a JSON array a line, until cancelled."""
    while True:
        await asyncio.sleep(REPORT_INTERVAL)
        _write(sender.take())


def _write(results: list[Result]) -> None:
    if results:
        print("\n".join(json.dumps(result) for result in results), flush=True)


async def _send_until_the_end_of_input(load: Load) -> None:
    """Announce the start, send, report. Ends early, with what is in flight, when standard input ends."""
    sender, stop = Sender(load), asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
    start = time.monotonic() + LEAD
    print(json.dumps({"start": start}), flush=True)
    reporting = asyncio.create_task(_report(sender))
    await sender.run(start=start, stop=stop)
    reporting.cancel()
    with suppress(asyncio.CancelledError):
        await reporting
    _write(sender.take())


def main() -> None:
    load = Load.from_json(sys.stdin.readline())
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, min(most, load.most_in_flight + 100)), most))
    gc.disable()  # a collection would be a pause in the schedule; the process lives for one load
    asyncio.run(_send_until_the_end_of_input(load))


if __name__ == "__main__":
    main()
