"""A connection of the probe tells what the server did to it, for every way in which HTTP/1.1 ends an answer, and for those in which it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drill.load import Request
from drill.wire import KEPT, Connection, Target

pytestmark = pytest.mark.engine

GET = Request(url="http://127.0.0.1/")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nblue"


@asynccontextmanager
async def connected(*answers: bytes | None, keep: bool = True) -> AsyncIterator[tuple[Connection, list[bytes]]]:
    """A connection to a server that sends these bytes, one after each request, and closes it after the last if not `keep`. None: it resets it."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            if answer is None:
                writer.transport.abort()
                return
            writer.write(answer)
        if not keep:
            writer.close()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
        yield connection, seen
        connection.close()


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK, 200, b"blue"),
        (b"HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbl\r\n2\r\nue\r\n0\r\n\r\n", 503, b"blue"),
        (b"HTTP/1.1 204 Nothing\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 As it was\r\ncontent-length: 4\r\n\r\n", 304, b""),
        (b"HTTP/1.1 100 Go on\r\n\r\n" + OK, 200, b"blue"),
        (b"HTTP/1.1 103 Soon\r\nlink: x\r\n\r\n" + OK, 200, b"blue"),
    ],
)
async def test_a_whole_answer_leaves_the_connection_for_the_next(answer: bytes, status: int, body: bytes) -> None:
    async with connected(answer, OK) as (connection, seen):
        first = await connection.exchange(Target.of(GET))
        assert (first.whole, first.status, first.body, first.error) == (True, status, body, "")
        assert connection.idle, "it can carry another request"
        assert connection.used, "and will have carried one"
        assert (await connection.exchange(Target.of(GET))).whole, "which it does"
    assert len(seen) == 2, "each was sent once"


async def test_an_answer_to_head_has_no_body_whatever_it_says() -> None:
    async with connected(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", OK) as (connection, _):
        assert (await connection.exchange(Target.of(Request(url=GET.url, method="HEAD")))).whole
        assert (await connection.exchange(Target.of(GET))).body == b"blue", "the next one has"


async def test_an_answer_that_ends_with_the_connection_is_whole() -> None:
    async with connected(b"HTTP/1.1 200 OK\r\n\r\nblue", keep=False) as (connection, _):
        answer = await connection.exchange(Target.of(GET))
        assert (answer.whole, answer.body) == (True, b"blue"), "it did not say how long it is"
        assert not connection.idle


async def test_a_connection_that_is_to_be_closed_is_not_used_again() -> None:
    async with connected(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nblue") as (connection, _):
        assert (await connection.exchange(Target.of(GET))).whole
        assert not connection.idle


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nblue",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nbl\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 100 Go on\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
    ],
)
async def test_an_answer_that_was_cut_or_is_none_is_not_whole(answer: bytes) -> None:
    async with connected(answer, keep=False) as (connection, _):
        found = await connection.exchange(Target.of(GET))
        assert (found.begun, found.whole) == (True, False), "something came, but not all of it"
        assert found.error, "and it says why"
        assert not connection.idle


@pytest.mark.parametrize("answers", [(None,), (b"",)])
async def test_no_answer_at_all_is_told_apart_from_a_cut_one(answers: tuple[bytes | None, ...]) -> None:
    async with connected(*answers, keep=False) as (connection, _):
        found = await connection.exchange(Target.of(GET))
        assert (found.begun, found.whole, found.status) == (False, False, 0)
        assert found.error


async def test_an_upgrade_nobody_asked_for_ends_the_connection() -> None:
    async with connected(b"HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n") as (connection, _):
        assert (await connection.exchange(Target.of(GET))).status != 200
        assert not connection.idle


async def test_more_than_was_asked_for_ends_the_connection() -> None:
    async with connected(OK + OK) as (connection, _):
        assert (await connection.exchange(Target.of(GET))).whole, "the first answer is one"
        assert not connection.idle, "what follows belongs to no request"


async def test_a_server_that_closes_an_idle_connection_is_noticed() -> None:
    async with connected(OK, keep=False) as (connection, _):
        await connection.exchange(Target.of(GET))
        async with asyncio.timeout(5):
            while connection.idle:
                await asyncio.sleep(0.001)


async def test_an_exchange_that_is_given_up_ends_the_connection() -> None:
    async with connected(b"") as (connection, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connection.exchange(Target.of(GET))
        assert not connection.idle, "a late answer would be taken for that of the next request"


async def test_of_a_long_body_the_beginning_is_kept() -> None:
    async with connected(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1_000_000, OK) as (connection, _):
        answer = await connection.exchange(Target.of(GET))
        assert answer.whole
        assert KEPT <= len(answer.body) <= 2 * KEPT
        assert (await connection.exchange(Target.of(GET))).body == b"blue", "all of it was read"


def test_a_request_is_written_as_it_is() -> None:
    request = Request(
        url="http://user@host.test:81/a b?q=ü".replace("ü", "%C3%BC"), method="PUT", headers={"host": "other", "x-who": "probe"}, body=b"\x00\xff"
    )
    target = Target.of(request)
    assert (target.host, target.port, target.tls) == ("host.test", 81, False)
    head, _, body = target.data.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[0] == b"PUT /a%20b?q=%C3%BC HTTP/1.1"
    assert {b"Host: other", b"X-Who: probe", b"Content-Length: 2"} <= set(head.split(b"\r\n")), "a header that is given replaces ours"
    assert body == b"\x00\xff"


def test_a_url_has_the_port_of_its_scheme() -> None:
    assert [Target.of(Request(url=url)).port for url in ("http://a", "https://a", "https://[::1]:5/")] == [80, 443, 5]
    assert Target.of(Request(url="https://[::1]:5/")).host == "::1"
    assert b"POST / HTTP/1.1\r\n" in Target.of(Request(url="http://a", method="POST")).data
    assert b"\r\nContent-Length: 0\r\n" in Target.of(Request(url="http://a", method="POST")).data, "a body that may be there says that it is not"
