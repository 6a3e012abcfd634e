"""Builds commands from Go modules: from the checked-in go.mod and go.sum, never changing them, with the Go that is installed and no other.

An interrupted build goes on where it stopped, since Go keeps each compiled package in the user's build cache.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from toolchain.errors import InstallFailed
from toolchain.processes import Children
from toolchain.routes import Generated, GoModule, Report

# No DWARF: the linker strips it anyway (-s -w), and not making it saves a tenth of the compile time.
_FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false")
# The compiler spends a third of its time collecting garbage; it gets less of that for some 250 MB more a process.
_GARBAGE_COLLECTION = {"GOGC": "400"}


def environment() -> dict[str, str]:
    """The environment of every go command: this Go and no other, this module and no workspace, no C compiler needed."""
    settings = {"GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
    return _GARBAGE_COLLECTION | {name: value for name, value in os.environ.items() if name not in ("GOROOT", "GOOS", "GOARCH")} | settings


def prepare(module: GoModule, *, go: Path, children: Children) -> int:
    """Download what `module` needs, and return how many packages have to be compiled: those that the build cache does not hold."""
    command: list[str | Path] = [go, "list", "-e", "-deps", *_FLAGS, "-f", "{{if .Stale}}stale{{end}}", module.package]
    return children.run(command, cwd=module.directory, env=environment()).split().count("stale")


def build(module: GoModule, *, name: str, into: Path, go: Path, packages: int, children: Children, report: Report) -> None:
    """Build the command of `module` as `into`/bin/`name`. Errors: InstallFailed, with the compiler's words."""
    work = into / "work"
    work.mkdir()
    directory = module.directory
    if module.generated:
        directory = _with_generated(module, module.generated, work / "source", go=go, children=children)
    define = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in module.define.items())])
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        # -v names each package once; messages have spaces in them, or a colon.
        compiled += " " not in line and ":" not in line
        report(f"compiling its Go module, {compiled} of {packages} packages" if compiled < packages else "linking its Go module")

    report(f"compiling its Go module, 0 of {packages} packages")
    command: list[str | Path] = [go, "build", "-v", *_FLAGS, f"-ldflags={define}", "-o", into / "bin" / name, module.package]
    children.run(command, cwd=directory, env=environment() | {"GOTMPDIR": str(work)}, on_line=count)
    shutil.rmtree(work)


def _with_generated(module: GoModule, generated: Generated, copy: Path, *, go: Path, children: Children) -> Path:
    """A copy of the module's directory together with the files that its command embeds."""
    shutil.copytree(module.directory, copy)
    found = children.run([go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", generated.module], cwd=module.directory, env=environment()).strip()
    for name in generated.files:
        source = Path(found) / generated.folder / name
        if not source.is_file():
            raise InstallFailed(f"the Go module {generated.module} holds no {generated.folder}/{name}")
        shutil.copyfile(source, copy / name)
    return copy
