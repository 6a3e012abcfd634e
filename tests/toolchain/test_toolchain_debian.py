"""Programs out of Debian packages: the real apt and dpkg-deb, with an archive in a folder as the machine's only source."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from toolchain_support import write_program

from toolchain import debian
from toolchain.errors import InstallFailed, ToolMissing
from toolchain.processes import Children
from toolchain.routes import Debian
from toolchain.tools import tools

pytestmark = pytest.mark.process
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None, reason="this machine has no apt")

DEMO = Debian(version="debian-12", packages=("demo",), programs=("usr/bin/demo",), with_libraries=True)


class Archive:
    """An archive in a folder. It is not signed: a source says that it is trusted all the same, or apt refuses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def add(self, name: str, *, file: str, script: str, depends: str = "") -> None:
        """Add version 1.0 of a package with one file."""
        control = f"Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: test\n"
        control += f"Depends: {depends}\n" if depends else ""
        content = self.folder / f"{name}.content"
        write_program(content / file, script)
        (content / "DEBIAN").mkdir()
        (content / "DEBIAN" / "control").write_text(control)
        write_program(content / "DEBIAN" / "postinst", f"touch {self.folder}/scripts-ran")
        package = self.folder / f"{name}_1.0_all.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", content, package], check=True, capture_output=True)
        shutil.rmtree(content)
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        with (self.folder / "Packages").open("a") as packages:
            packages.write(f"{control}Filename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n\n")
        listed = (self.folder / "Packages").read_bytes()
        sums = f" {hashlib.sha256(listed).hexdigest()} {len(listed)} Packages\n"
        (self.folder / "Release").write_text(f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n{sums}")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """The only archive that this machine's apt knows, with `demo` and the library that it needs. After an update a hook would leave a file."""
    archive = Archive(tmp_path / "archive")
    archive.add("libdemo", file="usr/lib/demo/libdemo.so.1", script="")
    archive.add("demo", file="usr/bin/demo", script='echo "$LD_LIBRARY_PATH $*"', depends="libdemo")
    settings = {
        "Dir::Etc::sourcelist": tmp_path / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::status": tmp_path / "status",
        "APT::Update::Post-Invoke::": f"touch {tmp_path}/hook-ran",
    }
    (tmp_path / "status").write_text("")
    (tmp_path / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    use_sources(tmp_path, f"deb [trusted=yes] copy:{archive.folder} ./")
    return archive


def use_sources(tmp_path: Path, *lines: str) -> None:
    (tmp_path / "sources.list").write_text("\n".join(lines) + "\n")


def fetch(packages: Debian, into: Path) -> None:
    into.mkdir()
    debian.fetch(packages, name="demo", into=into, children=Children(), report=lambda _: None)


@needs_apt
def test_a_program_runs_with_the_libraries_that_came_with_it(archive: Archive, tmp_path: Path) -> None:
    fetch(DEMO, tmp_path / "making")
    here = (tmp_path / "making").rename(tmp_path / "installed")

    said = subprocess.run([here / "bin" / "demo", "one", "two"], capture_output=True, text=True, check=True).stdout

    assert said == f"{here}/usr/lib/demo one two\n", "where the folder is now, since an install renames it"
    assert not (here / "apt").exists(), "the lists and the packages are not kept"


@needs_apt
def test_nothing_of_the_system_is_touched(archive: Archive, tmp_path: Path) -> None:
    fetch(DEMO, tmp_path / "into")
    assert not (archive.folder / "scripts-ran").exists(), "a package is unpacked, not installed: its scripts do not run"
    assert not (tmp_path / "hook-ran").exists(), "nor do the machine's hooks, which work on the system's own lists"
    assert (tmp_path / "status").read_text() == "", "and no package counts as installed"


@needs_apt
def test_packages_alone_come_without_what_they_depend_on(archive: Archive, tmp_path: Path) -> None:
    fetch(Debian(version="debian-12", packages=("demo",), programs=("usr/bin/demo",)), tmp_path / "into")
    assert not (tmp_path / "into" / "usr" / "lib").exists(), "a program that needs no libraries does not bring any"


@needs_apt
@pytest.mark.parametrize("with_libraries", [True, False])
def test_an_archive_without_a_signature_is_refused(archive: Archive, tmp_path: Path, with_libraries: bool) -> None:
    use_sources(tmp_path, f"deb copy:{archive.folder} ./")
    packages = Debian(version="debian-12", packages=("demo",), programs=("usr/bin/demo",), with_libraries=with_libraries)
    with pytest.raises(InstallFailed, match=r"(?s)demo cannot be had from the Debian archive: .*is not signed"):
        fetch(packages, tmp_path / "into")
    assert not (tmp_path / "into" / "bin").exists(), "nothing of it can be run"


@needs_apt
def test_a_package_that_is_not_what_the_archive_lists_is_refused(archive: Archive, tmp_path: Path) -> None:
    package = archive.folder / "demo_1.0_all.deb"
    package.write_bytes(package.read_bytes()[:-1] + b"x")
    with pytest.raises(InstallFailed, match=r"(?s)demo cannot be had.*Hash Sum mismatch"):
        fetch(DEMO, tmp_path / "into")


@needs_apt
def test_a_source_that_cannot_be_reached_matters_only_if_a_package_is_missing(archive: Archive, tmp_path: Path) -> None:
    use_sources(tmp_path, f"deb [trusted=yes] copy:{archive.folder} ./", f"deb copy:{tmp_path}/nowhere ./")
    fetch(DEMO, tmp_path / "into")
    with pytest.raises(InstallFailed, match=r"(?s)Unable to locate package other.*Before that: .*nowhere"):
        fetch(Debian(version="debian-12", packages=("other",), programs=(), with_libraries=True), tmp_path / "second")


@needs_apt
def test_a_package_without_the_program_is_named(archive: Archive, tmp_path: Path) -> None:
    packages = Debian(version="debian-12", packages=("demo",), programs=("usr/lib/demo/demo",))
    with pytest.raises(InstallFailed, match=r"the package demo of this machine's archive holds no usr/lib/demo/demo"):
        fetch(packages, tmp_path / "into")


def test_a_machine_without_apt_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"demo is not on PATH, and without apt-get .*package manager of this system.*SERVICE_FAILOVER_DEMO=PATH"):
        fetch(DEMO, tmp_path / "into")


def test_users_never_get_debian_packages() -> None:
    of_debian = [each for each in tools().values() if isinstance(each.built, Debian)]
    assert of_debian, "the tests get some"
    assert [each.name for each in of_debian if each.for_users or not each.on_demand] == [], "370 MB are nothing that `make up` needs"
