"""The table of tools against what it must agree with: requirements.txt, the go.mod files, the digests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from toolchain.routes import GoModule, Wheel
from toolchain.tools import CHECKOUT, PLUGIN_VERSIONS, sources_key, tool, tools

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("plugin", PLUGIN_VERSIONS)
def test_a_plugin_has_the_version_of_its_python_package(plugin: str) -> None:
    pinned = re.search(rf"^pulumi-{plugin}==(\S+)", (CHECKOUT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned, f"pulumi-{plugin} is pinned"
    assert tool(f"pulumi-resource-{plugin}").version == pinned[1] == PLUGIN_VERSIONS[plugin], "or Pulumi prints a version warning on every run"


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("pulumi", "github.com/pulumi/pulumi/pkg/v3"),
        ("pulumi-language-yaml", "github.com/pulumi/pulumi-yaml"),
        ("http-echo", "github.com/hashicorp/http-echo"),
        ("kube-node", "k8s.io/kubernetes"),
    ],
)
def test_a_tool_has_the_version_of_its_go_module(name: str, module: str) -> None:
    built = tool(name).built
    assert isinstance(built, GoModule), "it is built"
    pinned = re.search(rf"^(?:require)?\s*{module} v(\S+)", (built.directory / "go.mod").read_text(), re.MULTILINE)
    assert pinned, f"go.mod requires {module}"
    assert built.version.partition("-")[0] == pinned[1], "what is reported is what is built"
    assert all(value.removeprefix("v") in (pinned[1], *pinned[1].split(".")) for value in built.define.values()), (
        "and what the program says of itself"
    )


@pytest.mark.parametrize("name", [name for name, each in tools().items() if isinstance(each.built, GoModule)])
def test_the_accepted_go_can_build_every_module(name: str) -> None:
    built, on_path, wheel = tool(name).built, tool("go").on_path, tool("go").built
    assert isinstance(built, GoModule) and isinstance(wheel, Wheel) and on_path, "the table has all three"  # noqa: PT018
    asked = re.search(r"^go (\S+)$", (built.directory / "go.mod").read_text(), re.MULTILINE)
    assert asked, "go.mod says which Go it needs"
    needed = tuple(map(int, asked[1].split(".")))
    assert needed <= on_path.lowest, "every Go that is accepted on PATH will do, since no other is downloaded"
    assert needed <= tuple(map(int, wheel.version.split("."))), "and so will the one that is installed"


def test_every_digest_is_a_sha256() -> None:
    releases = [release for each in tools().values() for release in each.releases.values()]
    wheels = [digest for each in tools().values() if isinstance(each.built, Wheel) for digest in each.built.sha256]
    digests = [release.sha256 for release in releases] + wheels
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests), "a mistyped digest would refuse every file"
    assert len(set(digests)) == len(digests), "and no two files have the same"
    assert all(release.url.startswith("https://") and release.version in release.url for release in releases), (
        "the version is the one that is fetched"
    )


def test_every_tool_has_a_way_to_it() -> None:
    assert [each.name for each in tools().values() if not (each.built or each.stand_in)] == [], "PATH and releases may both have nothing"


def test_the_key_of_the_node_changes_with_its_sources_only(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "main.go").write_text("package main")
    (tmp_path / "go.sum").write_text("one")
    first = sources_key(tmp_path)
    (tmp_path / "agent" / "main_test.go").write_text("package main")
    assert sources_key(tmp_path) == first, "a test is not part of the program"
    (tmp_path / "go.sum").write_text("two")
    second = sources_key(tmp_path)
    assert second != first, "another version of a dependency makes another program"
    (tmp_path / "agent" / "main.go").rename(tmp_path / "main.go")
    assert sources_key(tmp_path) != second, "so does the same file at another place"
