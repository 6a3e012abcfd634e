"""The flow of a drill: settle, probe on, warm up, break, hold, heal, hold, probe off, look for causes. Once for each scenario, one after the other.

It measures and judges nothing: what it returns is what was seen. Before something is broken it is noted, and there is a guardian, so that it is
healed whatever becomes of this process.
"""

from __future__ import annotations

import datetime
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from cli.workspace import CommandFailed
from drill.broken import Broken
from drill.causes import causes
from drill.guardian import Guardian
from drill.load import LONGEST, Load, Request
from drill.probe import Probe
from drill.record import Event, EventKind, Recording
from drill.scenario import Scenario
from drill.settled import unsettled
from drill.target import Target
from drill.view import View
from drill.watch import observe

WARM_UP = 2.0
"""Seconds of load before something breaks: connections are made, and there is a latency to compare with."""
TIMEOUT = 20.0
"""Seconds for one request: above the gateway's own 15 s, so that it is the gateway that gives one up."""
SETTLE_TIMEOUT = 60.0
"""Seconds in which a stack has to be healthy again after the scenario before."""
NOTHING_TO_UNDO = "nothing to undo: what was broken comes back by itself"
_AFTER_LIMIT = 30.0
"""Seconds beyond a scenario's time limit after which the guardian heals by itself."""


class TimeLimit(CommandFailed):
    """It takes too long. What was broken is healed."""


@dataclass(frozen=True, kw_only=True)
class Senses:
    """How a stack is looked at. Tests of the flow have others."""

    unsettled: Callable[[Target], str] = unsettled
    observe: Callable[..., None] = observe
    causes: Callable[[Target, datetime.datetime], tuple[str, ...]] = causes
    """What is wrong with it, and what went wrong since a moment."""


@dataclass(frozen=True, kw_only=True)
class Drill:
    """What is to be done, and with what."""

    target: Target
    scenarios: tuple[Scenario, ...]
    """In this order; one that is to be repeated is in it several times."""
    rate: float
    """Requests a second."""
    time_limit: float
    """Seconds for all of it."""
    despite: str
    """What the stack had against it, and was to be overlooked; "" when it was healthy."""
    broken: Broken
    guardian: Guardian
    view: View
    warm_up: float = WARM_UP
    """Seconds."""
    senses: Senses = field(default_factory=Senses)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a drill has seen."""

    recordings: tuple[Recording, ...]
    ended: str = ""
    """Why it ended early; "" when it did not."""
    interrupted: bool = False
    """Whether that was a signal, such as Ctrl-C's."""
    left_broken: tuple[str, ...] = ()
    """Scenarios that could not be healed, or not yet."""


def scheduled(scenario: Scenario) -> float:
    """Seconds that a scenario takes by its plan."""
    return WARM_UP * scenario.warm_up + scenario.hold + scenario.settle


def limit_of(scenarios: tuple[Scenario, ...]) -> float:
    """The time limit for these: three times what they take by their plan, and a minute, in seconds."""
    return 3 * sum(map(scheduled, scenarios)) + 60


def run(drill: Drill) -> Seen:
    """Do it all. What was broken is healed when this returns, unless it says otherwise, and when it does not return too."""
    takes: list[Take] = []
    ended, interrupted = "", False
    deadline = time.monotonic() + drill.time_limit
    try:
        with drill.view.shown(), drill.guardian:
            for scenario in drill.scenarios:
                takes.append(Take(drill, scenario))
                own, rest = limit_of((scenario,)), deadline - time.monotonic()
                with limited(
                    min(own, rest), f"{scenario.name}: not done within {own:g} s" if own < rest else f"not done within {drill.time_limit:g} s"
                ):
                    takes[-1].run()
    except KeyboardInterrupt:
        ended, interrupted = "interrupted", True
    except CommandFailed as error:
        ended = str(error)
    recordings = tuple(recording for take in takes if (recording := take.recording()))
    return Seen(recordings=recordings, ended=ended, interrupted=interrupted, left_broken=tuple(drill.broken.names()))


class Take:
    """One run of one scenario. What it has seen so far can be had at any time."""

    def __init__(self, drill: Drill, scenario: Scenario) -> None:
        self._drill, self._scenario = drill, scenario
        self._began = datetime.datetime.now(datetime.UTC)
        self._events: list[Event] = []
        self._probe: Probe | None = None
        self._causes: tuple[str, ...] = ()
        self._complete = False

    def run(self) -> None:
        """Errors: CommandFailed when something cannot be done, TimeLimit."""
        drill, scenario = self._drill, self._scenario
        drill.view.start(scenario.name, scenario.title)
        drill.view.phase("settle")
        self._settle()
        scenario.prepare(drill.target)
        self._settle()
        with self._observed():
            if not scenario.warm_up:
                self._break()
            with Probe(self._load()) as self._probe:
                drill.view.follow(self._probe)
                if scenario.warm_up:
                    self._event(Event(self._probe.started, EventKind.WARM, "load begins"))
                    self._hold("warm up", drill.warm_up)
                    self._break()
                self._hold("hold", scenario.hold)
                self._heal()
                self._hold("recover", scenario.settle)
        drill.view.phase("look for causes")
        self._causes = drill.senses.causes(drill.target, self._began)
        self._complete = True

    def recording(self) -> Recording | None:
        """What was seen. None when it ended before anything broke: then there is nothing to say."""
        if self._probe is None or not any(event.kind is EventKind.BREAK for event in self._events):
            return None
        if not any(event.kind is EventKind.HEAL for event in self._events):
            self._events.append(Event(time.monotonic(), EventKind.HEAL, "the guardian has healed it, after the end of the load"))
        scenario, target = self._scenario, self._drill.target
        return Recording(
            scenario=scenario.name,
            title=scenario.title,
            text=scenario.text,
            stack=target.stack.name,
            started_at=self._began.isoformat(timespec="seconds"),
            rate=self._drill.rate,
            request=f"GET {target.url}",
            expected=(target.primary.answer, target.answer(scenario.expected_during), target.primary.answer),
            objective=scenario.objective,
            started=self._probe.started,
            results=tuple(sorted(self._probe.results)),
            events=tuple(sorted(self._events, key=lambda event: event.at)),
            causes=self._causes,
            despite=self._drill.despite,
            interrupted=not self._complete,
        )

    def _settle(self) -> None:
        drill = self._drill
        wrong = wait_until_settled(drill.target, seconds=SETTLE_TIMEOUT * (not drill.despite), unsettled=drill.senses.unsettled)
        if wrong and not drill.despite:
            where = drill.target.stack.command("status")
            raise CommandFailed(f"the stack is not healthy, {SETTLE_TIMEOUT:g} s after the scenario before: {wrong} See why: {where}")

    @contextmanager
    def _observed(self) -> Iterator[None]:
        drill, stop = self._drill, threading.Event()
        observer = threading.Thread(target=drill.senses.observe, args=(drill.target,), kwargs={"emit": self._event, "stop": stop}, daemon=True)
        observer.start()
        try:
            yield
        finally:
            stop.set()
            observer.join()

    def _load(self) -> Load:
        request = Request(url=self._drill.target.url)
        seconds = min(LONGEST, limit_of((self._scenario,)))
        return Load(requests=(request,), rate=self._drill.rate, seconds=seconds, timeout=TIMEOUT)

    def _hold(self, phase: str, seconds: float) -> None:
        self._drill.view.phase(phase, seconds)
        time.sleep(seconds)

    def _break(self) -> None:
        drill, scenario = self._drill, self._scenario
        drill.broken.add(scenario.name)
        drill.guardian.arm(seconds=limit_of((scenario,)) + _AFTER_LIMIT)
        self._act(EventKind.BREAK, scenario.break_)

    def _heal(self) -> None:
        drill, scenario = self._drill, self._scenario
        self._act(EventKind.HEAL, scenario.heal)
        drill.broken.remove(scenario.name)
        drill.guardian.disarm()

    def _act(self, kind: EventKind, act: Callable[[Target], None]) -> None:
        """Break or heal. It happens when the scenario first says so, which it does after its preparations; or else when it begins."""
        began, marked = time.monotonic(), False

        def mark(text: str) -> None:
            nonlocal marked
            self._event(Event(time.monotonic(), EventKind.NOTE if marked else kind, text))
            marked = True

        self._drill.view.phase("to break it" if kind is EventKind.BREAK else "to heal it")
        act(replace(self._drill.target, on_mark=mark))
        if not marked:
            self._event(Event(began, kind, self._scenario.title if kind is EventKind.BREAK else NOTHING_TO_UNDO))

    def _event(self, event: Event) -> None:
        self._events.append(event)
        self._drill.view.event(event)


def wait_until_settled(target: Target, *, seconds: float, unsettled: Callable[[Target], str] = unsettled) -> str:
    """Wait until nothing is wrong, but no longer than `seconds`. What is wrong then."""
    deadline = time.monotonic() + seconds
    while (wrong := unsettled(target)) and time.monotonic() < deadline:
        time.sleep(0.25)
    return wrong


@contextmanager
def limited(seconds: float, text: str) -> Iterator[None]:
    """Raises TimeLimit in the block, whatever it is doing, after so many seconds. In the main thread only."""

    def over(*_: object) -> None:
        raise TimeLimit(text)

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
