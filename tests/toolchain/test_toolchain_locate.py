"""What counts as installed: the variable, the cache, and PATH in a version that will do."""

from __future__ import annotations

from pathlib import Path

import pytest
from toolchain_support import write_program

import toolchain
from toolchain import cache, locate
from toolchain.tools import tool

pytestmark = pytest.mark.process


def put_in_cache(name: str) -> Path:
    """An installed version of a tool, without an install."""
    return write_program(cache.executable(name, tool(name).versions[-1]), "echo")


@pytest.mark.parametrize(
    ("name", "says", "accepted"),
    [
        ("kubectl", "Client Version: v1.32.4-dispatcher", None),
        ("kubectl", "Client Version: v1.35.9", None),
        ("kubectl", "Client Version: v1.36.0", "1.36.0"),
        ("kubectl", "Client Version: v1.38.2", "1.38.2"),
        ("kubectl", "Client Version: v1.39.0", None),
        ("go", "go version go1.26.5 linux/amd64", None),
        ("go", "go version go1.26.6 linux/arm64", "1.26.6"),
        ("go", "go version go1.27rc1 linux/amd64", "1.27"),
        ("pulumi", "v3.237.9", None),
        ("pulumi", "v3.300.0", "3.300.0"),
        ("pulumi", "v4.0.0", None),
        ("envoy", "envoy  version: 9e5580/1.40.1/Clean/RELEASE/BoringSSL", "1.40.1"),
        ("envoy", "envoy  version: 9e5580/1.41.0/Clean/RELEASE/BoringSSL", None),
        ("http-echo", "http-echo v1.0.0 (abcdef)", "1.0.0"),
        ("http-echo", "http-echo v ()", None),
        ("kubectl", "", None),
    ],
)
def test_path_counts_only_in_a_version_that_will_do(path_folder: Path, cache_root: Path, name: str, says: str, accepted: str | None) -> None:
    program = write_program(path_folder / name, f"echo '{says}'")
    cache.tool_folder(name).mkdir(parents=True)

    found = locate.search_path(tool(name))

    assert (found.version if found else None) == accepted, "the range in the table decides, whatever else the program says"
    if found:
        assert found.path == program, "the program itself is used, not a copy"
        assert toolchain.find(name) == program, "once accepted it is found without asking it again"


def test_a_program_on_path_is_asked_again_when_it_has_changed(path_folder: Path) -> None:
    program = write_program(path_folder / "kubectl", "echo Client Version: v1.37.0")
    cache.tool_folder("kubectl").mkdir(parents=True)
    assert locate.search_path(tool("kubectl")), "1.37 will do"

    write_program(program, "echo Client Version: v1.20.0 # another size")

    assert locate.locate(tool("kubectl")) is None, "what was true of the old program says nothing about the new one"
    assert locate.search_path(tool("kubectl")) is None, "and the new one is too old"


def test_a_program_that_fails_to_answer_is_passed_over(path_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(path_folder / "kubectl", "exec sleep 30")
    monkeypatch.setattr(locate, "_PROBE_SECONDS", 0.1)
    assert locate.search_path(tool("kubectl")) is None, "a hanging program must not hang the install"


def test_the_variable_goes_before_everything(path_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_cache("kubectl")
    named = write_program(tmp_path / "mine", "echo")
    monkeypatch.setenv("SERVICE_FAILOVER_KUBECTL", str(named))
    assert toolchain.find("kubectl") == named, "whoever names a program means it"


def test_a_variable_that_names_nothing_is_an_error_and_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_FAILOVER_PULUMI_RESOURCE_KUBERNETES", "/nowhere/plugin")
    with pytest.raises(toolchain.ToolMissing, match=r"SERVICE_FAILOVER_PULUMI_RESOURCE_KUBERNETES names /nowhere/plugin"):
        toolchain.find("pulumi-resource-kubernetes")


def test_what_is_missing_is_named_with_the_next_command() -> None:
    with pytest.raises(toolchain.ToolMissing, match=r"envoy is not installed. Install it: python3 -m toolchain install envoy"):
        toolchain.find("envoy")
    with pytest.raises(toolchain.ToolMissing, match=r"no tool 'envoi'; there are: go, envoy"):
        toolchain.find("envoi")
    with pytest.raises(toolchain.ToolMissing, match=r"python3 -m toolchain install"):
        toolchain.python()


def test_an_empty_file_is_no_tool() -> None:
    put_in_cache("envoy").write_text("")
    with pytest.raises(toolchain.ToolMissing):
        toolchain.find("envoy")
