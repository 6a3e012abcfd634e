"""What the language host finds installed, and which runtime options it takes."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from toolchain.plugins import packages
from toolchain.plugins.language_host import refusal
from toolchain.plugins.packages import PulumiPackage

pytestmark = pytest.mark.unit


def test_providers_are_read_from_the_sdks(tmp_path: Path) -> None:
    for directory, name, described in (
        ("first", "pulumi_tls", {"resource": True, "name": "tls", "version": "5.6.2"}),
        ("first", "pulumi_policy", {"resource": False, "name": "policy"}),
        ("second", "pulumi_tls", {"resource": True, "name": "tls", "version": "1.0.0"}),
        ("second", "pulumi_my_thing", {"resource": True, "version": "2.0.0", "server": "https://example.com"}),
    ):
        place = tmp_path / directory / name
        place.mkdir(parents=True)
        (place / "pulumi-plugin.json").write_text(json.dumps(described))
    found = packages.pulumi_packages(["", str(tmp_path / "first"), str(tmp_path / "absent"), str(tmp_path / "second")])
    assert found == [
        PulumiPackage(name="my-thing", version="2.0.0", server="https://example.com"),
        PulumiPackage(name="tls", version="5.6.2"),
    ], "the first on the path wins, and a package without a plugin is none"


def test_installed_packages_are_listed() -> None:
    every = {package.name for package in packages.python_packages(transitive=True)}
    direct = {package.name for package in packages.python_packages(transitive=False)}
    assert direct < every, "what another package requires is not listed unless asked for"
    assert "parver" in every - direct or "grpcio" in every - direct


def test_missing_requirements_are_named() -> None:
    installed = {"pulumi-tls": "5.6.2", "pyyaml": "6.0"}
    text = "# comment\n--hash=sha256:x\npulumi_tls==5.6.2 \\\n    --hash=sha256:abc\nPyYAML>=5\npulumi==9.9.9\nabsent[extra]\n"
    assert packages.missing(text, installed=installed) == ["pulumi==9.9.9", "absent"]
    assert packages.installed_versions()["pulumi-tls"] == metadata.version("pulumi-tls")


def test_options_that_would_be_ignored_are_refused(tmp_path: Path) -> None:
    assert refusal({}, prefix="/venv", root="/project") is None
    assert refusal({"virtualenv": "venv"}, prefix=str(tmp_path / "venv"), root=str(tmp_path)) is None, "naming this very environment is fine"
    assert "runtime option virtualenv: other is not the environment" in (refusal({"virtualenv": "other"}, prefix="/venv", root="/project") or "")
    assert "runtime option typechecker: mypy" in (refusal({"typechecker": "mypy"}, prefix="/venv", root="/project") or "")
