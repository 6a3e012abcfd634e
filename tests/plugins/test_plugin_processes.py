"""Running a plugin that is written in Python; starts small processes, so it is in the engine tier although it needs no engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pulumi_driver import wait_for, wait_until_gone

from toolchain.plugins.plugin_processes import Exited, PluginProcesses, Printed, Stream
from toolchain.tools import CHECKOUT

pytestmark = pytest.mark.engine

FOR_EVER = """
    import os, pathlib, subprocess, sys, time
    child = subprocess.Popen(["sleep", "600"])
    pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)
"""


@pytest.fixture
def processes() -> Iterator[PluginProcesses]:
    started = PluginProcesses()
    yield started
    started.stop()


def plugin(directory: Path, text: str) -> Path:
    (directory / "plugin").mkdir()
    (directory / "plugin" / "__main__.py").write_text(textwrap.dedent(text))
    return directory / "plugin"


def run(
    processes: PluginProcesses,
    directory: Path,
    *arguments: str,
    environment: tuple[str, ...] = (),
    when_abandoned: Callable[[Callable[[], None]], bool] = lambda _end: True,
) -> Iterator[Printed | Exited]:
    return processes.run(
        directory,
        arguments=arguments,
        environment=[f"PATH={os.environ['PATH']}", *environment],
        cwd=directory.parent,
        when_abandoned=when_abandoned,
    )


def printed(events: list[Printed | Exited], stream: Stream) -> str:
    return b"".join(event.data for event in events if isinstance(event, Printed) and event.stream is stream).decode()


def test_a_plugin_gets_what_the_engine_gives_it(processes: PluginProcesses, tmp_path: Path) -> None:
    directory = plugin(tmp_path, 'import helper, os, sys; print(sys.argv[1:], os.environ["SEEN"], os.getcwd(), helper.NAME, __name__)')
    (directory / "helper.py").write_text("NAME = 'beside it'")
    events = list(run(processes, directory, "127.0.0.1:1", "--logtostderr", environment=("SEEN=first", "SEEN=a=b")))
    assert events[-1] == Exited(exit_code=0), "the exit code is the last that is said"
    expected = f"['127.0.0.1:1', '--logtostderr'] a=b {tmp_path} beside it __main__\n"
    assert printed(events, Stream.STDOUT) == expected, "arguments, environment (the last of a name counts), directory, modules beside it"
    assert printed(events, Stream.STDERR) == "", "and nothing of the host"


def test_what_it_prints_comes_at_once_and_a_failure_has_its_traceback(processes: PluginProcesses, tmp_path: Path) -> None:
    directory = plugin(tmp_path, 'import os, time; os.write(1, b"4711\\n"); time.sleep(0.5); raise ValueError("boom")')
    moments, events = [], []
    for event in run(processes, directory):
        moments.append(time.monotonic())
        events.append(event)
    assert events[0] == Printed(stream=Stream.STDOUT, data=b"4711\n"), "the port, which the engine waits for"
    assert moments[-1] - moments[0] > 0.4, "it is handed on while the plugin runs"
    assert "ValueError: boom" in printed(events, Stream.STDERR)
    assert events[-1] == Exited(exit_code=1)


def test_it_ends_when_nobody_listens_any_more(processes: PluginProcesses, tmp_path: Path) -> None:
    directory, marker = plugin(tmp_path, FOR_EVER), tmp_path / "pids"
    abandon: list[Callable[[], None]] = []

    def remember(end: Callable[[], None]) -> bool:
        abandon.append(end)
        return True

    events: list[Printed | Exited] = []
    reader = threading.Thread(target=lambda: events.extend(run(processes, directory, str(marker), when_abandoned=remember)))
    reader.start()
    wait_for(marker)
    abandon[0]()
    reader.join(10)
    assert not reader.is_alive(), "the stream ends too"
    for pid in map(int, marker.read_text().split()):
        wait_until_gone(pid)
    assert events == [Exited(exit_code=128 + signal.SIGTERM)]


def test_one_that_is_abandoned_before_it_runs_is_not_left_behind(processes: PluginProcesses, tmp_path: Path) -> None:
    directory = plugin(tmp_path, "import time; time.sleep(600)")
    events = list(run(processes, directory, when_abandoned=lambda _end: False))
    assert isinstance(events[-1], Exited), "the answer to the callback was that it comes too late"


def test_a_plugin_that_ignores_the_request_to_end_is_killed(processes: PluginProcesses, tmp_path: Path) -> None:
    directory = plugin(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + textwrap.dedent(FOR_EVER))
    marker = tmp_path / "pids"
    reader = threading.Thread(target=lambda: list(run(processes, directory, str(marker))))
    reader.start()
    wait_for(marker)
    processes.stop()
    reader.join(10)
    for pid in map(int, marker.read_text().split()):
        wait_until_gone(pid)
    with pytest.raises(InterruptedError):
        next(run(processes, directory, str(marker)))


def test_it_does_not_outlive_a_host_that_is_killed(tmp_path: Path) -> None:
    directory, marker = (
        plugin(tmp_path, "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"),
        tmp_path / "pid",
    )
    host = f"""
        import os, pathlib
        from toolchain.plugins.plugin_processes import PluginProcesses
        directory = pathlib.Path({str(directory)!r})
        environment = [f"PATH={{os.environ['PATH']}}"]
        list(PluginProcesses().run(directory, arguments=[{str(marker)!r}], environment=environment, cwd=directory, when_abandoned=lambda _end: True))
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(host)], cwd=CHECKOUT) as running:
        wait_for(marker)
        running.kill()
    wait_until_gone(int(marker.read_text()))
