"""The process that sends a load: reads it from standard input, writes a line for each result, ends when the input ends.

A process of its own, so that neither the one that judges nor the other disturbs the schedule; and one that goes away with the one that started it. Of
aiohttp's conveniences it uses none that would hide a loss: no redirect, no cookie, no second try on a connection that broke.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from contextlib import suppress

import aiohttp

from drill.load import Load, Request
from drill.results import LONGEST_SERVER, Kind, Result

REPORT_INTERVAL = 0.05
AGENT = {"User-Agent": "service-failover-probe"}
LEAD = 0.05
"""Seconds between the announcement of the start and the first request."""


class NotAgain(aiohttp.ClientError):
    """Carries the error of a request's one try out of aiohttp, which would try an idempotent request again when the connection broke."""


async def only_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A client middleware that turns what aiohttp would repeat into an error that it passes on."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # not connected: it is not repeated, and has a meaning of its own
    except (OSError, aiohttp.ServerDisconnectedError) as error:
        raise NotAgain from error


class Sender:
    """Sends one load, and keeps the results until `take` is called."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._results: list[Result] = []
        self._flying: set[asyncio.Task[None]] = set()

    def take(self) -> list[Result]:
        """The results since the last call."""
        taken, self._results = self._results, []
        return taken

    async def run(self, *, start: float, stop: asyncio.Event) -> None:
        """Send everything, the first at `start`, until the end of the load or `stop`; return when all of it has ended."""
        load = self._load
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=None),  # one for each request, from its place in the schedule on
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers=AGENT,
            middlewares=(only_once,),
            trace_configs=[_reuse_tracing()],
        ) as session:
            for number in range(load.count):
                scheduled = start + number / load.rate
                # Also behind the schedule, where it lets answers in.
                await asyncio.sleep(max(0.0, scheduled - time.monotonic()))
                if stop.is_set():
                    break
                if len(self._flying) >= load.most_in_flight:
                    now = time.monotonic()
                    self._results.append(Result(number, scheduled, now, now - scheduled, Kind.UNSENT, 0, "", f"{load.most_in_flight} in flight"))
                    continue
                task = asyncio.create_task(self._one(session, load.requests[number % len(load.requests)], number=number, scheduled=scheduled))
                self._flying.add(task)
                task.add_done_callback(self._flying.discard)
            await asyncio.gather(*self._flying)

    async def _one(self, session: aiohttp.ClientSession, request: Request, *, number: int, scheduled: float) -> None:
        sent = time.monotonic()
        connection: dict[str, bool] = {}
        status, body, error = 0, b"", ""
        try:
            async with (
                asyncio.timeout(max(0.0, scheduled + self._load.timeout - sent)),
                session.request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    data=request.body or None,
                    allow_redirects=False,
                    trace_request_ctx=connection,
                ) as response,
            ):
                status = response.status
                body = await response.read()
            kind = Kind.OK if 200 <= status < 300 else Kind.STATUS
        except TimeoutError:
            kind, error = Kind.TIMEOUT, f"no complete answer within {self._load.timeout:g} s"
        except (aiohttp.ClientError, OSError) as problem:
            kind = _kind_of(problem, answered=bool(status), reused=connection.get("reused", False))
            error = _words_of(problem)
        server = body[:LONGEST_SERVER].decode(errors="replace").strip().strip('"')
        self._results.append(Result(number, scheduled, sent, time.monotonic() - scheduled, kind, status, server, error))


def _kind_of(problem: Exception, *, answered: bool, reused: bool) -> Kind:
    if isinstance(problem, aiohttp.ClientConnectorError):
        return Kind.REFUSED
    if answered or isinstance(problem, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return Kind.CUT
    return Kind.STALE if reused else Kind.CLOSED


def _words_of(problem: Exception) -> str:
    if isinstance(problem, aiohttp.ClientConnectorError):
        return repr(problem.os_error)
    return repr(problem.__cause__ if isinstance(problem, NotAgain) else problem)


def _reuse_tracing() -> aiohttp.TraceConfig:
    """Notes in a request's context that its connection had been used before."""

    async def reused(_: object, context: object, __: object) -> None:
        context.trace_request_ctx["reused"] = True  # type: ignore[attr-defined]

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(reused)
    return tracing


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
