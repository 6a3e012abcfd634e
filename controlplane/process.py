"""What both control planes share as processes: they stop within a second of SIGTERM, and never leave a task behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Coroutine
from typing import Any

from controlplane.health import resident_megabytes

log = logging.getLogger(__name__)

_STOP_SECONDS = 1.0


def run(main: Coroutine[Any, Any, None]) -> int:
    """Run `main` until it fails (its error is raised) or the process is told to stop (0)."""
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
    await asyncio.wait({task}, timeout=_STOP_SECONDS)
    return 0


def ready(*, seconds: float) -> None:
    """To be called once, when everything is loaded: reports, and takes what is loaded out of the garbage collector's rounds."""
    gc.collect()
    gc.freeze()
    log.info("ready", extra={"seconds": round(seconds, 2), "resident_megabytes": resident_megabytes()})
