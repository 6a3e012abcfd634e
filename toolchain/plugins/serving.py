"""The life of a plugin process, the same for every stand-in (for machines without the official plugins).

It serves on loopback, tells the engine the port, and ends with it.

The engine ends a plugin with SIGINT to its process group and, five seconds later, SIGKILL. It may also be killed itself; then nobody signals, so
the parent process is watched.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import NoReturn

import grpc

_MAX_MESSAGE_BYTES = 400 * 1024 * 1024  # as in every Pulumi SDK
_PARENT_CHECK_SECONDS = 0.5
# A long command occupies a thread; Cancel must find a free one however many commands run. Threads are started only when needed.
_MAX_THREADS = 1024


def serve(*, register: Callable[[grpc.Server], None], at_end: Callable[[], None] = lambda: None) -> NoReturn:
    """Serve until the engine says so or is gone; then call `at_end`, once, and end the process.

    `register` adds the servicer to the server. Nothing but the port may be written to stdout before this.
    """
    engine = os.getppid()
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    logging.getLogger("grpc").addHandler(logging.NullHandler())  # its tracebacks of refused calls would reach the user beside the error itself
    logging.getLogger("grpc").propagate = False
    server = grpc.server(
        ThreadPoolExecutor(max_workers=_MAX_THREADS),
        options=[("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES), ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES)],
    )
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while not ended.wait(_PARENT_CHECK_SECONDS) and os.getppid() == engine:
        pass
    at_end()
    os._exit(0)  # an orderly end of gRPC's threads takes longer than the engine waits, and there is nothing to save


def engine_address(arguments: list[str]) -> str:
    """The engine's address: the last argument that is not an option. Raises SystemExit with a message when there is none."""
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    if not addresses:
        raise SystemExit("this is a Pulumi plugin: the engine starts it, with its own address as the argument")
    return addresses[-1]
