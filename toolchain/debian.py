"""Takes programs out of packages of the machine's own Debian archive, without root and without changing the system.

apt fetches them as the machine is set up to (sources, proxy), works out which libraries are missing, and checks signatures and digests. It keeps
its state in a folder of its own, which is removed afterwards. The packages are unpacked, never installed: none of their scripts run.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

from toolchain.errors import InstallFailed, ToolMissing
from toolchain.processes import Children
from toolchain.routes import Debian, Report

# What is not needed to run a program, and weighs more than it.
_LEFT_OUT = ("usr/share/doc", "usr/share/locale", "usr/share/man")

_LAUNCHER = """\
#!/bin/sh
# Runs the program with the libraries and fonts that were unpacked with it.
here=$(dirname "$(dirname "$(readlink -f "$0")")")
export LD_LIBRARY_PATH="{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
export FONTCONFIG_FILE="$here/fonts.conf"
exec "$here/{program}" "$@"
"""

_FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>/usr/share/fonts</dir>
  <dir prefix="relative">usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""


def release() -> str:
    """The machine's system, such as `debian-12`: what was unpacked there fits its libraries, and no others."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return "unknown"
    return f"{system['ID']}-{system.get('VERSION_ID', 'unstable')}"


def fetch(debian: Debian, *, name: str, into: Path, children: Children, report: Report) -> None:
    """Download the packages and what they need, unpack them into `into`, and give their programs launchers in `into`/bin.

    Errors: ToolMissing on a machine without apt, InstallFailed with apt's own words.
    """
    apt, unpacker = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt is None or unpacker is None:
        raise ToolMissing(
            f"{name} is not on PATH, and without apt-get it cannot be taken from the Debian archive. Install it with the package manager of this "
            f"system, or name one that is there: SERVICE_FAILOVER_{name.upper()}=PATH. Only tests need it"
        )
    work = into / "apt"
    settings = _own_apt(work, children=children)
    packages = _download(debian, apt=apt, settings=settings, work=work, children=children, report=report)
    for number, package in enumerate(packages, start=1):
        report(f"unpacking Debian package {number} of {len(packages)}")
        children.run([unpacker, "-x", package, into], cwd=into)
    for left_out in ("apt", *_LEFT_OUT):
        shutil.rmtree(into / left_out, ignore_errors=True)
    _add_launchers(debian, into=into)


def _own_apt(work: Path, *, children: Children) -> dict[str, str]:
    """An apt with the machine's settings, but with its own state and without the hooks that touch the system. Returns its environment."""
    for folder in ("lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True)
    machine = children.run(["apt-config", "dump"], cwd=work)
    kept = [line for line in machine.splitlines() if not re.match(r"(?i)(APT|DPkg)\S*::(Pre|Post)-Inv|Dir::Etc::(parts|main) ", line)]
    own = {
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::main": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::State::extended_states": work / "extended_states",
        "Dir::Cache": work,
        "Dir::Cache::archives": work / "archives",
        "Dir::Log": work,
        "Debug::NoLocking": "true",  # the system's locks are root's, and nothing of the system is changed
        "APT::Sandbox::User": "root",  # the folder is ours alone, and no other user could write there
        "APT::Install-Recommends": "false",
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": "20",
    }
    file = work / "apt.conf"
    file.write_text("\n".join([*kept, *(f'{key} "{value}";' for key, value in own.items())]) + "\n")
    return {"APT_CONFIG": str(file), "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def _download(debian: Debian, *, apt: str, settings: dict[str, str], work: Path, children: Children, report: Report) -> list[Path]:
    """The packages as files. A source that cannot be reached matters only if a package is missing for it."""
    environment = {**os.environ, **settings}
    report("reading the lists of the Debian archive")
    unreached = ""
    try:
        children.run([apt, "update", "-q"], cwd=work, env=environment)
    except InstallFailed as error:
        unreached = f"\nBefore that: {error}"
    got = 0

    def count(line: str) -> None:
        nonlocal got
        got += line.startswith("Get:")
        report(f"downloading Debian package {got}")

    archives = work / "archives"
    # `download` takes the packages alone; `install` also what they need and the machine does not have. Both only fetch.
    verb = ["install", "--download-only", "--reinstall", "--yes"] if debian.with_libraries else ["download"]
    try:
        children.run([apt, *verb, "-q", *debian.packages], cwd=archives, env=environment, on_line=count)
    except InstallFailed as error:
        raise InstallFailed(f"{' and '.join(debian.packages)} cannot be had from the Debian archive: {error}{unreached}") from error
    return sorted(archives.glob("*.deb"))


def _add_launchers(debian: Debian, *, into: Path) -> None:
    """bin/<name> for each program. Errors: InstallFailed when the packages hold no such program (Ubuntu's chromium only points to a snap)."""
    folders = sorted({file.parent for file in into.rglob("lib*.so*") if not file.is_dir()})
    libraries = ":".join(f"$here/{folder.relative_to(into)}" for folder in folders)
    (into / "fonts.conf").write_text(_FONTS)
    (into / "bin").mkdir()
    for program in debian.programs:
        if not (into / program).is_file():
            raise InstallFailed(f"the package {debian.packages[0]} of this machine's archive holds no {program}")
        launcher = into / "bin" / Path(program).name
        launcher.write_text(_LAUNCHER.format(libraries=libraries, program=program))
        launcher.chmod(0o755)
