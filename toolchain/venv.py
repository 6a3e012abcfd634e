"""The Python environment of the program, the control plane and the tests: in the cache, one for each requirements.txt and version of Python.

A virtual environment cannot be renamed (its scripts hold its path), so it is made in place and a file written last says that it is complete.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from toolchain import cache
from toolchain.errors import InstallFailed, ToolMissing
from toolchain.processes import Children
from toolchain.routes import Report
from toolchain.tools import CHECKOUT

NAME = "python"
VARIABLE = "SERVICE_FAILOVER_PYTHON"
REQUIREMENTS = CHECKOUT / "requirements.txt"
_COMPLETE = ".complete"


def folder(requirements: Path = REQUIREMENTS) -> Path:
    """Where the environment for `requirements` and the running Python is, made or not."""
    version = ".".join(map(str, sys.version_info[:3]))
    key = hashlib.sha256(requirements.read_bytes() + version.encode()).hexdigest()[:12]
    return cache.root() / "venv" / f"{key}-python{version}"


def python(requirements: Path = REQUIREMENTS) -> Path:
    """The environment's Python. Errors: ToolMissing when the environment is not complete."""
    if named := os.environ.get(VARIABLE):
        path = Path(named).expanduser().absolute()
        if not cache.is_executable(path):
            raise ToolMissing(f"{VARIABLE} names {path}, which is no executable file. Put that right, or: unset {VARIABLE}")
        return path
    if not requirements.is_file():  # no checkout, but a package that was installed: into the environment that everything runs in
        return Path(sys.executable)
    place = folder(requirements)
    path = place / "bin" / "python"
    if not (place / _COMPLETE).is_file() or not cache.is_executable(path):
        raise ToolMissing("the Python environment is not installed. Install it: python3 -m toolchain install")
    return path


def is_installed(requirements: Path = REQUIREMENTS) -> bool:
    """Whether `python` would find it."""
    try:
        python(requirements)
    except ToolMissing:
        return False
    return True


def install(*, children: Children, report: Report, note: Report, requirements: Path = REQUIREMENTS) -> None:
    """Make the environment, unless another process has made it while this one waited. Errors: InstallFailed, with what venv or pip said."""
    place = folder(requirements)
    with cache.locked(place.parent, children=children, note=note):
        if is_installed(requirements):
            return
        cache.remove(place)
        report("creating the environment")
        # Whatever this runs in (another environment, an isolated interpreter) must not leak into the new one.
        env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")}
        try:
            children.run([sys.executable, "-m", "venv", place], cwd=place.parent, env=env)
            _install_requirements(place, requirements, env=env, children=children, report=report)
        except BaseException:
            cache.remove(place)
            raise
        (place / _COMPLETE).touch()


def _install_requirements(place: Path, requirements: Path, *, env: dict[str, str], children: Children, report: Report) -> None:
    total = sum(1 for line in requirements.read_text().splitlines() if "==" in line and not line.lstrip().startswith("#"))
    seen = 0

    def count(line: str) -> None:
        nonlocal seen
        seen += line.startswith("Collecting ")
        report("installing the packages" if line.startswith("Installing") else f"downloading package {min(seen, total)} of {total}")

    options = ["--require-hashes", "--progress-bar=off", "--disable-pip-version-check", "--no-input"]
    try:
        children.run([place / "bin" / "python", "-m", "pip", "install", *options, "-r", requirements], cwd=place, env=env, on_line=count)
    except InstallFailed as error:
        raise InstallFailed(f"the packages of {requirements.name} cannot be installed: {error}") from error
