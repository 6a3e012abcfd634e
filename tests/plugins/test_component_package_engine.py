"""The component package under the real engine, which starts it through the language host."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from pulumi_driver import PROJECT, Stack, processes_with, wait_for

from toolchain.tools import CHECKOUT

pytestmark = pytest.mark.engine

PLUGIN = CHECKOUT / "plugin"

WAITING = """
import asyncio, os, pathlib
import pulumi
from typing import TypedDict
from pulumi.provider.experimental import component_provider_host

class WaitingArgs(TypedDict):
    marker: pulumi.Input[str]

class Waiting(pulumi.ComponentResource):
    seen: pulumi.Output[str]
    def __init__(self, name: str, args: WaitingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("waiting:index:Waiting", name, None, opts)
        pathlib.Path(args["marker"]).write_text(str(os.getpid()))
        self.seen = pulumi.Output.from_input(asyncio.sleep(float(os.environ.get("WAIT", "0")), os.getcwd()))
        self.register_outputs({"seen": self.seen})

if __name__ == "__main__":
    component_provider_host(components=[Waiting], name="waiting")
"""

PROGRAM = """
class Waiting(pulumi.ComponentResource):
    def __init__(self, name, args):
        super().__init__("waiting:index:Waiting", name, {**args, "seen": None}, None, remote=True)

pulumi.export("seen", Waiting("one", {"marker": %r}).seen)
"""


@pytest.fixture
def waiting(stack: Stack, tmp_path: Path) -> Path:
    """A project with a package of its own in it; the file that its component writes."""
    plugin = stack.project / "waiting"
    plugin.mkdir()
    (plugin / "PulumiPlugin.yaml").write_text("runtime: python\n")
    (plugin / "__main__.py").write_text(WAITING)
    (stack.project / "Pulumi.yaml").write_text(
        f"name: {PROJECT}\nruntime: python\nplugins:\n  providers:\n    - name: waiting\n      path: ./waiting\n"
    )
    stack.program(PROGRAM % str(tmp_path / "marker"))
    return tmp_path / "marker"


@pytest.fixture(autouse=True)
def _kubernetes_is_installed(kubernetes_plugin: Path) -> None:
    """The engine looks for the plugin of every installed SDK before it starts a package. Here none of Kubernetes' resources is made."""
    kubernetes_plugin.write_text("#!/bin/sh\necho it must not be started >&2\nexit 1\n")
    kubernetes_plugin.chmod(0o700)


def test_the_schema_that_the_engine_sees_is_the_checked_in_one(stack: Stack) -> None:
    shown = json.loads(stack.pulumi("package", "get-schema", str(PLUGIN)).stdout)
    assert shown.pop("config") == {}, "nothing reads stack configuration"
    assert shown == json.loads((PLUGIN / "schema.json").read_text()), "python -m service_failover.schema > plugin/schema.json"
    assert processes_with(str(stack.directory)) == [], "the plugin has ended with the command"


def test_a_refused_input_reaches_the_user_by_its_name(stack: Stack) -> None:
    (stack.project / "Pulumi.yaml").write_text(
        f"name: {PROJECT}\nruntime: python\nplugins:\n  providers:\n    - name: service-failover\n      path: {PLUGIN}\n"
    )
    stack.program("""
        class Cluster(pulumi.ComponentResource):
            def __init__(self, name, args):
                super().__init__("service-failover:index:EmbeddedCluster", name, args, None, remote=True)

        Cluster("one", {"clusterName": "Not A Label", "region": "r", "zone": "z"})
    """)
    result = stack.preview()
    assert result.exit_code != 0
    assert "clusterName" in result.output, "the input is named as the program writes it"
    assert "Not A Label" in result.output, "and its value"
    assert "hosting.py" not in result.output, "and no frame of the package is shown"


def test_a_plugin_serves_a_program_in_the_directory_of_the_project(stack: Stack, waiting: Path) -> None:
    result = stack.up()
    assert result.exit_code == 0, result.output
    assert stack.outputs()["seen"] == str(stack.project), "where a component finds the project"
    assert result.messages("warning") == []
    assert processes_with(str(stack.directory)) == [], "nothing is left of it"
    assert stack.destroy().exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_plugin_ends_with_the_engine(stack: Stack, waiting: Path, number: signal.Signals) -> None:
    stack.environment["WAIT"] = "600"
    running = stack.start_up()
    wait_for(waiting, seconds=60)
    result = stack.interrupt(running, number)
    assert result.exit_code != 0
    deadline = time.monotonic() + 10
    while (left := processes_with(str(stack.directory))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == [], "neither plugin nor host outlives the engine"


def test_a_directory_without_a_plugin_is_refused(stack: Stack, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "PulumiPlugin.yaml").write_text("runtime: python\n")
    done = stack.try_pulumi("package", "get-schema", str(empty))
    assert done.returncode != 0
    assert f"there is no plugin in {empty}" in done.stderr + done.stdout


def test_a_plugin_that_fails_says_why(stack: Stack, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "PulumiPlugin.yaml").write_text("runtime: python\n")
    (broken / "__main__.py").write_text("raise ValueError('boom')\n")
    done = stack.try_pulumi("package", "get-schema", str(broken))
    assert done.returncode != 0
    assert "ValueError: boom" in done.stderr + done.stdout, "its own words reach the user"
