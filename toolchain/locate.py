"""Which tools are there already: named by an environment variable, in the cache, or on PATH in a version that will do.

What PATH held is remembered, so that `make` does not ask every tool for its version each time; it is asked again when the file has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from toolchain import cache
from toolchain.errors import ToolMissing
from toolchain.routes import OnPath, Tool, Version, dotted

_PROBE_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """An installed tool."""

    path: Path
    version: str
    origin: str


def locate(tool: Tool) -> Found | None:
    """The tool if it is installed. Starts no process. Errors: ToolMissing when its environment variable names no executable."""
    if named := os.environ.get(tool.variable):
        path = Path(named).expanduser().absolute()
        if not cache.is_executable(path):
            raise ToolMissing(f"{tool.variable} names {path}, which is no executable file. Put that right, or: unset {tool.variable}")
        return Found(path=path, version="as named", origin=f"${tool.variable}")
    for version in tool.versions:
        path = cache.executable(tool.name, version)
        if cache.is_executable(path):
            return Found(path=path, version=version, origin=cache.origin(tool.name, version))
    return _remembered(tool)


def search_path(tool: Tool) -> Found | None:
    """The tool as PATH has it, if the version will do; remembered for `locate`. Starts the program once, to ask for its version."""
    if tool.on_path is None or (name := shutil.which(tool.name)) is None:
        return None
    path = Path(name).absolute()
    version = ask_version(path, tool.on_path)
    if version is None or not tool.on_path.lowest <= version < tool.on_path.below:
        return None
    found = Found(path=path, version=dotted(version), origin="PATH")
    record = {"path": str(path), "version": found.version, "mark": _mark(path), "wanted": str(tool.on_path)}
    _record_file(tool).write_text(json.dumps(record))
    return found


def ask_version(path: Path, on_path: OnPath) -> Version | None:
    """The version that a program states, or None if it states none in time."""
    command = [str(path), *on_path.arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    match = re.search(on_path.pattern, done.stdout + done.stderr)
    return tuple(int(number) for number in match.groups() if number) if match else None


def _remembered(tool: Tool) -> Found | None:
    with contextlib.suppress(OSError, ValueError, KeyError):
        record = json.loads(_record_file(tool).read_text())
        path = Path(record["path"])
        if record["wanted"] == str(tool.on_path) and record["mark"] == _mark(path) and cache.is_executable(path):
            return Found(path=path, version=record["version"], origin="PATH")
    return None


def _record_file(tool: Tool) -> Path:
    return cache.tool_folder(tool.name) / "on-path.json"


def _mark(path: Path) -> list[int]:
    """What changes when the file is replaced."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
