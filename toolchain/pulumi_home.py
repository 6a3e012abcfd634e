"""Puts the plugins into the embedded stack's Pulumi home: links to those in the cache, launchers for the stand-ins. The user's own is never touched.

Pulumi finds a plugin as `plugins/<kind>-<name>-v<version>/pulumi-<kind>-<name>`. The language host is there too, and not on PATH, because Pulumi
warns about every plugin that it finds on PATH; an official `pulumi` has its own beside it and looks there first.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from toolchain import cache, locate, venv
from toolchain.errors import ToolMissing
from toolchain.routes import StandIn
from toolchain.tools import CHECKOUT, tools

_PREFIX = "pulumi-"


def install_plugins(pulumi_home: Path) -> None:
    """Put the plugins into `pulumi_home`; one that is installed on demand only, if it is. Repeating it costs milliseconds and repairs what is broken.

    Errors: ToolMissing, with the next command.
    """
    for tool in tools().values():
        if not tool.name.startswith(_PREFIX):
            continue
        found = locate.locate(tool)
        if found is None and tool.on_demand:
            continue
        place = pulumi_home / "plugins" / f"{tool.name.removeprefix(_PREFIX)}-v{tool.version}" / tool.name
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if found:
            _link(place, found.path)
        elif tool.stand_in:
            _write(place, launcher(tool.stand_in, python=venv.python(), checkout=CHECKOUT))
        else:
            raise ToolMissing(f"{tool.name} is not installed. Install it: python3 -m toolchain install")


def launcher(stand_in: StandIn, *, python: Path, checkout: Path) -> str:
    """A shell script that runs a stand-in from the checkout. It sets no variable, since what a plugin starts inherits them."""
    code = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
    words = [str(python), "-P", "-c", code, str(checkout), stand_in.module]
    return f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'


def _link(place: Path, target: Path) -> None:
    if not (place.is_symlink() and place.readlink() == target):
        temporary = place.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.rename(place)


def _write(place: Path, script: str) -> None:
    if not place.is_symlink() and cache.is_executable(place) and place.read_text() == script:
        return
    temporary = place.with_suffix(".new")
    temporary.write_text(script)
    temporary.chmod(0o700)
    temporary.rename(place)
