"""A connection of the probe: one request at a time over HTTP/1.1, sent once, and what came of it told as it was.

Own code, since what HTTP clients do for their users is what a probe must not do: send a request again, hide that a connection had been used before,
take an answer that was cut for a whole one. The bytes are parsed by httptools (llhttp). It also costs half of a client library's processor time or
less, which is what keeps the schedule at 2,000 requests a second on one core.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import httptools

from drill.load import Request

AGENT = "service-failover-probe"
KEPT = 1000
"""Bytes of a body that are kept; the rest is read and forgotten."""
_SAFE = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True)
class Target:
    """Where a request goes, and its bytes."""

    host: str
    port: int
    tls: bool
    data: bytes
    bodiless: bool
    """The answer has no body, whatever its headers say."""

    @classmethod
    def of(cls, request: Request) -> Target:
        url = urlsplit(request.url)
        tls = url.scheme == "https"
        path = quote(url.path or "/", safe=_SAFE) + (f"?{quote(url.query, safe=_SAFE)}" if url.query else "")
        headers = {"Host": url.netloc.rpartition("@")[2], "User-Agent": AGENT, "Accept": "*/*"}
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(request.body))
        given = {name.title(): value for name, value in request.headers.items()}
        lines = [f"{request.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in (headers | given).items())]
        data = "\r\n".join((*lines, "", "")).encode("latin-1") + request.body
        return cls(host=url.hostname or "", port=url.port or (443 if tls else 80), tls=tls, data=data, bodiless=request.method == "HEAD")


@dataclass(slots=True)
class Answer:
    """What came. `whole` says whether all of it did; `error` why not."""

    status: int = 0
    body: bytes = b""
    begun: bool = False
    """Anything came at all."""
    whole: bool = False
    error: str = ""


@dataclass(slots=True)
class _Exchange:
    """An answer on its way."""

    done: asyncio.Future[Answer]
    bodiless: bool
    answer: Answer = field(default_factory=Answer)
    measured: bool = False
    """The answer says how long it is; else it ends with the connection."""


class Connection(asyncio.Protocol):
    """Connected to a server. When `idle`, it can carry another request; `used` says that it has carried one."""

    def __init__(self) -> None:
        self.idle = False
        self.used = False
        self._exchange: _Exchange | None = None

    async def exchange(self, target: Target) -> Answer:
        """Send a request, once, and wait for what becomes of it. Raises nothing of the connection's; the answer has it."""
        self.idle = False
        self._parser = httptools.HttpResponseParser(self)
        self._exchange = _Exchange(done=asyncio.get_running_loop().create_future(), bodiless=target.bodiless)
        try:
            self._transport.write(target.data)
            return await self._exchange.done
        finally:
            if self._exchange is not None:  # given up
                self._exchange = None
                self.close()
            self.used = True

    def close(self) -> None:
        self.idle = False
        self._transport.abort()

    # of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        self._transport = transport
        self.idle = True

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self.close()  # nobody asked
            return
        self._exchange.answer.begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end(whole=True, reusable=False)
        except httptools.HttpParserError as problem:
            self._end(whole=False, error=repr(problem), reusable=False)

    def eof_received(self) -> None:
        self.idle = False  # at once: what is sent from here on would not leave, and look like a loss

    def connection_lost(self, error: Exception | None) -> None:
        self.idle = False
        if self._exchange is not None:
            whole = error is None and self._exchange.answer.status > 0 and not self._exchange.measured
            self._end(whole=whole, error="" if whole else repr(error) if error else "the server closed the connection", reusable=False)

    # of the parser

    def on_message_begin(self) -> None:
        if self._exchange is None:
            self.close()  # more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._exchange is not None and name.lower() in (b"content-length", b"transfer-encoding"):
            self._exchange.measured = True

    def on_headers_complete(self) -> None:
        if self._exchange is None:
            return
        status = self._parser.get_status_code()
        if status >= 200:
            self._exchange.answer.status = status
            if self._exchange.bodiless:
                self._end(whole=True, reusable=self._parser.should_keep_alive())

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None and len(self._exchange.answer.body) < KEPT:
            self._exchange.answer.body += body[:KEPT]

    def on_message_complete(self) -> None:
        if self._exchange is not None and self._exchange.answer.status:
            self._end(whole=True, reusable=self._parser.should_keep_alive())

    def _end(self, *, whole: bool, reusable: bool, error: str = "") -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        exchange.answer.whole, exchange.answer.error = whole, error
        self.idle = reusable and not self._transport.is_closing()
        if not self.idle:
            self._transport.abort()
        if not exchange.done.done():
            exchange.done.set_result(exchange.answer)
