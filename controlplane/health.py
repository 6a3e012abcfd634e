"""The health endpoint: GET /healthz (the process's event loop turns), /readyz (it has all it needs; else 503 and what it waits for) and /metrics.

Answers on the one address given, closes each connection, and reads no more than a request line.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from controlplane import metrics
from controlplane.net import split_address

_MAX_REQUEST_BYTES = 8192
_PLAIN = "text/plain; charset=utf-8"


class HealthServer:
    """`waiting_for` returns what is missing until the process is ready; nothing means ready."""

    def __init__(self, *, address: str, waiting_for: Callable[[], list[str]]) -> None:
        self._host, self._port = split_address(address)
        self._waiting_for = waiting_for
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None, "started"  # noqa: S101
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        try:
            self._server = await asyncio.start_server(self._answer, self._host, self._port, limit=_MAX_REQUEST_BYTES)
        except OSError as error:
            raise OSError(f"health endpoint cannot listen on {self._host}:{self._port}: {error.strerror}; is another process using it?") from error

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
                status, body, content_type = self._route(head.split(b"\r\n", 1)[0].decode("latin-1"))
                payload = body.encode()
                headers = f"Content-Type: {content_type}\r\nContent-Length: {len(payload)}\r\nConnection: close"
                writer.write(f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode() + payload)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # A prober that went away, or something that does not speak HTTP: nothing to answer.
        finally:
            writer.close()

    def _route(self, request_line: str) -> tuple[str, str, str]:
        """Status, body, content type."""
        method, _, rest = request_line.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return "405 Method Not Allowed", "only GET\n", _PLAIN
        if path == "/healthz":
            return "200 OK", f"ok\nresident_megabytes {resident_megabytes()}\n", _PLAIN
        if path == "/readyz":
            missing = self._waiting_for()
            return (
                ("503 Service Unavailable", "".join(f"waiting for {each}\n" for each in missing), _PLAIN) if missing else ("200 OK", "ok\n", _PLAIN)
            )
        if path == "/metrics":
            return "200 OK", metrics.exposition(), metrics.CONTENT_TYPE
        return "404 Not Found", "try /healthz, /readyz or /metrics\n", _PLAIN


def resident_megabytes() -> int:
    """Memory in use now on Linux, the peak elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() // 2**20
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // (2**20 if sys.platform == "darwin" else 2**10)
