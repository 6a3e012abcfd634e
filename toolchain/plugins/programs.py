"""Runs each Pulumi program in a process of its own, forked from a copy of this one that has imported the SDK already.

Part of the stand-in language host (machines without the official one). A fresh interpreter for each run would import the SDK and gRPC again, a
quarter of a second each time; running in the host's own process would let one run's modules, environment and signals leak into the next. So the
host forks a copy of itself before gRPC has started a thread (a fork is safe only then), and the copy forks a child for each program.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

_HEADER_BYTES: Final = 8
INTERRUPTED_EXIT_CODE: Final = 130
"""Of a program that an interrupt ended, as a shell counts it."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program ended: its exit code, negative for a signal, and whether this host interrupted it."""

    exit_code: int
    interrupted: bool


class Programs:
    """Starts programs. Make it before anything of gRPC is used; `run` may be called from any thread, one program at a time."""

    def __init__(self, execute: Callable[[bytes], int]) -> None:
        """`execute` runs in the child with the bytes given to `run`, and returns the exit code."""
        self._one_at_a_time = threading.Lock()
        self._interrupted = threading.Event()
        self._running: int | None = None
        self._socket, copy = socket.socketpair()
        if os.fork() == 0:
            self._socket.close()
            _serve_forks(copy, execute)
        copy.close()

    def run(self, request: bytes) -> Ended:
        """Run one program to its end. Raises ConnectionError when the copy is gone."""
        with self._one_at_a_time:
            if self._interrupted.is_set():
                return Ended(exit_code=-signal.SIGINT, interrupted=True)
            self._socket.sendall(len(request).to_bytes(_HEADER_BYTES) + request)
            self._running = _read_number(self._socket)
            if self._interrupted.is_set():
                self._signal()
            exit_code = _read_number(self._socket)
            self._running = None
            return Ended(exit_code=exit_code, interrupted=self._interrupted.is_set())

    def interrupt(self) -> None:
        """Interrupt the running program as Ctrl-C does, and start no other."""
        self._interrupted.set()
        self._signal()

    def _signal(self) -> None:
        if (running := self._running) is not None:
            try:
                os.kill(running, signal.SIGINT)
            except ProcessLookupError:
                return


def _serve_forks(host: socket.socket, execute: Callable[[bytes], int]) -> NoReturn:
    """In the copy: fork a child for each request until the host is gone; never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the engine signals the whole group; this process ends with the host
    try:
        while True:
            length = _read_number(host)
            request = _read(host, length)
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                _run_child(host, request, execute)
            host.sendall(child.to_bytes(_HEADER_BYTES, signed=True))
            _, status = os.waitpid(child, 0)
            host.sendall(os.waitstatus_to_exitcode(status).to_bytes(_HEADER_BYTES, signed=True))
    except (ConnectionError, OSError):
        os._exit(0)


def _run_child(host: socket.socket, request: bytes, execute: Callable[[bytes], int]) -> NoReturn:
    exit_code = INTERRUPTED_EXIT_CODE
    try:
        signal.signal(signal.SIGINT, _interrupt_once)
        threading.Thread(target=_end_with, args=(host,), daemon=True).start()
        exit_code = execute(request)
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:
        traceback.print_exc()
        exit_code = 1
    finally:
        os._exit(exit_code)  # here, so that an interrupt ends quietly wherever it strikes


def _interrupt_once(_signal: int, _frame: FrameType | None) -> None:
    """The engine interrupts twice, by Cancel and by the group's signal; the second would strike while the first is being handled."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with(host: socket.socket) -> None:
    """End this program when the host is gone: nobody would hear it any more."""
    host.recv(1, socket.MSG_PEEK)
    os._exit(1)


def _read_number(source: socket.socket) -> int:
    return int.from_bytes(_read(source, _HEADER_BYTES), signed=True)


def _read(source: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = source.recv(length - len(data))
        if not part:
            raise ConnectionError("the other end is gone")
        data += part
    return bytes(data)
