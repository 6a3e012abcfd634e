"""Runs one Pulumi program in this process, and says once what went wrong; called in the child that `programs` forks.

Part of the stand-in language host (machines without the official one). The program's own output goes where the host's goes, which the engine shows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import grpc
import pulumi
from pulumi.runtime import reset_options, run_in_stack, set_all_config
from pulumi.runtime.proto import language_pb2

from toolchain.plugins import stack_traces

REPORTED_EXIT_CODE = 32
"""The program failed and the user has been told; the engine need not add anything. The official host uses the same number."""
_HOST_DIRECTORY = str(Path(__file__).resolve().parents[2])
_MONITOR_GONE = "Resource monitor has terminated"


def execute(serialized: bytes) -> int:
    """Run the program that a serialized RunRequest names; its exit code."""
    request = language_pb2.RunRequest.FromString(serialized)
    entry = Path(request.info.program_directory, request.info.entry_point).resolve()
    _prepare_process(request, entry)
    stack_traces.shorten(_is_runtime)
    reset_options(
        project=request.project,
        root_directory=request.info.root_directory,
        monitor_address=request.monitor_address,
        engine_address=request.args[0] if request.args else "",
        stack=request.stack,
        parallel=request.parallel,
        preview=request.dryRun,
        organization=request.organization or "organization",
    )
    set_all_config(dict(request.config), list(request.configSecretKeys))
    try:
        _run(entry, workers=max(request.parallel, 1) * 4)
    except KeyboardInterrupt:
        raise  # an interrupted program has nothing to report
    except SystemExit as end:
        return _exit_code(end)
    except pulumi.RunError as error:
        if not str(error).startswith(_MONITOR_GONE):  # then the engine has said why
            pulumi.log.error(str(error))
        return REPORTED_EXIT_CODE
    except grpc.RpcError as error:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            pulumi.log.error(f"The engine refused a call: {error.details()}")
        return REPORTED_EXIT_CODE
    except BaseException as error:
        pulumi.log.error(f"Program failed with an unhandled exception:\n{_program_traceback(error)}")
        return REPORTED_EXIT_CODE
    return 0


def _prepare_process(request: language_pb2.RunRequest, entry: Path) -> None:
    os.chdir(request.pwd or request.info.program_directory)
    sys.argv = [str(entry), *request.args[1:]]
    # The program imports from its own directory and from what is installed; that this host's own directory is first is the launcher's doing.
    if sys.path[0] == _HOST_DIRECTORY:
        del sys.path[0]
    sys.path.insert(0, str(entry if entry.is_dir() else entry.parent))
    for name in [name for name in sys.modules if name.split(".")[0] == "toolchain"]:
        del sys.modules[name]
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # tasks that nobody awaited; what matters in them is raised elsewhere


def _run(entry: Path, *, workers: int) -> None:
    def program() -> Awaitable[None] | None:
        runpy.run_path(str(entry), run_name="__main__")
        return None

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(max_workers=workers))
    loop.set_exception_handler(_stop_on_rpc_error)
    try:
        loop.run_until_complete(run_in_stack(program))
    finally:
        # Tasks left over after an error would complain that they were destroyed while pending.
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with suppress(BaseException):  # the error that ended the program is the one to report
                loop.run_until_complete(task)
        loop.close()


def _stop_on_rpc_error(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    if isinstance(context.get("exception"), grpc.RpcError):
        loop.stop()
    else:
        loop.default_exception_handler(context)


def _exit_code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code
    pulumi.log.error(str(end.code))
    return REPORTED_EXIT_CODE


def _program_traceback(error: BaseException) -> str:
    """The traceback from the program's first frame on: those before it are the runtime's."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and _is_runtime(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    if frame is None:
        frame = error.__traceback__ if not isinstance(error, SyntaxError) else None
    return "".join(traceback.format_exception(type(error), error, frame)).rstrip()


def _is_runtime(filename: str) -> bool:
    if filename.startswith("<frozen "):
        return True
    return any(filename.startswith(directory) for directory in _RUNTIME_DIRECTORIES) or filename == __file__


_RUNTIME_DIRECTORIES = tuple(str(Path(module.__file__ or "").parent) + os.sep for module in (pulumi, asyncio))
