"""Finds, downloads or builds every tool the embedded stack needs. Uses the standard library only, since it runs before anything is installed.

`python3 -m toolchain` lists the tools; `install` installs them. It does not run the stack: `cli` does.
"""

from __future__ import annotations

import os
from pathlib import Path

from toolchain import locate
from toolchain.errors import InstallFailed, ToolchainError, ToolMissing
from toolchain.pulumi_home import install_plugins
from toolchain.tools import tool, tools
from toolchain.venv import python

OF_EMBEDDED_CLUSTERS = ("kube-node", "envoy", "http-echo")
"""The tools that embedded clusters run."""

__all__ = ["OF_EMBEDDED_CLUSTERS", "InstallFailed", "ToolMissing", "ToolchainError", "environment", "find", "install_plugins", "python", "require"]


def find(name: str) -> Path:
    """The executable of an installed tool. Errors: ToolMissing, with the next command."""
    found = locate.locate(tool(name))
    if found is None:
        raise ToolMissing(f"{name} is not installed. Install it: python3 -m toolchain install {name}")
    return found.path


def require(*names: str) -> None:
    """Make sure that the tools are installed. Errors: ToolMissing that names all that are not, with the next command."""
    missing = [name for name in names if locate.locate(tool(name)) is None]
    if missing:
        raise ToolMissing(f"not installed: {', '.join(missing)}. Install what is missing: python3 -m toolchain install")


def environment() -> dict[str, str]:
    """The variables that put the tools into a shell: PATH, with the folder of the Python environment and of each installed tool in front.

    Errors: ToolMissing when the Python environment is not installed.
    """
    found = [locate.locate(each) for each in tools().values() if each.for_users]
    folders = [str(python().parent), *(str(each.path.parent) for each in found if each and each.origin != "PATH")]
    rest = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder not in folders]
    return {"PATH": os.pathsep.join([*folders, *rest])}
