"""What both control planes share as processes: they stop within seconds of SIGTERM, having finished what they had begun, and leave no task behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
from collections.abc import Coroutine
from typing import Any

from controlplane import metrics
from controlplane.health import resident_megabytes
from controlplane.kube.leadership import Leadership
from controlplane.kube.leases import LeaseClient, leadership

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""A process that is told to stop ends by then, whatever hangs. Pods are given ten seconds."""


def run(main: Coroutine[Any, Any, None]) -> int:
    """Run `main` until it fails (its error is raised) or the process is told to stop (0)."""
    gc.freeze()  # Modules and models are never garbage: every full collection would walk through them, and most come while everything is loaded.
    return asyncio.run(_until_stopped(main))


async def _until_stopped(main: Coroutine[Any, Any, None]) -> int:
    task = asyncio.ensure_future(main)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    stopped = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.is_set():
        stopped.cancel()
        await task
        return 0
    log.info("stopping")
    task.cancel()
    await asyncio.wait({task}, timeout=STOP_SECONDS)
    return 0


def identity(*, given: str | None) -> str:
    """Who this replica is in leader election: as given, else the pod's name, else one that no other process has."""
    return given or os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def election(client: LeaseClient, *, namespace: str, name: str, identity: str | None) -> Leadership:
    """The election of whoever writes, on the metrics too; without an identity there is none, and this process writes."""
    leader = leadership(client, namespace=namespace, name=name, identity=identity)
    leader.on_change = lambda leads: metrics.LEADER.set(int(leads))
    return leader


def ready(*, seconds: float) -> None:
    """To be called once, when everything is loaded: reports, and takes what is loaded out of the garbage collector's rounds."""
    gc.collect()
    gc.freeze()
    log.info("ready", extra={"seconds": round(seconds, 2), "resident_megabytes": resident_megabytes()})
