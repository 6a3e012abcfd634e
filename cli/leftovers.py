"""Plugins that outlived their `pulumi`: when that is killed with SIGKILL, or by a closed pipe, nobody ends them, and some do not notice.

Only Linux has /proc; elsewhere nothing is found, and nothing is ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_PROC = Path("/proc")


def end_orphans(home: Path) -> list[int]:
    """End the plugins of this Pulumi home whose parent is no `pulumi` any more; their process ids. Those of a running `pulumi` are left alone."""
    found = [pid for pid in _plugins(home) if _program(_parent(pid)) != "pulumi"]
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # a provider between two requests has nothing to save
    return found


def _plugins(home: Path) -> list[int]:
    prefix = f"{home / 'plugins'}{os.sep}".encode()
    found = []
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes().startswith(prefix):
                found.append(int(process.name))
    return found


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return (_PROC / str(pid) / "comm").read_text().strip()
    return ""
