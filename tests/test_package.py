"""The pip package: built from the checkout and installed elsewhere, it has all that a program with embedded clusters needs. No index is asked."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.installing import PACKAGES, build, install
from toolchain.tools import CHECKOUT, tool

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


@dataclass(frozen=True, kw_only=True)
class Package:
    """A built package, and the environment that it is installed into."""

    wheel: Path
    sdist: Path
    python: Path
    elsewhere: Path
    """An empty directory."""

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.python, *arguments], cwd=self.elsewhere, capture_output=True, text=True, check=False, timeout=60)

    def say(self, code: str) -> str:
        done = self.run("-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("package")
    wheel, sdist = build(folder)
    (folder / "elsewhere").mkdir()
    return Package(wheel=wheel, sdist=sdist, python=install(wheel, folder / "venv"), elsewhere=folder / "elsewhere")


@pytest.mark.process
def test_the_components_are_imported_from_the_environment(package: Package) -> None:
    found = package.say("import service_failover.clusters.embedded as it, gloo_api; print(it.__file__, gloo_api.__file__)")
    environment = str(package.python.parents[1])
    assert all(file.startswith(environment) for file in found.split()), f"not from this checkout: {found}"


@pytest.mark.process
def test_what_an_embedded_cluster_runs_is_there(package: Package) -> None:
    for module in ("embedded", "controlplane"):
        done = package.run("-P", "-m", module, "--help")
        assert done.returncode == 0, f"python -m {module}: {done.stderr}"
    cluster = "from service_failover.clusters.embedded import PROGRAM; print(PROGRAM)"
    assert package.say(cluster) == package.say("import pathlib, embedded; print(pathlib.Path(embedded.__file__).parents[1])"), "where a cluster looks"


@pytest.mark.process
def test_the_console_has_its_page(package: Package) -> None:
    pages = (
        "from importlib.resources import files; print(*sorted(file.name for file in files('controlplane.fed.console').joinpath('pages').iterdir()))"
    )
    assert package.say(pages).split() == ["console.css", "console.js", "icon.svg", "index.html", "rows.js"], "what is no Python is easily left out"


@pytest.mark.process
def test_the_tools_are_those_of_the_checkout(package: Package) -> None:
    node = "from toolchain.tools import tool; node = tool('kube-node'); print(node.version, (node.built.directory / 'go.mod').is_file())"
    assert package.say(node) == f"{tool('kube-node').version} True", "the Go sources are in it, all of them, so what the checkout has built is used"
    environment = "import toolchain; print(toolchain.python())"
    assert package.say(environment) == str(package.python), "no other environment is made"


@pytest.mark.process
def test_the_alert_rules_and_the_dashboard_are_in_it(package: Package) -> None:
    code = "from service_failover.monitoring.objects import ALERTS, DASHBOARD, alerts; print(bool(alerts()['groups']), DASHBOARD.is_file(), ALERTS)"
    assert package.say(code).startswith(f"True True {package.python.parents[1]}"), "those of the checkout are not looked for"


@pytest.mark.process
def test_the_source_distribution_holds_the_same(package: Package) -> None:
    with zipfile.ZipFile(package.wheel) as wheel, tarfile.open(package.sdist) as sdist:
        installed = {name for name in wheel.namelist() if ".dist-info/" not in name}
        source = {name.partition("/")[2] for name in sdist.getnames()}
    assert installed <= source, f"a wheel can be built from it; missing: {sorted(installed - source)[:5]}"
    assert {name.split("/")[0] for name in installed} == set(PACKAGES), "nothing else is put beside other people's packages"
    assert not [name for name in installed if "__pycache__" in name or ".state" in name], "and nothing of this machine"


def declared() -> list[Requirement]:
    return [Requirement(line) for line in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["embedded"]]]


@pytest.mark.unit
def test_the_declared_dependencies_are_those_that_are_tested() -> None:
    for requirement in declared():
        version = metadata.version(requirement.name)
        assert requirement.specifier.contains(version), f"{requirement} would not accept {version}, which everything is tested with"


@pytest.mark.unit
def test_every_runtime_requirement_is_declared() -> None:
    runtime = (CHECKOUT / "requirements.in").read_text().partition("# The drill")[0]
    names = {name.lower() for name in re.findall(r"^([A-Za-z0-9-]+)", runtime, re.MULTILINE)}
    assert names == {requirement.name.lower() for requirement in declared()}, "an installed package would miss it"
