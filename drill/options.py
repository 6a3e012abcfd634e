"""The command line of `python -m drill`. It does nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from cli.workspace import PROJECT
from drill.load import HIGHEST_RATE

HEAL, RUN = "heal", "run"
"""Words in the place of scenarios: what a former drill has left is healed; nothing else, as it is what happens without a word."""
MOST_REPEATS = 100
LONGEST_DRILL = 86_400.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(
        prog="python -m drill",
        description="Break a running stack on purpose, measure what clients notice, judge, and show it. docs/drill.md says how to read that.",
        epilog="Exit code: 0 every objective was met, 1 one was missed, 2 it could not be done, 130 interrupted.",
        allow_abbrev=False,
    )
    root.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        help="what to break (default: the default set; see --list). Or `heal`: what a former drill has left",
    )
    root.add_argument("--stack", default="embedded", help="the Pulumi stack to break (default: embedded)")
    root.add_argument("--project", type=Path, default=PROJECT, help="directory of the Pulumi project (default: this checkout)")
    root.add_argument("--list", action="store_true", help="the scenarios, what each promises, and why some cannot be done on this stack")
    root.add_argument("--rate", type=_between(0, HIGHEST_RATE), default=200.0, help="requests a second (default: 200)")
    root.add_argument("--repeat", type=_count, default=1, metavar="N", help="do all of it N times; the report has medians and spread")
    root.add_argument("--json", type=_new_file, metavar="FILE", help="where the report goes as JSON (default: in the stack's state directory)")
    root.add_argument("--html", type=_new_file, metavar="FILE", help="where it goes as a page (default: the same)")
    root.add_argument("--yes", action="store_true", help="do not ask before clusters are touched that are not the stack's own")
    root.add_argument("--despite-unhealthy", action="store_true", help="drill a stack that is not healthy, too; the report says so")
    root.add_argument(
        "--time-limit",
        type=_between(0, LONGEST_DRILL),
        metavar="SECONDS",
        help="heal and end after this, whatever is going on (default: three times the plan, and a minute)",
    )
    root.add_argument(
        "--compare", nargs=2, type=Path, metavar=("A.json", "B.json"), help="what has changed from one report to another; nothing is broken"
    )
    return root


def _between(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            if low < (value := float(text)) <= high:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a number above {low:g}, up to {high:g}")

    return read


def _count(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= MOST_REPEATS:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not allowed: 1 to {MOST_REPEATS}")


def _new_file(text: str) -> Path:
    file = Path(text)
    if file.is_dir() or not file.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: a file in a directory that exists")
    return file
