"""Where in the program a resource is made, and no more: Pulumi keeps a stack trace in the state of every resource.

The SDK's goes on through its own frames, the event loop's and this host's down to the interpreter's first: a seventh of a stack's whole state, which
is written for every step, with the paths of this machine in it; and it reads the source of each frame for a text that nobody asks for. Part of the
stand-in language host. The function that is replaced is not public; an SDK without it keeps its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from pulumi.runtime import resource as registration
from pulumi.runtime.proto import source_pb2

_CONSTRUCTORS: Final = 3
"""Those of Resource, of CustomResource or ComponentResource, and of the class that the program calls, as the SDK counts them."""


def shorten(is_runtime: Callable[[str], bool]) -> None:
    """Have traces end where the program's own frames do; `is_runtime` says which files are not the program's."""

    def stack_trace() -> Any:
        frame = _caller_of_constructors(sys._getframe(1))
        frames = []
        while frame is not None and not is_runtime(frame.f_code.co_filename):
            position = source_pb2.SourcePosition(uri=Path(frame.f_code.co_filename).absolute().as_uri(), line=frame.f_lineno)
            frames.append(source_pb2.StackFrame(pc=position))
            frame = frame.f_back
        return source_pb2.StackTrace(frames=frames)

    if hasattr(registration, "_get_stack_trace"):
        registration._get_stack_trace = stack_trace


def _caller_of_constructors(frame: FrameType | None) -> FrameType | None:
    left = _CONSTRUCTORS
    while frame is not None:
        left -= frame.f_code.co_name == "__init__"
        frame = frame.f_back
        if not left:
            return frame
    return None
