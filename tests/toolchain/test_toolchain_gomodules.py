"""Go builds, with the real Go, of a module small enough to be built in a test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from toolchain import gomodules, locate
from toolchain.errors import InstallFailed
from toolchain.processes import Children
from toolchain.routes import Generated, GoModule
from toolchain.tools import tool

pytestmark = pytest.mark.process

PROGRAM = """package main

import _ "embed"

//go:embed text.json
var text string
var version = "unset"

func main() { print(version, " ", text) }
"""


@pytest.fixture
def module(tmp_path: Path) -> GoModule:
    """A command that embeds a file which only another module holds, as Pulumi's Kubernetes plugin does."""
    origin = tmp_path / "origin"
    (origin / "cmd").mkdir(parents=True)
    (origin / "go.mod").write_text("module example.org/origin\n\ngo 1.26\n")
    (origin / "origin.go").write_text("package origin\n")
    (origin / "cmd" / "text.json").write_text("{}")
    command = tmp_path / "command"
    command.mkdir()
    requirement = f"require example.org/origin v0.0.0\n\nreplace example.org/origin => {origin}\n"
    (command / "go.mod").write_text(f"module example.org/command\n\ngo 1.26\n\n{requirement}")
    (command / "main.go").write_text(PROGRAM.replace('import _ "embed"', 'import (\n\t_ "embed"\n\n\t_ "example.org/origin"\n)'))
    return GoModule(
        version="1",
        directory=command,
        package=".",
        define={"main.version": "1.2.3"},
        generated=Generated(module="example.org/origin", folder="cmd", files=("text.json",)),
    )


@pytest.fixture
def go() -> Path:
    """The installed Go, else the one on PATH."""
    found = locate.locate(tool("go"))
    path = found.path if found else shutil.which("go")
    assert path, "Go is installed: python3 -m toolchain install --all-for-tests"
    return Path(path)


def test_a_command_is_built_with_its_generated_files_and_leaves_the_checkout_alone(module: GoModule, go: Path, tmp_path: Path) -> None:
    before = sorted(file.name for file in module.directory.iterdir())
    into = tmp_path / "into"
    into.mkdir()
    said: list[str] = []
    packages = gomodules.prepare(module, go=go, children=Children())

    gomodules.build(module, name="demo", into=into, go=go, packages=packages, children=Children(), report=said.append)

    output = subprocess.run([into / "bin" / "demo"], capture_output=True, text=True, check=True).stderr
    assert output == "1.2.3 {}", "its version is set and the file of the other module is in it"
    assert [str(file.relative_to(into)) for file in into.rglob("*")] == ["bin", "bin/demo"], "no temporary file stays"
    assert sorted(file.name for file in module.directory.iterdir()) == before, "nothing is written beside the sources"
    assert any(f"of {packages} packages" in text for text in said), "progress is counted in packages"


def test_a_file_that_the_other_module_does_not_hold_is_named(module: GoModule, go: Path, tmp_path: Path) -> None:
    (tmp_path / "origin" / "cmd" / "text.json").unlink()
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(InstallFailed, match=r"the Go module example.org/origin holds no cmd/text.json"):
        gomodules.build(module, name="demo", into=into, go=go, packages=0, children=Children(), report=lambda _: None)


def test_no_other_go_and_no_workspace_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GOTOOLCHAIN": "auto", "GOWORK": "/elsewhere/go.work", "GOROOT": "/elsewhere", "CGO_ENABLED": "1", "GOOS": "plan9"}.items():
        monkeypatch.setenv(name, value)
    environment = gomodules.environment()
    assert environment["GOTOOLCHAIN"] == "local", "no other Go is downloaded"
    assert environment["GOWORK"] == "off", "a workspace around the checkout is none of ours"
    assert environment["CGO_ENABLED"] == "0", "no C compiler is needed"
    assert not {"GOROOT", "GOOS", "GOARCH"} & environment.keys(), "it is built for this machine with that Go's own library"
