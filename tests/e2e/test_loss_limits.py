"""What no gateway can save, measured: how many requests are lost, next to how many were in flight when the app failed. Nothing else may be lost.

The table at the end of the run is that of docs/zero-loss.md.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from drill.load import Load, Request
from drill.probe import Probe
from drill.results import Kind
from tests.e2e.conftest import LiveStack
from tests.e2e.faults import BLUE_ENVOY, blue_switch, fresh_pid_of, settled

pytestmark = [pytest.mark.e2e, pytest.mark.loss, pytest.mark.parametrize("backend", ["everything"], indirect=True)]


def kill(stack: LiveStack) -> Callable[[], object]:
    """kill -9 of the app's Envoy, as a call that takes no time."""
    pid = fresh_pid_of(stack, BLUE_ENVOY)
    return lambda: os.kill(pid, signal.SIGKILL)


def fail(stack: LiveStack) -> Callable[[], object]:
    """The app reports itself unhealthy."""
    return blue_switch(stack).fail


@dataclass(frozen=True, kw_only=True)
class Unsavable:
    """Requests of which some are lost, and how the app fails."""

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    size: int = 0
    rate: float
    failure: Callable[[LiveStack], Callable[[], object]]
    kinds: set[Kind]
    """How they are lost."""


CASES = {
    "POST, 500 ms each, kill -9 of the app": Unsavable(
        method="POST", headers={"x-envoy-fault-delay-request": "500"}, size=1024, rate=100, failure=kill, kinds={Kind.STATUS}
    ),
    "POST, as fast as the app is, kill -9 of the app": Unsavable(method="POST", size=1024, rate=300, failure=kill, kinds={Kind.STATUS}),
    "GET of a stream of 3.5 s, kill -9 of the app": Unsavable(
        path="/stream", headers={"x-envoy-fault-throughput-response": "1"}, rate=10, failure=kill, kinds={Kind.CUT}
    ),
    "PUT of 2 MiB, signalled fail of the app": Unsavable(method="PUT", size=2 * 1024 * 1024, rate=20, failure=fail, kinds={Kind.STATUS}),
}


@pytest.mark.parametrize("case", CASES)
def test_no_more_is_lost_than_was_in_flight(backend: LiveStack, case: str, record_limit: Callable[[str, int, int, int], None]) -> None:
    lost = CASES[case]
    request = Request(url=backend.url + lost.path, method=lost.method, headers=lost.headers, body=b"x" * lost.size)
    break_it = lost.failure(backend)
    settled(backend)
    with Probe(Load(requests=(request,), rate=lost.rate, seconds=12, timeout=20)) as probe:
        time.sleep(5)
        broken = time.monotonic()
        break_it()
        probe.wait()
    if lost.failure is fail:
        blue_switch(backend).heal()
    summary = probe.summary()
    in_flight = sum(result.sent <= broken <= result.done for result in probe.results)
    failed = [result for result in probe.results if result.failed]
    record_limit(case, summary.total, in_flight, summary.failed)
    assert {result.kind for result in failed} <= lost.kinds, f"lost in no other way: {summary}"
    assert summary.failed <= in_flight + 2, f"only what was on its way, and what was sent before the failure was seen: {summary}"
    assert max((result.scheduled for result in failed), default=broken) < broken + 1, "the rest of the load went to green"
