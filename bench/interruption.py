"""Ctrl-C and SIGTERM end a benchmark once: what comes after that is cleaning up, which the next ones do not interrupt."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cli.stack import Terminated

EXIT_CODES: dict[type[KeyboardInterrupt], int] = {KeyboardInterrupt: 130, Terminated: 143}
"""As a shell counts them."""
_ENDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@contextmanager
def interruptible() -> Iterator[None]:
    """The first of both signals raises KeyboardInterrupt (for SIGTERM: Terminated) in the block; those after it do nothing. For the main thread."""

    def again(number: int, _frame: FrameType | None) -> None:
        print("still removing what was made", file=sys.stderr)  # noqa: T201 - for whoever presses Ctrl-C

    def end(number: int, _frame: FrameType | None) -> None:
        for each in _ENDS:
            signal.signal(each, again)
        print("interrupted: removing what was made", file=sys.stderr)  # noqa: T201
        raise _ENDS[signal.Signals(number)]

    before = {each: signal.signal(each, end) for each in _ENDS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
