"""An open-loop HTTP client for the tests: requests leave on schedule whether or not earlier ones have been answered.

Bounded in rate and count, loopback only. It judges nothing: a test reads the answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx2 as httpx


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One request: when it left (seconds since the start), what came back, how long that took."""

    at: float
    status: int
    """HTTP status, or 0 when there was no answer."""
    body: str
    """The body, or what went wrong."""
    took: float


@dataclass(kw_only=True)
class Load:
    """The answers so far."""

    answers: list[Answer] = field(default_factory=list)

    @property
    def failures(self) -> list[Answer]:
        """Every answer that is not a 200."""
        return [answer for answer in self.answers if answer.status != 200]

    @property
    def servers(self) -> list[str]:
        """Who answered, in the order of sending, without repeats in a row."""
        ordered = [answer.body for answer in sorted(self.answers, key=lambda answer: answer.at) if answer.status == 200]
        return [body for index, body in enumerate(ordered) if index == 0 or ordered[index - 1] != body]


@asynccontextmanager
async def load(url: str, *, rate: float = 50.0, most: int = 5000) -> AsyncIterator[Load]:
    """Send `rate` requests a second to `url` for as long as the context lasts, `most` at the most; all are answered when it ends."""
    collected = Load()
    stop = asyncio.Event()

    async with httpx.AsyncClient(timeout=10, limits=httpx.Limits(max_connections=200)) as client:

        async def one(at: float) -> None:
            sent = time.monotonic()
            try:
                response = await client.get(url)
                status, body = response.status_code, response.text.strip().strip('"')
            except httpx.HTTPError as error:
                status, body = 0, repr(error)
            collected.answers.append(Answer(at=at, status=status, body=body, took=time.monotonic() - sent))

        async def send() -> None:
            started = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for index in range(most):
                    at = index / rate
                    wait = started + at - time.monotonic()
                    if wait > 0:
                        with suppress(TimeoutError):
                            await asyncio.wait_for(stop.wait(), wait)
                    if stop.is_set():
                        return
                    group.create_task(one(at))

        sender = asyncio.create_task(send())
        try:
            yield collected
        finally:
            stop.set()
            await sender
