"""Installs as a whole: interrupted, repeated, at the same time, on a broken cache, on a disk that refuses."""

from __future__ import annotations

import errno
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toolchain_support import PretendedGo, ReleaseServer, write_program

import toolchain
from toolchain import cache, locate
from toolchain.install import Installation, install, require_platform
from toolchain.progress import Progress
from toolchain.routes import GoModule, Release, Tool
from toolchain.tools import CHECKOUT

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-m", "toolchain", "install", "http-echo"]


def start(**settings: str) -> subprocess.Popen[str]:
    """`python -m toolchain install http-echo` in the background."""
    return subprocess.Popen(COMMAND, cwd=CHECKOUT, env={**os.environ, **settings}, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition is met within 10 s"
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_build_leaves_no_half_tool_and_no_compiler(pretended_go: PretendedGo, number: signal.Signals) -> None:
    process = start(PRETENDED_SECONDS="60")
    wait_for(pretended_go.builds)

    process.send_signal(number)

    _, said = process.communicate(timeout=5)
    assert process.returncode == 130, said
    assert "interrupted; nothing half-made is left" in said, "it says so"
    assert "Traceback" not in said, "and that is no error of ours"
    assert sorted(file.name for file in cache.tool_folder("http-echo").iterdir()) == [".lock"], "neither a version nor its staging folder"
    wait_for(lambda: not is_running(int(pretended_go.builds()[0])))

    assert install(["http-echo"], progress=Progress(io.StringIO())) == 1, "the same command goes on"
    assert toolchain.find("http-echo").exists(), "and ends with the tool"


def test_a_killed_build_is_cleaned_up_by_the_next_install(pretended_go: PretendedGo) -> None:
    process = start(PRETENDED_SECONDS="60")
    wait_for(pretended_go.builds)
    process.kill()
    process.communicate()
    left = [file.name for file in cache.tool_folder("http-echo").glob(".making-*")]
    assert left, "nobody can clean up after SIGKILL"
    os.killpg(int(pretended_go.builds()[0]), signal.SIGKILL)

    install(["http-echo"], progress=Progress(io.StringIO()))

    assert sorted(file.name for file in cache.tool_folder("http-echo").iterdir()) == [".lock", "1.0.0"], "but the next install does"


def test_two_installs_at_once_do_the_work_once(pretended_go: PretendedGo) -> None:
    first = start(PRETENDED_SECONDS="3")
    wait_for(pretended_go.builds)
    second = start(PRETENDED_SECONDS="0.5")

    _, said_first = first.communicate(timeout=10)
    _, said_second = second.communicate(timeout=10)

    assert (first.returncode, second.returncode) == (0, 0), said_first + said_second
    assert f"waiting for another install of it (process {first.pid})" in said_second, "the one that waits says for whom"
    assert len(pretended_go.builds()) == 1, "what the first has built, the second uses"


def test_a_second_install_uses_no_network_and_starts_no_process(pretended_go: PretendedGo, monkeypatch: pytest.MonkeyPatch) -> None:
    install(["http-echo"], progress=Progress(io.StringIO()))

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("an installed tool needs neither")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(subprocess, "Popen", forbidden)
    assert install(["http-echo"]) == 0, "nothing is missing"


def test_a_second_install_says_nothing_and_takes_no_time(pretended_go: PretendedGo) -> None:
    install(["http-echo"], progress=Progress(io.StringIO()))
    before = os.times()
    done = subprocess.run(COMMAND, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    used = sum(after - earlier for after, earlier in zip(os.times()[2:4], before[2:4], strict=True))
    assert used < 1, "each make target calls it: seconds of computing, whatever else the machine does"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "and has its own things to say"


def test_a_broken_cache_is_repaired(pretended_go: PretendedGo) -> None:
    install(["http-echo"], progress=Progress(io.StringIO()))
    toolchain.find("http-echo").unlink()
    with pytest.raises(toolchain.ToolMissing):
        toolchain.find("http-echo")

    assert install(["http-echo"], progress=Progress(io.StringIO())) == 1, "a folder without its program is no installed tool"
    assert toolchain.find("http-echo").exists(), "and is replaced"


def test_a_failing_build_shows_the_compilers_words(path_folder: Path) -> None:
    write_program(path_folder / "go", '[ "$1" = version ] && echo go1.26.9 && exit; [ "$1" = list ] && exit; echo main.go:3: undefined: x; exit 2')
    with pytest.raises(toolchain.InstallFailed, match=r"(?s)go ended with code 2.*main.go:3: undefined: x"):
        install(["http-echo"], progress=Progress(io.StringIO()))
    assert not list(cache.tool_folder("http-echo").glob("*[!k]")), "nothing but the lock is left"


def test_a_cache_that_cannot_be_made_is_named_with_its_variable(pretended_go: PretendedGo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    process = start(SERVICE_FAILOVER_CACHE=str(tmp_path / "file" / "cache"))
    _, said = process.communicate(timeout=10)
    assert process.returncode == 1, said
    assert said.startswith(f"error: cannot use {tmp_path}/file/cache"), "the path that is refused"
    assert "SERVICE_FAILOVER_CACHE=DIRECTORY" in said, "and how to name another"
    assert "Traceback" not in said, "it is not a bug"


def test_a_full_disk_is_named_and_leaves_nothing(pretended_go: PretendedGo, monkeypatch: pytest.MonkeyPatch, cache_root: Path) -> None:
    def full(file: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(
        toolchain.InstallFailed, match=r"No space left on device. The cache is .*free some space there.*SERVICE_FAILOVER_CACHE"
    ) as error:
        install(["http-echo"], progress=Progress(io.StringIO()))
    assert str(cache_root) in str(error.value), "where the space is missing"
    assert not list(cache.tool_folder("http-echo").glob(".making-*")), "what was begun is removed"


def test_a_refused_release_is_told_and_the_module_is_built(pretended_go: PretendedGo, serve_release: Callable[..., ReleaseServer]) -> None:
    said = io.StringIO()
    tool = with_release(serve_release().release(sha256="0" * 64))
    Installation(progress=Progress(said)).run([tool], environment=False)
    found = locate.locate(tool)
    assert found is not None, "there is another way"
    assert (found.version, found.origin) == ("1.0", "Go module"), "which is the pinned module, checked by its go.sum"
    assert "expected: refused, nothing of it is used" in said.getvalue(), "and nobody can miss it"


def test_a_refused_release_without_another_way_is_an_error(serve_release: Callable[..., ReleaseServer]) -> None:
    tool = with_release(serve_release().release(sha256="0" * 64), built=False)
    with pytest.raises(toolchain.InstallFailed, match=r"pulumi 9.9.9 cannot be had: .*0000 is expected: refused"):
        Installation(progress=Progress(io.StringIO())).run([tool], environment=False)
    assert sorted(file.name for file in cache.tool_folder("pulumi").iterdir()) == [".lock"], "nothing is installed"


def test_a_release_goes_before_a_build(pretended_go: PretendedGo, serve_release: Callable[..., ReleaseServer]) -> None:
    tool = with_release(serve_release().release())
    Installation(progress=Progress(io.StringIO())).run([tool], environment=False)
    found = locate.locate(tool)
    assert found is not None, "it is installed"
    assert (found.version, found.origin) == ("9.9.9", "official release"), "from the release"
    assert pretended_go.builds() == [], "and nothing is compiled"


def with_release(release: Release, *, built: bool = True) -> Tool:
    """A `pulumi` with this release on every machine."""
    module = GoModule(version="1.0", directory=CHECKOUT / "toolchain/modules/http-echo", package="example.org/pulumi")
    return Tool(name="pulumi", why="test", releases=dict.fromkeys(("x86_64", "aarch64"), release), built=module if built else None)


def test_an_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 10, 12))
    with pytest.raises(toolchain.InstallFailed, match=r"Python 3.11 or later is needed"):
        require_platform()


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "riscv64")])
def test_a_machine_that_cannot_run_the_stack_is_told_so(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(toolchain.InstallFailed, match=r"runs on Linux .*Use the dev stack"):
        require_platform()
