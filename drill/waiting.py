"""Waiting for a stack to become something, and what to say when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from cli.workspace import CommandFailed

T = TypeVar("T")
INTERVAL = 0.1


def wait_for(what: str, condition: Callable[[], T], *, seconds: float, then: str = "See why: make status") -> T:
    """Ask until the condition holds, and return its value. A question that fails (CommandFailed) is asked again: an API server may be away.

    Errors: CommandFailed with `what`, the last failure and `then`, the next thing to do, when it does not hold within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        problem = ""
        try:
            value = condition()
        except CommandFailed as error:
            problem = f" (last: {error})"
        else:
            if value:
                return value
        if time.monotonic() > deadline:
            raise CommandFailed(f"not within {seconds:g} s: {what}{problem}. {then}")
        time.sleep(INTERVAL)
