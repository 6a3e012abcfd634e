"""Clusters as docker has them, against a recording docker: a stack whose state is lost takes down what is its own, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from recording_tools import Tools, install

import toolchain
from cli.stack import Stack
from cli.workspace import CommandFailed, Workspace
from service_failover.kind import nodes
from service_failover.kind.document import owner_of
from service_failover.kind.machine import Docker, examine

pytestmark = pytest.mark.engine

CHECKOUT = Path(__file__).resolve().parents[2]
STATE = Path("/srv/state")
OURS, SECOND, ELSEWHERE = owner_of("dev", STATE), owner_of("second", STATE), owner_of("dev", Path("/srv/other"))


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    made = install(tmp_path / "tools")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def kind(verb: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service_failover.kind", verb, "--stack", "dev", "--state-dir", str(STATE)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60)


def test_only_the_stacks_own_clusters_are_deleted(tools: Tools) -> None:
    tools.make("failover-dev-local", owner=OURS)
    tools.make("failover-dev-remote", owner=OURS, running=False)
    tools.make("failover-second-local", owner=SECOND)
    tools.make("other-dev-local", owner=ELSEWHERE)
    tools.make_foreign("failover-dev-third")
    done = kind("delete")
    assert done.returncode == 0, done.stderr
    assert sorted(tools.containers) == [
        "failover-dev-third-control-plane",
        "failover-second-local-control-plane",
        "other-dev-local-control-plane",
    ], "another stack's, another checkout's and somebody else's stay, whatever they are called"
    assert kind("delete").returncode == 0, "nothing is left to do"


def test_they_are_listed_with_their_state(tools: Tools) -> None:
    tools.make("failover-dev-local", owner=OURS)
    tools.make("failover-dev-remote", owner=OURS, running=False)
    tools.make("failover-second-local", owner=SECOND)
    assert kind("list").stdout.splitlines() == ["failover-dev-local: running, no ports", "failover-dev-remote: stopped, no ports"]


@pytest.mark.parametrize("verb", ["list", "delete"])
def test_a_dead_docker_is_an_error_in_its_own_words(tools: Tools, verb: str) -> None:
    tools.when("daemon-down")
    done = kind(verb)
    assert done.returncode == 1, "nobody knows whether something is left"
    assert "Cannot connect to the Docker daemon" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stopped_node_is_started_and_waited_for(tools: Tools) -> None:
    tools.make("failover-dev-local", owner=OURS, running=False)
    nodes.start(nodes.list_nodes())
    (node,) = nodes.list_nodes()
    assert node.running
    assert (node.owner, node.generation) == (OURS, "g1"), "docker shows the marks of a stopped node too"
    nodes.start([node])
    assert len(tools.called("docker start")) == 1, "one that runs is left running"


def test_an_api_server_that_does_not_come_back_is_an_error(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.make("failover-dev-local", owner=OURS, running=False)
    tools.when("not-answering")
    monkeypatch.setattr(nodes, "START_SECONDS", 0.1)
    with pytest.raises(nodes.DockerFailed, match="To make it anew: kind delete cluster --name failover-dev-local"):
        nodes.start(nodes.list_nodes())


def test_the_machine_is_examined(tools: Tools) -> None:
    tools.make_foreign("other")
    machine = examine([1])
    assert machine.docker == Docker(version=(28, 2, 2), memory=8 << 30, host="unix:///var/run/docker.sock")
    assert machine.kind == (0, 33, 0)
    assert machine.kubectl is None, "it is not on this PATH"
    assert [node.cluster for node in machine.nodes] == ["other"]
    assert machine.taken_ports == frozenset()


def test_a_machine_without_docker_is_examined_all_the_same(tools: Tools) -> None:
    for name in ("docker", "kind"):
        (tools.root / "bin" / name).unlink()
    machine = examine([])
    assert machine.docker == "docker is not on PATH"
    assert machine.kind is None


def test_a_stack_keeps_its_state_until_docker_answers_and_then_nothing_is_left(tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Path:
        raise toolchain.ToolMissing(f"{name} is not installed")

    monkeypatch.setattr(toolchain, "install_plugins", lambda home: None)
    monkeypatch.setattr(toolchain, "find", missing)
    workspace = Workspace(root=tmp_path / "state")
    workspace.prepare()
    state = workspace.backend / ".pulumi" / "stacks" / "service-failover" / "mine.json"
    state.parent.mkdir(parents=True)
    state.write_text('{"resources": [{"type": "service-failover:index:KindCluster"}]}')
    tools.make("failover-mine-local", owner=owner_of("mine", workspace.root))
    tools.make("failover-second-local", owner=SECOND)
    down = tools.when("daemon-down")
    with pytest.raises(CommandFailed, match=r"kind clusters of stack 'mine' may be left, for the reason above. Then once more: make down STACK=mine"):
        Stack(name="mine", workspace=workspace).down()
    assert state.exists(), "thrown away, nobody would know of the cluster any more"
    down.unlink()
    Stack(name="mine", workspace=workspace).down()
    assert list(tools.containers) == ["failover-second-local-control-plane"], "without Pulumi, by the marks on the nodes"
    assert not workspace.root.exists()
