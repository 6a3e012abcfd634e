"""Installs what is missing: first what PATH and the official releases have, then the rest side by side in three lanes.

The Python environment and the wheels (network), the Go builds one after the other (they fill all cores), and the download of the modules to be built next.
The first failure, and Ctrl-C, stops all lanes; nothing half-made is left, and the next install goes on from there.
"""

from __future__ import annotations

import contextlib
import platform
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from toolchain import cache, gomodules, locate, venv, wheels
from toolchain.errors import InstallFailed, Stopped, ToolMissing, Unavailable
from toolchain.processes import Children
from toolchain.progress import Progress
from toolchain.releases import Releases
from toolchain.routes import GoModule, Report, Tool, Wheel, machine
from toolchain.tools import tool, tools

MACHINES = ("x86_64", "aarch64")


def install(names: Iterable[str] = (), *, all_for_tests: bool = False, progress: Progress | None = None) -> int:
    """Install the named tools, or all that the embedded stack needs, and return how many were missing. `python` names the Python environment.

    Errors: InstallFailed, ToolMissing (no such tool), KeyboardInterrupt; what was complete by then stays.
    """
    _require_platform()
    chosen = list(names)
    wanted = [tool(name) for name in chosen if name != venv.NAME] or ([] if chosen else [t for t in tools().values() if all_for_tests or not t.on_demand])
    missing = [each for each in wanted if (each.built or each.release) and locate.locate(each) is None]
    environment = (not chosen or venv.NAME in chosen) and not _has_environment()
    if missing or environment:
        _Installation(missing=missing, environment=environment, progress=progress or Progress()).run()
    return len(missing) + environment


class _Installation:
    """One run: what it has to do, and what its lanes share."""

    def __init__(self, *, missing: list[Tool], environment: bool, progress: Progress) -> None:
        self._missing = missing
        self._environment = environment
        self._progress = progress
        self._children = Children()
        self._releases = Releases(children=self._children)
        self._go = threading.Lock()
        self._pip = threading.Lock()

    def run(self) -> None:
        """Do it. Errors as of `install`."""
        with self._progress.shown(), cache.explained(), ThreadPoolExecutor(max_workers=3) as lanes:
            try:
                left = [each for each in self._missing if not self._at_hand(each)]
                prepared = {each.name: Future[int]() for each in left if isinstance(each.built, GoModule)}
                _first_failure(
                    [
                        lanes.submit(self._wheel_lane, [each for each in left if isinstance(each.built, Wheel)]),
                        lanes.submit(self._build_lane, [each for each in left if isinstance(each.built, GoModule)], prepared),
                        lanes.submit(self._prepare_lane, prepared),
                    ]
                )
            except BaseException:
                self._children.stop()
                raise

    def _at_hand(self, each: Tool) -> bool:
        """Take a tool from PATH or from its release, if it can be had there."""
        with self._progress.step(each.name) as report, self._unless_installed(each, report):
            if found := locate.search_path(each):
                report(f"{found.version}, found at {found.path}")
            ...
        return False
