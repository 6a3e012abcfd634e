"""An HTTP server that misbehaves on request: the path says how, or a script by number. It notes what reached it and when, so that a probe's account
can be checked against it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

ANSWER = b'HTTP/1.1 %d Whatever\r\ncontent-length: 7\r\nconnection: %s\r\n\r\n"stub"\n'


@dataclass(frozen=True, kw_only=True)
class Act:
    """What is done to one request: who answers, with which status, after how many seconds; or no answer (`drop`), or half of one (`cut`)."""

    server: str = "stub"
    status: int = 200
    after: float = 0.0
    drop: bool = False
    cut: bool = False


class StubServer:
    """/n/<number> does what `script` says of this number, and notes when. Other paths: /ok, /status (503), /drop (no answer, connection closed), /cut
    (half an answer), /last (an answer, connection closed as announced), /slow (an answer after 0.2 s), /never (no answer). A body comes back as
    `<length> bytes`."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.stalled = False
        """While true, answers are held back."""
        self.port = 0
        self.script: dict[int, Act] = {}
        self.arrived: dict[int, float] = {}
        """When a numbered request was read (`time.monotonic()`)."""
        self.acted: dict[int, float] = {}
        """When it was answered, or not."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. False: close the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        path = head.split(" ")[1]
        length = next((int(line.partition(":")[2]) for line in head.splitlines() if line.startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        self.seen[path] += 1
        while self.stalled:
            await asyncio.sleep(0.005)
        if path.startswith("/n/"):
            return await self._act(int(path[3:]), writer)
        match path:
            case "/drop":
                return False
            case "/cut":
                writer.write((ANSWER % (200, b"keep-alive"))[:-3])
                return False
            case "/never":
                await reader.read()  # until the client gives up
                return False
            case "/slow":
                await asyncio.sleep(0.2)
        if body:
            text = b"%d bytes" % length
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text))
        else:
            writer.write(ANSWER % (503 if path == "/status" else 200, b"close" if path == "/last" else b"keep-alive"))
        return path != "/last"

    async def _act(self, number: int, writer: asyncio.StreamWriter) -> bool:
        self.arrived[number] = time.monotonic()
        act = self.script.get(number, Act())
        if act.after:
            await asyncio.sleep(act.after)
        self.acted[number] = time.monotonic()
        if act.drop:
            return False
        answer = b'HTTP/1.1 %d Whatever\r\ncontent-length: %d\r\n\r\n"%s"' % (act.status, len(act.server) + 2, act.server.encode())
        writer.write(answer[:-3] if act.cut else answer)
        return not act.cut

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """A server on a free port of loopback, in a thread."""
        stub, ready, done = cls(), threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()

        async def main() -> None:
            async with await asyncio.start_server(stub.serve, "127.0.0.1", 0, backlog=2000) as server:
                stub.port = server.sockets[0].getsockname()[1]
                ready.set()
                await done.wait()

        thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
        thread.start()
        assert ready.wait(5), "the stub server starts"
        try:
            yield stub
        finally:
            loop.call_soon_threadsafe(done.set)
            thread.join()
            loop.close()
