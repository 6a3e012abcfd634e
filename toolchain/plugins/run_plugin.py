"""Runs a Pulumi plugin that is written in Python as the main program of this process: `run_plugin.py DIRECTORY [ARGUMENT ...]`.

Part of the stand-in language host (machines without the official one), which starts it by its path, so that nothing of the host is imported. The
host keeps the other end of standard input open and never writes: when that end is closed the host is gone, however it went, and the plugin ends.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading


def main() -> None:
    """Become the plugin. What the program raises is shown as Python shows it, and its exit code is the process's."""
    threading.Thread(target=_end_with_host, daemon=True).start()
    directory = sys.argv[1]
    del sys.argv[0]  # a program in a directory is called by the directory's name
    sys.path[0] = directory  # instead of the one that this file is in
    runpy.run_path(directory, run_name="__main__")


def _end_with_host() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
