"""What is installed beside the language host's interpreter: Pulumi packages for the engine, Python packages for `pulumi about` and `pulumi
install`.

Part of the stand-in language host (machines without the official one). Reads files of the environment; imports none of the packages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:==\s*([^\s;\\#,]+))?")


@dataclass(frozen=True, kw_only=True)
class PulumiPackage:
    """A provider that an installed SDK belongs to, as in its pulumi-plugin.json. `server` is where to download the plugin; "" for the usual place."""

    name: str
    version: str
    server: str = ""


@dataclass(frozen=True, kw_only=True)
class PythonPackage:
    """A distribution: its name and version."""

    name: str
    version: str


def pulumi_packages(directories: Iterable[str]) -> list[PulumiPackage]:
    """The providers of every SDK in `directories` (entries of sys.path), by name. Earlier directories win, as in an import."""
    found: dict[str, PulumiPackage] = {}
    for directory in directories:
        for path in sorted(Path(directory).glob("*/pulumi-plugin.json")) if directory else ():
            described = json.loads(path.read_text(encoding="utf-8"))
            name = described.get("name") or path.parent.name.removeprefix("pulumi_").replace("_", "-")
            if described.get("resource") and name not in found:
                found[name] = PulumiPackage(name=name, version=described.get("version", ""), server=described.get("server", ""))
    return sorted(found.values(), key=lambda package: package.name)


def python_packages(*, transitive: bool) -> list[PythonPackage]:
    """What is installed, by name; without `transitive` only what no other distribution requires."""
    installed = {_normal(name): (name, distribution) for distribution in metadata.distributions() if (name := distribution.metadata["Name"])}
    required = {_normal(requirement) for _, distribution in installed.values() for requirement in _required(distribution)}
    return [
        PythonPackage(name=name, version=distribution.version)
        for key, (name, distribution) in sorted(installed.items())
        if transitive or key not in required
    ]


def missing(requirements: str, *, installed: Mapping[str, str]) -> list[str]:
    """Lines of a requirements file that `installed` (normalised name to version) does not meet; only exact pins are compared."""
    found = []
    for line in requirements.splitlines():
        match = _REQUIREMENT.match(line)
        if match is None or line.lstrip().startswith(("#", "-")):
            continue
        name, pin = match.groups()
        version = installed.get(_normal(name))
        if version is None or (pin is not None and version != pin):
            found.append(f"{name}=={pin}" if pin else name)
    return found


def installed_versions() -> dict[str, str]:
    """Normalised name to version of every distribution."""
    return {_normal(package.name): package.version for package in python_packages(transitive=True)}


def _required(distribution: metadata.Distribution) -> Iterator[str]:
    for requirement in distribution.requires or ():
        if "extra ==" not in requirement and (match := _REQUIREMENT.match(requirement)):
            yield match.group(1)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
