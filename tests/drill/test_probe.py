"""The probe against a server whose failures are known: it finds each, names it, and invents none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from stub_server import StubServer

from drill.load import Load, Request
from drill.probe import Probe, ProbeError, main
from drill.results import Kind
from drill.sender import Sender

pytestmark = pytest.mark.engine


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer.running() as server:
        yield server


def load(stub: StubServer, *paths: str, rate: float = 200, seconds: float = 1, timeout: float = 5, most_in_flight: int = 1000) -> Load:
    requests = tuple(Request(url=stub.url + path) for path in paths)
    return Load(requests=requests, rate=rate, seconds=seconds, timeout=timeout, most_in_flight=most_in_flight)


def test_every_failure_is_found_and_named_and_none_is_invented(stub: StubServer) -> None:
    paths = ("/ok", "/drop", "/ok", "/status", "/cut", "/ok", "/never", "/slow", "/ok", "/ok")
    with Probe(load(stub, *paths, seconds=2, timeout=1)) as probe:
        probe.wait()
    by_path = {index: [result for result in probe.results if result.number % len(paths) == index] for index in range(len(paths))}
    assert {len(results) for results in by_path.values()} == {40}, "400 requests, each with a result"
    assert sum(stub.seen.values()) == 400, "each was sent once: none was left out, none repeated"
    expected = {"/ok": {Kind.OK}, "/slow": {Kind.OK}, "/status": {Kind.STATUS}, "/cut": {Kind.CUT}, "/never": {Kind.TIMEOUT}}
    for index, path in enumerate(paths):
        kinds = {result.kind for result in by_path[index]}
        assert kinds <= expected.get(path, {Kind.CLOSED, Kind.STALE}), f"what {path} did is told as it was"
    summary = probe.summary()
    assert summary.failed == 160, "four of ten"
    assert summary.servers == ["stub"], "the body tells who answered"
    assert summary.first_failed is not None
    assert summary.first_failed.number == 1, "the first /drop"


def test_no_coordinated_omission(stub: StubServer) -> None:
    with Probe(load(stub, "/ok", seconds=2)) as probe:
        time.sleep(0.7)
        stub.stalled, stalled_at = True, time.monotonic()
        time.sleep(0.5)
        stub.stalled, freed_at = False, time.monotonic()
        probe.wait()
    assert len(probe.results) == 400, "the schedule is kept while the server stalls"
    held = [result for result in probe.results if stalled_at + 0.1 < result.scheduled < freed_at - 0.1]
    assert len(held) >= 50, "requests went out meanwhile"
    for result in held:
        assert result.done >= freed_at, "nobody was answered"
        assert result.took >= freed_at - result.scheduled, "each has waited since the time at which it was to be sent"
    assert probe.summary().latency[50.0] < 0.1, "the others were answered at once"
    assert probe.summary().slowest.took >= 0.4, "the first that was held has waited for nearly the whole stall"


def test_a_slow_answer_delays_nobody_else(stub: StubServer) -> None:
    with Probe(load(stub, "/slow", "/ok")) as probe:
        probe.wait()
    slow = [result.took for result in probe.results if result.number % 2 == 0]
    fast = sorted(result.took for result in probe.results if result.number % 2)
    assert min(slow) >= 0.2, "the server's delay is in the time"
    assert fast[len(fast) // 2] < 0.1, "others go past it"


def test_a_connection_that_broke_is_told_apart_by_its_use(stub: StubServer) -> None:
    with Probe(load(stub, "/ok", "/drop", rate=10)) as probe:
        probe.wait()
    assert {result.kind for result in probe.results if result.number % 2} == {Kind.STALE}, "it had carried a request before"
    with Probe(load(stub, "/last", "/drop", rate=10)) as probe:
        probe.wait()
    assert {result.kind for result in probe.results if result.number % 2} == {Kind.CLOSED}, "it was new: no excuse for the server"
    assert {result.kind for result in probe.results if result.number % 2 == 0} == {Kind.OK}, "a connection that ends as announced is no loss"


def test_nobody_there_is_refused(stub: StubServer) -> None:
    gone = Request(url="http://127.0.0.1:1/")
    with Probe(Load(requests=(gone,), rate=50, seconds=0.2)) as probe:
        probe.wait()
    assert probe.summary().kinds == {Kind.REFUSED: 10}, "each is counted"


def test_what_the_probe_cannot_send_is_not_taken_for_an_answer(stub: StubServer) -> None:
    with Probe(load(stub, "/never", rate=100, timeout=1, most_in_flight=10)) as probe:
        probe.wait()
    kinds = probe.summary().kinds
    assert kinds.keys() <= {Kind.TIMEOUT, Kind.UNSENT}, "nothing was answered"
    assert kinds[Kind.UNSENT] >= 50, "and the limit of the measurement is told"
    assert probe.summary().failed == 100, "as a failure"


def test_method_headers_and_body_arrive(stub: StubServer) -> None:
    request = Request(url=f"{stub.url}/ok", method="POST", headers={"x-who": "probe"}, body=bytes(range(256)) * 8)
    with Probe(Load(requests=(request,), rate=50, seconds=0.2)) as probe:
        probe.wait()
    assert {result.server for result in probe.results} == {"2048 bytes"}, "a body is sent as it is"


def test_leaving_early_stops_the_load_and_waits_for_what_is_in_flight(stub: StubServer) -> None:
    with Probe(load(stub, "/slow", seconds=60)) as probe:
        time.sleep(0.5)
        assert probe.results, "results are there while the load lasts"
    assert len(probe.results) == stub.seen["/slow"], "nothing is left in flight, nothing is lost"
    assert len(probe.results) < 1000, "and the minute did not pass"
    assert probe.summary().failed == 0, "stopping is no failure"


def test_a_probe_that_dies_is_not_a_clean_run(stub: StubServer) -> None:
    probe = Probe(load(stub, "/ok", seconds=60)).__enter__()
    probe._process.kill()
    with pytest.raises(ProbeError, match="-9"):
        probe.__exit__(None, None, None)


async def test_an_error_of_the_probes_own_is_no_missing_result(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ArithmeticError("a mistake")

    monkeypatch.setattr(Sender, "_answer", broken)
    with pytest.raises(ArithmeticError, match="a mistake"):
        await Sender(load(stub, "/ok", seconds=0.1)).run(start=time.monotonic(), stop=asyncio.Event())


def test_the_command_prints_what_happened(stub: StubServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{stub.url}/ok", "--rate", "50", "--seconds", "0.5"]) == 0, "nothing failed"
    assert "25 x stub" in capsys.readouterr().out, "who answered, and how often"
    assert main([f"{stub.url}/status", "--rate", "50", "--seconds", "0.2"]) == 1, "a failure is an exit code"
    assert "10 x (status 503)" in capsys.readouterr().out, "with its status"
