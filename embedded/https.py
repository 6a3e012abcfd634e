"""A small HTTPS client: one request a connection, with a client certificate, on asyncio, from the standard library only.

It serves the supervisor's probes and the few calls a start makes. The supervisor lives as long as its cluster, so it is kept small; and no client
for the Kubernetes API could also ask etcd.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

UNREACHABLE = (OSError, asyncio.TimeoutError, EOFError, ValueError)
"""What a request can raise when nobody answers, or not HTTP."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server, and how to be known there: paths of its authority's certificate and of our own pair."""

    host: str
    port: int
    ca: str
    certificate: str
    key: str


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        return json.loads(self.body)


async def request(
    endpoint: Endpoint, path: str, *, method: str = "GET", body: Any = None, content_type: str = "application/json", seconds: float = 5
) -> Answer:
    """One request. Raises one of UNREACHABLE when there is no answer within `seconds`."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, ssl=_context(endpoint), server_hostname=endpoint.host)
        try:
            content = b"" if body is None else json.dumps(body).encode()
            # HTTP/1.0: the answer is not chunked and ends with the connection.
            head = f"{method} {path} HTTP/1.0\r\nHost: {endpoint.host}:{endpoint.port}\r\nAccept: application/json\r\n"
            if content:
                head += f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
            writer.write(head.encode() + b"\r\n" + content)
            answer = await reader.read()
        finally:
            writer.close()
    headers, _, rest = answer.partition(b"\r\n\r\n")
    return Answer(int(headers.split(b" ", 2)[1]) if headers.startswith(b"HTTP/") else 0, rest)


@lru_cache(maxsize=16)
def _context(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=endpoint.ca)
    context.load_cert_chain(endpoint.certificate, endpoint.key)
    return context
