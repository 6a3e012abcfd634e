"""What a drill shows while it runs: in a terminal two lines that stay where they are, with events above them; elsewhere a line for each event.

It shows and judges nothing. Colours only in a terminal, and none if NO_COLOR is set.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.text import Text

from drill.probe import Probe
from drill.record import Event, EventKind
from drill.results import Result

_REFRESH = 4
_BAR = 24
_STYLES = {EventKind.BREAK: "bold red", EventKind.HEAL: "bold green", EventKind.HEALTH: "yellow", EventKind.SERVING: "yellow"}


@dataclass(kw_only=True)
class Progress:
    """How far a drill is. The drill writes it, and the view reads it at any time."""

    total: int
    """Scenarios to run, repeats and all."""
    number: int = 0
    scenario: str = "drill"
    phase: str = "begin"
    since: float = field(default_factory=time.monotonic)
    """When the phase began (`time.monotonic()`)."""
    seconds: float = 0.0
    """How long it is to last; 0: not known."""
    probe: Probe | None = None
    began: float = field(default_factory=time.monotonic)
    """When the scenario began: what the times of events are counted from."""


class View:
    """The drill's window."""

    def __init__(self, progress: Progress, *, console: Console | None = None) -> None:
        self._progress = progress
        self._console = console or Console(highlight=False, soft_wrap=True)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While this lasts it is there, and gone afterwards."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            get_renderable=lambda: lines(self._progress, now=time.monotonic()), console=self._console, refresh_per_second=_REFRESH, transient=True
        ):
            yield

    def start(self, scenario: str, title: str) -> None:
        """The next scenario."""
        progress = self._progress
        progress.number, progress.scenario, progress.began, progress.probe = progress.number + 1, scenario, time.monotonic(), None
        self._print(f"[{progress.number}/{progress.total}] {scenario}: {title}", style="bold")

    def phase(self, name: str, seconds: float = 0.0) -> None:
        """The next part of it, and how long that is to last."""
        self._progress.phase, self._progress.since, self._progress.seconds = name, time.monotonic(), seconds
        if not self._console.is_terminal:
            self._print(f"{self._time(time.monotonic())} {name}" + (f" {seconds:g} s" if seconds else ""))

    def follow(self, probe: Probe) -> None:
        """What clients see is what this probe sees."""
        self._progress.probe = probe

    def event(self, event: Event) -> None:
        """Something happened."""
        if event.kind is not EventKind.WARM:  # the phase's line has just said it
            self._print(f"{self._time(event.at)} {event.kind}: {event.text}", style=_STYLES.get(event.kind, ""))

    def say(self, text: str) -> None:
        """A line of its own."""
        self._print(text)

    def _time(self, at: float) -> str:
        return f"  {at - self._progress.began:7.2f} s"

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))


def lines(progress: Progress, *, now: float) -> Text:
    """The two lines that stay: how far the drill is, and what clients see."""
    spent = now - progress.since
    share = min(1.0, spent / progress.seconds) if progress.seconds else 0.0
    filled = round(share * _BAR)
    first = f"{progress.scenario} {progress.number} of {progress.total}  {progress.phase} {spent:.1f}"
    first += f" of {progress.seconds:g} s  {'━' * filled}{'─' * (_BAR - filled)}" if progress.seconds else " s"
    return Text(first + "\n" + (clients(progress.probe.results, rate=progress.probe.load.rate) if progress.probe else ""))


def clients(results: list[Result], *, rate: float) -> str:
    """What clients see, in one line."""
    failed = sum(result.failed for result in results)
    last = next((result for result in reversed(results) if not result.failed), None)
    return f"serves now: {last.server if last else 'nobody'}  requests {len(results):,}  failed {failed:,}  {rate:g} a second"
