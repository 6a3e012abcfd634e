"""A drill of something that stands in for a stack, as processes of its own, so that a test can interrupt and kill them.

    python stand_in.py drill FOLDER URL SCENARIO...        the drill, with the guardian that follows
    python stand_in.py guardian FOLDER URL                 the guardian

In the place of the stack is a file, FOLDER/serves, with the answer that the web server at URL gives: a break writes `green-pod` into it, a heal
`blue-pod`. Everything between is the drill's own: its flow, its guardian, its lock, its list of what is broken.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cli.stack import Terminated
from cli.workspace import CommandFailed
from drill.broken import Broken, heal_all
from drill.folder import Folder
from drill.guardian import READY, Guardian, guard, ignore_signals, say_to
from drill.record import Event, Objective
from drill.run import Drill, Senses, limit_of, run
from drill.scenario import Expected, Scenario
from drill.view import Progress, View

BLUE, GREEN = "blue-pod", "green-pod"


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """What a scenario gets instead of a Target."""

    folder: Path
    url: str
    on_mark: Callable[[str], None] = lambda text: None
    stack: Any = field(default_factory=lambda: SimpleNamespace(name="stand-in"))
    primary: Any = field(default_factory=lambda: SimpleNamespace(answer=BLUE))

    def mark(self, text: str) -> None:
        self.on_mark(text)

    def answer(self, expected: Expected) -> str | None:
        return expected.value

    def serve(self, answer: str) -> None:
        new = self.folder / f"serves.{os.getpid()}"
        new.write_text(answer)
        new.replace(self.folder / "serves")
        with (self.folder / "acts").open("a") as acts:
            acts.write(f"{os.getpid()} {answer}\n")


def break_(target: Any) -> None:
    target.mark("green answers")
    target.serve(GREEN)
    target.mark("and goes on")


def break_and_hang(target: Any) -> None:
    break_(target)
    time.sleep(60)


def break_half_way(target: Any) -> None:
    break_(target)
    raise CommandFailed("the other half does not work. Look at it: make status")


def heal(target: Any) -> None:
    if (target.folder / "unhealable").exists():
        raise CommandFailed("it does not heal. Look at it: make status")
    target.serve(BLUE)


def scenario(name: str, breaking: Callable[[Any], None] = break_, **changes: Any) -> Scenario:
    plan: dict[str, Any] = {"hold": 0.6, "settle": 0.6, "expected_during": Expected.GREEN, **changes}
    return Scenario(name=name, title=f"the scenario {name}", text="", objective=Objective(), break_=breaking, heal=heal, **plan)


SCENARIOS = {
    each.name: each
    for each in (
        scenario("short"),
        scenario("cold", warm_up=False),
        scenario("long", hold=60.0),
        scenario("hanging", break_and_hang),
        scenario("half-way", break_half_way),
    )
}


def observe(target: Any, *, emit: Callable[[Event], None], stop: threading.Event) -> None:
    stop.wait()


def unsettled(target: Any) -> str:
    return "" if (target.folder / "serves").read_text() == BLUE else "green answers"


def drill(target: StandIn, folder: Folder, scenarios: tuple[Scenario, ...]) -> int:
    with folder.locked() as lock:
        view = View(Progress(total=len(scenarios)))
        command = [sys.executable, __file__, "guardian", str(target.folder), target.url]
        outcome = run(
            Drill(
                target=target,  # type: ignore[arg-type]
                scenarios=scenarios,
                rate=100,
                warm_up=0.4,
                time_limit=float(os.environ.get("TIME_LIMIT", limit_of(scenarios))),
                despite="",
                broken=Broken(folder.broken),
                guardian=Guardian(command, keep=[lock], say=view.say),
                view=view,
                senses=Senses(unsettled=unsettled, observe=observe, causes=lambda target, since: ("a cause",)),
            )
        )
    seen = [
        {
            "scenario": each.scenario,
            "interrupted": each.interrupted,
            "events": [[event.kind, event.text] for event in each.events],
            "servers": [result.server for result in each.results],
            "failed": sum(result.failed for result in each.results),
            "causes": each.causes,
            "scheduled": [result.scheduled for result in each.results],
            "times": [event.at for event in each.events],
        }
        for each in outcome.recordings
    ]
    told = {"ended": outcome.ended, "interrupted": outcome.interrupted, "left_broken": outcome.left_broken, "recordings": seen}
    (target.folder / "seen.json").write_text(json.dumps(told))
    return 0


def terminate(*_: object) -> None:
    raise Terminated


def main(role: str, where: str, url: str, *names: str) -> int:
    target, folder = StandIn(folder=Path(where), url=url), Folder(Path(where) / "drills")
    if role == "guardian":
        ignore_signals()
        say = say_to(folder.log)
        print(READY, flush=True)
        return guard(sys.stdin.fileno(), lambda: heal_all(target, Broken(folder.broken), SCENARIOS, say=say))  # type: ignore[arg-type]
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, terminate)
    try:
        return drill(target, folder, tuple(SCENARIOS[name] for name in names))
    except CommandFailed as error:
        print(f"error: {error}", flush=True)
        return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
