"""The Python environment: made once, made anew when it was left half-made, found only when it is complete."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from toolchain_support import write_program

import toolchain
from toolchain import venv
from toolchain.errors import InstallFailed
from toolchain.processes import Children

pytestmark = pytest.mark.process


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    file = tmp_path / "requirements.txt"
    file.write_text("")
    return file


def install(requirements: Path, children: Children | None = None) -> None:
    venv.install(children=children or Children(), report=lambda _: None, note=lambda _: None, requirements=requirements)


@pytest.fixture
def machine_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python that pretends to make environments; the Python in them logs how its pip is called."""
    log = tmp_path / "pip.log"
    inner = write_program(tmp_path / "inner", f'echo "$@" >> "{log}"')
    make = f'mkdir -p "$3/bin" && cp "{inner}" "$3/bin/python"'
    monkeypatch.setattr("sys.executable", str(write_program(tmp_path / "python3", make)))
    return log


def test_a_half_made_environment_is_not_found_and_made_anew(requirements: Path, machine_python: Path) -> None:
    place = venv.folder(requirements)
    write_program(place / "bin" / "python", "echo half")
    (place / "left-over").write_text("")
    with pytest.raises(toolchain.ToolMissing):
        venv.python(requirements)

    install(requirements)

    assert venv.python(requirements) == place / "bin" / "python", "now it is complete"
    assert not (place / "left-over").exists(), "and holds nothing of the half-made one"
    assert "pip install --require-hashes" in machine_python.read_text(), "every package is checked against its digest"
    stopped = Children()
    stopped.stop()
    install(requirements, stopped)  # would raise if it started a process


def test_where_the_toolchain_is_an_installed_package_its_environment_is_the_one(tmp_path: Path) -> None:
    assert venv.python(tmp_path / "absent.txt") == Path(sys.executable), "there is no checkout whose requirements could be installed"
    assert venv.is_installed(tmp_path / "absent.txt"), "so nothing of it is missing"


def test_a_failed_environment_leaves_nothing(requirements: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(InstallFailed, match="false ended with code 1"):
        install(requirements)
    assert not venv.folder(requirements).exists(), "the next install starts afresh"


def test_other_requirements_are_another_environment(requirements: Path) -> None:
    first = venv.folder(requirements)
    requirements.write_text("# changed")
    assert venv.folder(requirements) != first, "two checkouts with other requirements do not spoil each other's environment"
