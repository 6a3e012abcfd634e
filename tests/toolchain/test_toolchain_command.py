"""`python -m toolchain` as a user meets it, and what it prints."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toolchain_support import write_program

import toolchain
from toolchain import cache
from toolchain.progress import Progress, duration
from toolchain.tools import CHECKOUT, tool

pytestmark = pytest.mark.process


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "toolchain", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with kubectl and the Kubernetes plugin in it, at a path that a shell would trip over."""
    root = tmp_path / "a 'cache' $HOME"
    monkeypatch.setenv("SERVICE_FAILOVER_CACHE", str(root))
    python = write_program(tmp_path / "venv/bin/python", "echo python")
    monkeypatch.setenv("SERVICE_FAILOVER_PYTHON", str(python))
    for name in ("kubectl", "pulumi-resource-kubernetes"):
        write_program(cache.executable(name, tool(name).version), 'echo "ours: $*"')
    return root


def test_the_exports_survive_a_shell(installed: Path) -> None:
    exports = run("env")
    assert exports.returncode == 0, exports.stderr
    shell = subprocess.run(["/bin/sh", "-c", exports.stdout + "kubectl one two"], capture_output=True, text=True, check=True)
    assert shell.stdout == "ours: one two\n", "spaces, quotes and dollars in the path are only characters"
    assert exports.stdout.count("\n") == 1, "PATH, and nothing else"


def test_the_exports_do_not_grow_when_they_are_applied_again(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = toolchain.environment()["PATH"]
    monkeypatch.setenv("PATH", once)
    assert toolchain.environment()["PATH"] == once, "eval in every new shell is usual"


def test_a_plugin_is_not_put_on_path(installed: Path) -> None:
    assert "pulumi-resource-kubernetes" not in toolchain.environment()["PATH"], "Pulumi warns about every plugin that it finds there"


def test_a_command_runs_with_the_tools(installed: Path) -> None:
    done = run("run", "--", "kubectl", "get", "--help")
    assert (done.returncode, done.stdout) == (0, "ours: get --help\n"), "options after -- belong to the command"
    assert run("run", "--", "sh", "-c", "exit 7").returncode == 7, "its exit code is the command's"


def test_a_command_that_is_not_there_is_named(installed: Path) -> None:
    done = run("run", "--", "kubectll")
    assert done.returncode == 1, "it did not run"
    assert "there is no program 'kubectll' on PATH" in done.stderr, "a misspelt name is the usual cause"
    assert "no command is given" in run("run").stderr, "nor can nothing be run"


def test_the_list_says_what_is_there_and_what_is_not(installed: Path, path_folder: Path) -> None:
    lines = run().stdout.splitlines()
    by_name = {line.split()[0]: line for line in lines if line}
    first = {name: next(line for line in lines if line.startswith(f"{name} ")) for name in ("kubectl", "envoy", "kube-node", "pulumi-resource-tls")}
    assert tool("kubectl").version in first["kubectl"], "an installed tool with its version"
    assert "not installed" in first["envoy"], "a missing one"
    assert "stand-in" in first["pulumi-resource-tls"], "and what stands in for what cannot be had"
    assert "no official release (its SHA-256 is not known)" in by_name["envoy"], "a release that cannot be checked is no way"
    assert "python3 -m toolchain install" in lines[-1], "the next command"


@pytest.mark.parametrize("arguments", [["--help"], ["install", "--help"], ["env", "--help"], ["run", "--help"]])
def test_help_is_everywhere(arguments: list[str]) -> None:
    assert run(*arguments).stdout.startswith("usage: python3 -m toolchain"), "under the name by which it is called"


def test_an_unknown_tool_is_refused_before_anything_is_installed(cache_root: Path) -> None:
    done = run("install", "kubectll")
    assert done.returncode == 1, "nothing to install"
    assert "there is no tool 'kubectll'; there are: go, envoy" in done.stderr, "with the names there are"
    assert not cache_root.exists(), "nothing was begun"


def test_it_needs_nothing_but_the_standard_library() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); import toolchain.__main__, toolchain.install; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, env=environment, check=True)
    foreign = [name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names | {"toolchain", "__main__"}]
    assert foreign == [], "it runs before any package is installed"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_step_leaves_one_line_when_it_is_done() -> None:
    said = io.StringIO()
    progress = Progress(said)
    with progress.shown(), progress.step("envoy") as step:
        step.report("downloading")
        step.done("1.40.0 installed")
    with progress.step("kubectl") as step:
        step.report("was not to be had")
    assert said.getvalue() == "envoy: 1.40.0 installed (0.0 s)\n", "the end of it, and nothing of a step that came to nothing"


def test_a_terminal_shows_what_is_under_way() -> None:
    said = Terminal()
    progress = Progress(said)
    with progress.shown(), progress.step("pulumi") as step, progress.step("python") as other:
        step.report("compiling 3 of 9")
        other.report("downloading")
        progress.refresh()
    assert "pulumi: compiling 3 of 9 (0.0 s) · python: downloading (0.0 s)" in said.getvalue(), "all steps in one line"
    assert said.getvalue().endswith("\r\x1b[K"), "and it is gone at the end"


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.6, "1 min 00 s"), (75, "1 min 15 s")])
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text, "seconds, then minutes"
