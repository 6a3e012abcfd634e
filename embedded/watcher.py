"""Waits for the supervisor to end and takes its place, if the cluster is meant to run. The supervisor, in turn, keeps a watcher running."""

from __future__ import annotations

import os
import select
import sys

from embedded.layout import StateDir


def watch(state: StateDir, *, supervisor: int) -> int:
    """Returns when the cluster is not meant to run any more; otherwise becomes its supervisor, by exec, with the same pid.

    `supervisor` is our parent's pid, and is ours to wait for only while it is our parent.
    """
    os.chdir("/")
    try:
        descriptor = os.pidfd_open(supervisor)
    except ProcessLookupError:
        descriptor = None
    if descriptor is not None and os.getppid() == supervisor:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
    if state.desired.exists():
        os.execv(sys.executable, [sys.executable, "-m", "embedded", "supervise", "--state-dir", str(state.root)])  # noqa: S606
    return 0
