"""The plugins in a Pulumi home: where Pulumi looks for them, and how the stand-ins are started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toolchain_support import write_program

import toolchain
from toolchain import cache
from toolchain.pulumi_home import launcher
from toolchain.routes import StandIn
from toolchain.tools import LANGUAGE_HOST, PLUGIN_VERSIONS, tool

pytestmark = pytest.mark.process


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Pulumi home, on a machine where everything is installed."""
    monkeypatch.setenv("SERVICE_FAILOVER_PYTHON", sys.executable)
    write_program(cache.executable("pulumi-resource-kubernetes", PLUGIN_VERSIONS["kubernetes"]), "echo the official plugin")
    return tmp_path / "it's home"


def test_each_plugin_is_where_pulumi_looks_for_it(home: Path) -> None:
    toolchain.install_plugins(home)
    names = {"resource-kubernetes-v4.25.0", "resource-tls-v5.6.2", "resource-command-v1.2.1", f"language-python-v{tool(LANGUAGE_HOST).version}"}
    assert {folder.name for folder in (home / "plugins").iterdir()} == names, "kind, name and version are the folder's name"
    for folder in (home / "plugins").iterdir():
        program = folder / f"pulumi-{folder.name.rpartition('-v')[0]}"
        assert os.access(program, os.X_OK), f"{program} can be run"
    kubernetes = subprocess.run([home / "plugins/resource-kubernetes-v4.25.0/pulumi-resource-kubernetes"], capture_output=True, text=True, check=True)
    assert kubernetes.stdout == "the official plugin\n", "the one that was installed"


def test_a_plugin_that_is_installed_on_demand_is_there_once_it_is_installed(home: Path) -> None:
    yaml = tool("pulumi-language-yaml")
    place = home / "plugins" / f"language-yaml-v{yaml.version}" / yaml.name
    toolchain.install_plugins(home)
    assert not place.exists(), "nothing is missing without it"
    write_program(cache.executable(yaml.name, yaml.version), "echo the language host")
    toolchain.install_plugins(home)
    assert os.access(place, os.X_OK), "and it is found when it is there"


def test_repeating_it_changes_nothing_and_takes_no_time(home: Path) -> None:
    toolchain.install_plugins(home)
    before = {file: file.lstat().st_mtime_ns for file in home.rglob("*")}
    started = time.monotonic()
    toolchain.install_plugins(home)
    assert time.monotonic() - started < 1, "each command calls it"
    assert {file: file.lstat().st_mtime_ns for file in home.rglob("*")} == before, "a running plugin's file is not replaced"


def test_a_broken_plugin_is_repaired(home: Path) -> None:
    toolchain.install_plugins(home)
    link = home / "plugins/resource-kubernetes-v4.25.0/pulumi-resource-kubernetes"
    script = home / "plugins/resource-tls-v5.6.2/pulumi-resource-tls"
    link.unlink()
    link.symlink_to("/nowhere")
    script.write_text("#!/bin/sh\nexit 1\n")
    toolchain.install_plugins(home)
    assert link.resolve() == toolchain.find("pulumi-resource-kubernetes").resolve(), "a link to an older cache is set anew"
    assert "toolchain.plugins.tls" in script.read_text(), "a launcher of another version is written anew"


def test_a_missing_plugin_is_an_error_with_the_next_command(home: Path) -> None:
    toolchain.find("pulumi-resource-kubernetes").unlink()
    with pytest.raises(toolchain.ToolMissing, match=r"pulumi-resource-kubernetes is not installed. Install it: python3 -m toolchain install"):
        toolchain.install_plugins(home)


def test_a_launcher_runs_the_module_of_its_checkout_and_leaks_nothing(tmp_path: Path) -> None:
    checkout = tmp_path / "a 'check' out"
    (checkout / "demo").mkdir(parents=True)
    (checkout / "demo" / "__init__.py").write_text("")
    report = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('PYTHONPATH'), __name__, sys.path[0]]))"
    (checkout / "demo" / "plugin.py").write_text(report)
    elsewhere = tmp_path / "program"
    (elsewhere / "demo").mkdir(parents=True)
    (elsewhere / "demo" / "plugin.py").write_text("raise SystemExit('the folder it is started in must not matter')")
    script = tmp_path / "launch"
    script.write_text(launcher(StandIn(version="1", module="demo.plugin"), python=Path(sys.executable), checkout=checkout))
    script.chmod(0o700)

    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([script, "--root=x y", "127.0.0.1:1"], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    arguments, python_path, name, first = json.loads(done.stdout)
    assert arguments == ["--root=x y", "127.0.0.1:1"], "Pulumi's arguments arrive as they are"
    assert python_path is None, "what the plugin starts must not find the checkout by accident"
    assert name == "__main__", "it runs as python -m would run it"
    assert first == str(checkout), "from the checkout"
