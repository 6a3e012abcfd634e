"""A fresh stack for each test, over the stand-in plugins even where the official ones are installed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pulumi_driver import Stack

import toolchain
from toolchain.pulumi_home import launcher
from toolchain.tools import CHECKOUT, tools


@pytest.fixture(scope="session")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Pulumi home that has nothing but the stand-ins, run by this interpreter."""
    home = tmp_path_factory.mktemp("pulumi-home")
    for tool in tools().values():
        if tool.stand_in is not None:
            place = home / "plugins" / f"{tool.name.removeprefix('pulumi-')}-v{tool.stand_in.version}" / tool.name
            place.parent.mkdir(parents=True)
            place.write_text(launcher(tool.stand_in, python=Path(sys.executable), checkout=CHECKOUT))
            place.chmod(0o700)
    return home


@pytest.fixture(scope="session")
def _empty_stack(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Stack:
    stack = Stack(directory=tmp_path_factory.mktemp("empty") / "stack", home=pulumi_home, pulumi=toolchain.find("pulumi"))
    stack.create()
    return stack


@pytest.fixture
def stack(tmp_path: Path, journal: Path, pulumi_home: Path, _empty_stack: Stack) -> Stack:
    """An empty stack: a copy, since making one takes half a second."""
    shutil.copytree(_empty_stack.directory, tmp_path / "stack")
    return Stack(directory=tmp_path / "stack", home=pulumi_home, pulumi=toolchain.find("pulumi"))


@pytest.fixture
def kubernetes_plugin(pulumi_home: Path) -> Iterator[Path]:
    """Where the engine looks for the Kubernetes plugin. A test puts there what it needs; the home has none before and after it."""
    version = tools()["pulumi-resource-kubernetes"].version
    place = pulumi_home / "plugins" / f"resource-kubernetes-v{version}" / "pulumi-resource-kubernetes"
    place.parent.mkdir()
    yield place
    shutil.rmtree(place.parent)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that commands append to, in $JOURNAL."""
    path = tmp_path / "journal"
    path.touch()
    monkeypatch.setenv("JOURNAL", str(path))
    return path
