"""The web server of the console's page: who gets an answer, and what goes with every answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx2 as httpx
import pytest

from controlplane import web
from controlplane.web import Request, Response, WebServer, is_loopback

pytestmark = pytest.mark.loopback


def respond(request: Request) -> Response:
    return Response(body=f"{request.path} {dict(request.query)}".encode())


@pytest.fixture
async def server() -> AsyncIterator[WebServer]:
    server = WebServer(address="127.0.0.1:0", respond=respond)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http(server: WebServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
        yield http


async def raw(server: WebServer, sent: bytes) -> bytes:
    """What comes back for these bytes, until the server closes or has nothing more to say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    try:
        async with asyncio.timeout(2):
            return await reader.read()
    finally:
        writer.close()


async def test_a_request_gets_its_answer_and_the_connection_stays(http: httpx.AsyncClient):
    first = await http.get("/one", params={"name": "a b"})
    second = await http.get("/two")
    assert (first.status_code, first.text, second.text) == (200, "/one {'name': 'a b'}", "/two {}"), "path and query, decoded"
    assert "connection" not in first.headers, "a page that asks every second needs no new connection through a port-forward each time"


async def test_a_head_is_an_answer_without_its_body(http: httpx.AsyncClient):
    answer = await http.head("/page")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "8")
    assert (await http.get("/page")).text == "/page {}", "and the connection is still in step"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_nothing_but_reading_is_allowed(http: httpx.AsyncClient, method: str):
    answer = await http.request(method, "/", content=b"x" if method == "POST" else None)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD"), "there is no write action"


@pytest.mark.parametrize("host", ["localhost:1234", "LOCALHOST", "127.0.0.1", "127.0.0.1:80", "[::1]:9980", "[::1]"])
def test_the_names_of_loopback_are_answered(host: str):
    assert is_loopback(host), "a port-forward may have any port"


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "127.0.0.1:", "127.0.0.1:x@evil", "10.0.0.1", "::1", "[::2]"]
)
def test_no_other_name_is_answered(host: str):
    assert is_loopback(host) is (host == "127.0.0.1:"), "an empty port is no other host"


async def test_a_site_whose_name_points_to_loopback_gets_nothing(http: httpx.AsyncClient):
    answer = await http.get("/secret", headers={"Host": "evil.example"})
    assert answer.status_code == HTTPStatus.MISDIRECTED_REQUEST, "DNS rebinding: the browser takes us for that site"
    assert "/secret" not in answer.text, "the page was not asked"


@pytest.mark.parametrize(("path", "headers"), [("/", {}), ("/", {"Host": "evil.example"})], ids=["an answer", "a refusal"])
async def test_every_answer_is_kept_from_being_run_framed_or_stored(http: httpx.AsyncClient, path: str, headers: dict[str, str]):
    answer = await http.get(path, headers=headers)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'"), "what is not allowed is forbidden"
    assert "unsafe" not in policy, "no inline script, no inline style, no eval"
    assert "http" not in policy, "no asset from elsewhere"
    assert "frame-ancestors 'none'" in policy, "nor inside of another page"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store", "what it shows is not kept on the disk"
    assert "access-control-allow-origin" not in answer.headers, "no other site reads it"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["TLS", "no host", "two hosts", "two lengths", "endless"],
)
async def test_what_is_no_proper_request_is_refused_and_the_connection_closed(server: WebServer, sent: bytes):
    assert (await raw(server, sent)).startswith(b"HTTP/1.1 4"), "and not guessed at"


async def test_a_body_is_not_waited_for(server: WebServer):
    answer = await raw(server, b"GET /page HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
    assert b"connection: close" in answer.lower(), "nothing here needs one"


async def test_whoever_says_nothing_is_not_kept(server: WebServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web, "IDLE_SECONDS", 0.05)
    assert await raw(server, b"GET / HTTP") == b"", "the connection is closed"


async def test_connections_are_bounded(server: WebServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(web, "MAX_CONNECTIONS", 0)
    answer = await raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503"), "gloo-fed has other things to do"


async def test_an_end_does_not_wait_for_open_connections(http: httpx.AsyncClient, server: WebServer):
    await http.get("/")
    await server.stop()
    with pytest.raises(httpx.HTTPError):
        await http.get("/")


async def test_a_port_that_is_taken_is_named(server: WebServer):
    other = WebServer(address=f"127.0.0.1:{server.port}", respond=respond)
    with pytest.raises(OSError, match=rf"console cannot listen on 127.0.0.1:{server.port}.*another process"):
        await other.start()
