"""A small web server for a page of this process that only the user's own browser opens, through a port-forward: it answers GET and HEAD, and no more.

HTTP itself is h11's. What it adds is what a page on loopback needs: it answers to the names of loopback alone (another site whose name points there,
DNS rebinding, gets nothing), sends no answer that a browser would run, frame or keep, and bounds sizes, times and connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

import h11

from controlplane.net import split_address

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MAX_REQUEST_BYTES = 16 * 1024
MAX_CONNECTIONS = 64
IDLE_SECONDS = 30.0
"""For a request to arrive, and for its answer to be taken."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a page may depend on. Header names are in lower case."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer; `headers` come on top of SECURITY_HEADERS."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def text(cls, status: HTTPStatus, text: str, **headers: str) -> Response:
        return cls(status=status, body=f"{text}\n".encode(), headers=headers)


class WebServer:
    """Answers each request on `address` with `respond(request)`, which must not block."""

    def __init__(self, *, address: str, respond: Callable[[Request], Response]) -> None:
        self._host, self._port = split_address(address)
        self._respond = respond
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        assert self._server is not None, "started"  # noqa: S101
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen. OSError says where that was impossible."""
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self._port)
        except OSError as error:
            raise OSError(f"the console cannot listen on {self._host}:{self._port}: {error.strerror}; is another process using it?") from error

    async def stop(self) -> None:
        """Close at once, whatever is under way: there is nothing to lose."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._open):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST_BYTES)
        self._open.add(writer)
        try:
            while connection.our_state is h11.IDLE:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._exchange(connection, reader, writer)
        except (OSError, TimeoutError, h11.ProtocolError):
            pass  # The browser went away, or something that does not speak HTTP.
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        close = len(self._open) > MAX_CONNECTIONS
        try:
            request = await _next(connection, reader)
            if not isinstance(request, h11.Request):
                connection.send(h11.ConnectionClosed())
                return
            response = Response.text(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections") if close else self._answer(request)
            # Nothing that this server answers needs a body: one that comes all the same is not read.
            close = close or not isinstance(await _next(connection, reader), h11.EndOfMessage)
            head = request.method == b"HEAD"
        except h11.RemoteProtocolError as error:
            response, close, head = Response.text(HTTPStatus(error.error_status_hint), "not a request that this page understands"), True, False
        headers = {"Content-Type": response.content_type, **SECURITY_HEADERS, **response.headers, "Content-Length": str(len(response.body))}
        if close:
            headers["Connection"] = "close"
        sent = connection.send(h11.Response(status_code=response.status, headers=list(headers.items()), reason=response.status.phrase))
        body = b"" if head or response.status is HTTPStatus.NOT_MODIFIED else connection.send(h11.Data(data=response.body))
        writer.write((sent or b"") + (body or b"") + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()
        with suppress(h11.ProtocolError):  # One that is to be closed stays as it is.
            connection.start_next_cycle()

    def _answer(self, raw: h11.Request) -> Response:
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in raw.headers}
        if not is_loopback(headers.get("host", "")):
            return Response.text(HTTPStatus.MISDIRECTED_REQUEST, "this page answers to localhost and 127.0.0.1 only: make console")
        if raw.method not in (b"GET", b"HEAD"):
            return Response.text(HTTPStatus.METHOD_NOT_ALLOWED, "this page only reads", Allow="GET, HEAD")
        target = urlsplit(raw.target.decode("latin-1"))
        return self._respond(Request(path=target.path, query=dict(parse_qsl(target.query)), headers=headers))


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(MAX_REQUEST_BYTES))
    return event


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine's loopback, with any port."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, ""
    return name.lower() in LOOPBACK_NAMES and (port.isdecimal() or not port)
