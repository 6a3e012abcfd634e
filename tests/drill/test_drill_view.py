"""What a drill shows while it runs: lines where there is no terminal, two lines that stay where there is one."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from drill.record import Event, EventKind
from drill.results import Kind, Result
from drill.view import Progress, View, clients, lines

pytestmark = pytest.mark.unit

YELLOW = "\x1b[33m"


def result(number: int, server: str, kind: Kind = Kind.OK) -> Result:
    return Result(number, number / 10, number / 10, 0.01, kind, 200 if kind is Kind.OK else 503, server, "")


def shown(*, terminal: bool) -> str:
    out = io.StringIO()
    progress = Progress(total=2)
    view = View(progress, console=Console(file=out, force_terminal=terminal, width=40, soft_wrap=True, highlight=False))
    view.start("app-killed", "the app is killed with a signal that it cannot handle, and so it ends")
    view.phase("hold", 4)
    view.event(Event(progress.began + 1.5, EventKind.HEALTH, "priority 0 unhealthy", 0, False))
    return out.getvalue()


def test_without_a_terminal_each_step_and_event_is_a_plain_line() -> None:
    first, phase, event = shown(terminal=False).splitlines()
    assert first == "[1/2] app-killed: the app is killed with a signal that it cannot handle, and so it ends", "not wrapped"
    assert phase.endswith(" hold 4 s"), "what goes on, and how long"
    assert event == "     1.50 s health: priority 0 unhealthy", "when it happened, from the scenario's beginning"


def test_colours_are_for_terminals_and_for_those_who_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert YELLOW in shown(terminal=True), "a terminal gets some"
    monkeypatch.setenv("NO_COLOR", "1")
    assert YELLOW not in shown(terminal=True), "NO_COLOR is honoured"


def test_before_the_first_scenario_there_is_something_to_see() -> None:
    progress = Progress(total=8)
    assert lines(progress, now=progress.since + 1).plain == "drill 0 of 8  begin 1.0 s\n", "the guardian is being started"


def test_the_lines_that_stay_say_how_far_it_is_and_what_clients_see() -> None:
    results = [result(0, "blue-pod"), result(1, "", Kind.STATUS), result(2, "green-pod")]
    probe: Any = SimpleNamespace(results=results, load=SimpleNamespace(rate=200.0))
    progress = Progress(total=8, number=2, scenario="app-killed", phase="hold", since=100.0, seconds=8.0, probe=probe)
    first, second = lines(progress, now=102.0).plain.splitlines()
    assert first == "app-killed 2 of 8  hold 2.0 of 8 s  ━━━━━━──────────────────", "a quarter"
    assert second == "serves now: green-pod  requests 3  failed 1  200 a second", "who serves, and what was lost"
    assert clients([], rate=5) == "serves now: nobody  requests 0  failed 0  5 a second", "before the first answer"
