"""Running one command; starts small processes, so it is in the engine tier although it needs no engine."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from pulumi_driver import wait_for, wait_until_gone

from toolchain.plugins.execution import Executor, Invocation, Outcome, Stream

pytestmark = pytest.mark.engine


def shell(script: str, **options: object) -> Invocation:
    return Invocation(argv=("/bin/sh", "-c", script), environment={"PATH": os.environ["PATH"]}, **options)


def test_lines_come_as_they_are_written() -> None:
    seen: list[tuple[Stream, str, float]] = []
    outcome = Executor().run(shell("echo one; echo err >&2; sleep 0.3; printf two"), on_line=lambda *line: seen.append((*line, time.monotonic())))
    assert outcome == Outcome(exit_code=0, stdout="one\ntwo", stderr="err\n")
    times = {line: moment for _, line, moment in seen}
    assert times["two"] - times["one"] > 0.2, "a line is handed on before the command has ended"


def test_stdin_may_be_larger_than_a_pipe_and_need_not_be_read() -> None:
    large = "x" * 300_000
    assert Executor().run(shell("cat", stdin=large), on_line=lambda *_: None).stdout == large
    assert Executor().run(shell("true", stdin=large), on_line=lambda *_: None).exit_code == 0
    assert Executor().run(shell("cat"), on_line=lambda *_: None).stdout == "", "without stdin there is nothing to read, rather than a wait"


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    assert Executor().run(shell(r"printf '\377ok\r\n'"), on_line=lambda *_: None).stdout == "�ok\r\n"


def test_cancel_ends_the_whole_group_and_refuses_new_commands(tmp_path: Path) -> None:
    executor = Executor()
    outcomes: list[Outcome] = []
    script = f"sleep 60 & echo $! > {tmp_path}/pid; trap 'exit 4' INT; wait"
    thread = threading.Thread(target=lambda: outcomes.append(executor.run(shell(script), on_line=lambda *_: None)))
    thread.start()
    wait_for(tmp_path / "pid")
    time.sleep(0.1)
    executor.cancel()
    executor.wait(8)
    thread.join(8)
    assert outcomes[0].cancelled
    assert executor.run(shell("true"), on_line=lambda *_: None).cancelled, "nothing new is started after that"
    wait_until_gone(int((tmp_path / "pid").read_text()))  # a shell makes its background jobs deaf to SIGINT, so this took another signal


def test_a_timeout_ends_what_ignores_signals_kindly(tmp_path: Path) -> None:
    started = time.monotonic()
    outcome = Executor().run(shell(f"echo $$ > {tmp_path}/pid; exec sleep 60", timeout=0.3), on_line=lambda *_: None)
    assert outcome.timed_out
    assert outcome.exit_code < 0
    assert time.monotonic() - started < 5
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_what_cannot_be_started_is_an_os_error() -> None:
    with pytest.raises(OSError, match="No such file"):
        Executor().run(shell("true", directory="/does/not/exist"), on_line=lambda *_: None)
