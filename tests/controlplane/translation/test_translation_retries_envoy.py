"""The default retries of routes with failover, in a real Envoy in front of two backends: what is saved, how fast, and what is never done twice.

All traffic is on loopback; every count is bounded.
"""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from envoy_on_disk import Envoy, eventually, on_loopback, pod, running, write_backend, write_bootstrap
from http_backend import Answer, Asked, Backend, serving
from translation_support import BLUE_CLUSTER, HEALTH_CHECK, NAMESPACE, failover, http_gateway, inputs, route, upstream, virtual_service

from controlplane.translation import translate
from controlplane.translation.types import ProxyRef

pytestmark = pytest.mark.envoy

PROXY, FIRST, SECOND, PORT = pod(40), pod(41), pod(42), 10000
URL = (on_loopback(PROXY), 8080)
CHECK = {**HEALTH_CHECK, "interval": "0.1s", "timeout": "0.5s"}
NEVER = {**HEALTH_CHECK, "interval": "600s", "timeout": "5s"}
"""A check that comes too late to help: what is saved is saved by retries."""


def static(address: str, **more: Any) -> Any:
    """An Upstream with one host, failing over to SECOND in plain text."""
    far = failover({"address": SECOND, "port": PORT})
    return upstream(spec={"static": {"hosts": [{"addr": address, "port": PORT}]}, "failover": far, **more})


@dataclass(frozen=True)
class Replied:
    status: int
    body: str
    headers: dict[str, str]
    seconds: float


def send(method: str, path: str = "/", body: bytes = b"", headers: dict[str, str] | None = None) -> Replied:
    started = time.monotonic()
    connection = http.client.HTTPConnection(*URL, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        text = response.read().decode()
        return Replied(response.status, text, {key.lower(): value for key, value in response.getheaders()}, time.monotonic() - started)
    finally:
        connection.close()


def start(stack: ExitStack, folder: Path, *objects: Any) -> Envoy:
    given = translate(inputs(*objects), proxy=ProxyRef(namespace=NAMESPACE, bind_address=on_loopback(PROXY)), realise=on_loopback)
    admin = (on_loopback(PROXY), 19000)
    return stack.enter_context(running(write_bootstrap(given, folder / "proxy", admin=admin), admin=admin))


@dataclass(frozen=True)
class Pair:
    """Two backends behind the proxy: the first serves, the second is the failover."""

    proxy: Envoy
    first: Backend
    second: Backend


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        first = stack.enter_context(serving("first", (on_loopback(FIRST), PORT)))
        second = stack.enter_context(serving("second", (on_loopback(SECOND), PORT)))
        proxy = start(stack, tmp_path, static(FIRST, healthChecks=[NEVER]), http_gateway(), virtual_service())
        healthy = {0: True, 1: True}
        eventually(lambda: proxy.health(BLUE_CLUSTER) == healthy, why="both are seen to be healthy", seconds=5)
        yield Pair(proxy, first, second)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("failure", [Answer(503), Answer(502), Answer(None)], ids=["503", "502", "hangs-up"])
def test_an_idempotent_request_that_fails_is_answered_by_the_next_priority(pair: Pair, method: str, failure: Answer) -> None:
    pair.first.answer = lambda _: failure
    body = b"x" * 1000 if method == "PUT" else b""
    replied = send(method, body=body)
    assert replied.status == 200, "the client does not notice"
    assert (len(pair.first.asked), len(pair.second.asked)) == (1, 1), "one try each: the first priority is not tried twice"
    assert pair.second.asked[0].body == body, "the body is sent again too"
    assert replied.seconds < 0.5, "without waiting for a timeout"


@pytest.mark.parametrize("failure", [Answer(503), Answer(None), Answer(503, headers={"x-envoy-immediate-health-check-fail": "true"})])
def test_a_post_that_may_have_been_executed_is_not_executed_twice(pair: Pair, failure: Answer) -> None:
    pair.first.answer = lambda _: Answer(failure.status, headers={"content-type": "text/plain", **failure.headers})
    assert send("POST", body=b"pay").status == 503, "the client has to decide"
    assert pair.first.methods() == ["POST"], "it was executed once"
    assert pair.second.asked == [], "and nowhere else"


def test_a_post_that_could_not_be_connected_is_answered_by_the_next_priority(tmp_path: Path) -> None:
    with ExitStack() as stack:
        second = stack.enter_context(serving("second", (on_loopback(SECOND), PORT)))
        # Nobody listens at the first; panic lets requests be sent there although it was seen to fail.
        start(stack, tmp_path, static(FIRST, healthChecks=[NEVER]), http_gateway(), virtual_service())
        replied = send("POST", body=b"pay")
        assert (replied.status, replied.body) == (200, "second"), "nothing was executed, so it may be sent again"
        assert second.asked[0].body == b"pay", "with its body"


def test_a_slow_answer_still_arrives_and_is_raced(pair: Pair) -> None:
    def slow(_: Asked) -> Answer:
        return Answer(after=2.0)

    pair.first.answer = pair.second.answer = slow
    replied = send("GET")
    assert (replied.status, replied.body) == (200, "first"), "the first try is not given up: it answers first"
    assert 1.9 < replied.seconds < 2.5, "and in its own time"
    assert len(pair.second.asked) == 1, "after a second the next priority was asked as well"


def test_a_slow_put_is_not_raced(pair: Pair) -> None:
    pair.first.answer = lambda _: Answer(after=2.0)
    assert send("PUT", body=b"x").body == "first", "it has a third of the timeout, 5 s"
    assert pair.second.asked == [], "the same change at two places at once could undo a later one"


def test_an_answer_that_is_fast_enough_is_not_raced(pair: Pair) -> None:
    pair.first.answer = lambda _: Answer(after=0.5)
    assert send("GET").body == "first", "it serves"
    assert pair.second.asked == [], "the standby has no work while the primary is well"


@pytest.fixture(params=[False, True], ids=["every-request-is-a-check", "only-health-is-a-check"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Envoy, Envoy, Backend, bool]]:
    """The guide's app as the first priority, behind the proxy; the second is a backend that remembers."""
    with ExitStack() as stack:
        admin = (on_loopback(FIRST), 19000)
        path = write_backend(tmp_path / "first", text="first", address=on_loopback(FIRST), matched=request.param)
        first = stack.enter_context(running(path, admin=admin))
        second = stack.enter_context(serving("second", (on_loopback(SECOND), PORT)))
        proxy = start(stack, tmp_path, static(FIRST, healthChecks=[CHECK]), http_gateway(), virtual_service())
        eventually(lambda: proxy.health(BLUE_CLUSTER) == {0: True, 1: True}, why="both are seen to be healthy", seconds=5)
        yield proxy, first, second, request.param


def test_no_post_is_lost_or_repeated_when_the_app_is_told_to_fail(app: tuple[Envoy, Envoy, Backend, bool]) -> None:
    proxy, first, second, matched = app
    body = b"x" * 100_000
    for _ in range(5):
        first.ask("POST", "/healthcheck/fail")
        before = len(second.asked)
        replies = [send("POST", body=body) for _ in range(10)]
        assert {reply.status for reply in replies} == {200}, "whoever meets the failure first is answered by the next priority"
        by_second = [reply for reply in replies if reply.body == "second"]
        assert len(second.asked) - before == len(by_second), "each was executed once: those answered by the first were not repeated"
        assert replies[0].body == ("first" if matched else "second"), "an answer of the app itself is an answer, whatever its header says"
        assert {each.body for each in second.asked if each.method == "POST"} == {body}, "bodies arrive whole"
        leaked = [
            name for reply in replies for name in reply.headers if name in ("x-envoy-immediate-health-check-fail", "x-service-failover-not-executed")
        ]
        assert leaked == [], "the marks do not leave the gateway"
        first.ask("POST", "/healthcheck/ok")
        eventually(lambda: send("GET").body == "first", why="the first serves again", seconds=5)
    assert proxy.stat(f"cluster.{BLUE_CLUSTER}.upstream_rq_retry_overflow") == 0, "no retry was refused"


def test_a_body_over_the_buffer_limit_is_not_tried_again(app: tuple[Envoy, Envoy, Backend, bool]) -> None:
    _, first, second, matched = app
    first.ask("POST", "/healthcheck/fail")
    replied = send("POST", body=b"x" * 3_000_000)
    assert replied.status == (200 if matched else 503), "the limit is 1 MiB: what was not kept cannot be sent again (docs/api.md)"
    assert second.asked == [], "and is not"


def stopped(pid: int) -> bool:
    """Whether each thread of a process has noticed its SIGSTOP: on a busy machine one may go on for a moment."""
    return all(file.read_text().rpartition(") ")[2].startswith("T") for file in Path(f"/proc/{pid}/task").glob("*/stat"))


def test_a_frozen_app_costs_a_second_and_nothing_is_lost(app: tuple[Envoy, Envoy, Backend, bool]) -> None:
    _, first, second, _ = app
    os.kill(first.pid, signal.SIGSTOP)
    eventually(lambda: stopped(first.pid), why="it is frozen", seconds=5)
    try:
        get = send("GET")
        assert (get.status, get.body) == (200, "second"), "raced by the next priority"
        assert get.seconds < 1.5, "after a second"
        assert send("GET").status == 200, "and so is the next one"
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert second.methods() == ["GET", "GET"], "one race each"


def test_an_app_that_freezes_and_thaws_under_load_loses_nothing(app: tuple[Envoy, Envoy, Backend, bool]) -> None:
    proxy, first, _, _ = app

    def client() -> list[Replied]:
        return [send(method, body=b"x" if method == "PUT" else b"") for method in ("GET", "GET", "HEAD", "PUT") * 15]

    with ThreadPoolExecutor(max_workers=8) as clients:
        running_clients = [clients.submit(client) for _ in range(8)]
        try:
            for _ in range(3):
                time.sleep(0.3)
                os.kill(first.pid, signal.SIGSTOP)
                time.sleep(1.2)
                os.kill(first.pid, signal.SIGCONT)
        finally:
            os.kill(first.pid, signal.SIGCONT)
        replies = [reply for each in running_clients for reply in each.result(timeout=60)]
    assert len(replies) == 480, "each client has all its answers"
    assert {reply.status for reply in replies} == {200}, "none is lost"
    assert max(reply.seconds for reply in replies) < 7, "a PUT waits a third of the timeout, 5 s"
    assert proxy.ask("GET", "/ready").startswith("LIVE"), "and the proxy lives"


def test_the_annotation_turns_the_default_off(tmp_path: Path) -> None:
    annotated = virtual_service(route(), meta={"annotations": {"servicefailover.dev/failover-retries": "disabled"}})
    with ExitStack() as stack:
        first = stack.enter_context(serving("first", (on_loopback(FIRST), PORT)))
        second = stack.enter_context(serving("second", (on_loopback(SECOND), PORT)))
        start(stack, tmp_path, static(FIRST, healthChecks=[NEVER]), http_gateway(), annotated)
        first.answer = lambda _: Answer(503)
        assert send("GET").status == 503, "as asked for"
        assert second.asked == [], "nothing is tried again"
