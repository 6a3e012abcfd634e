"""What is asked of `docker` and `kind` about this machine, and what their answers mean. No process is started: the answers are written here."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from service_failover.kind import __main__ as door
from service_failover.kind import machine, nodes
from service_failover.kind.document import owner_of
from service_failover.kind.machine import Docker, examine
from service_failover.kind.nodes import UNFINISHED, DockerFailed, Node

pytestmark = pytest.mark.unit

STATE = Path("/srv/state")
OURS = owner_of("dev", STATE)
Answer = tuple[int, str, str] | Exception


def container(cluster: str, *, owner: str = "", running: bool = True) -> dict[str, Any]:
    marks = [f"/kind/service-failover/owner/{owner}", "/kind/service-failover/generation/g1"] if owner else []
    return {
        "Id": cluster,
        "Name": f"/{cluster}-control-plane",
        "Config": {"Labels": {"io.x-k8s.kind.cluster": cluster}},
        "State": {"Running": running},
        "Mounts": [{"Destination": mark} for mark in marks],
        "HostConfig": {"PortBindings": {"30080/tcp": [{"HostPort": "8080"}]}},
    }


class Answers:
    """Answers each command by the first entry whose words it begins with; a command that has none is a failure of the test."""

    def __init__(self) -> None:
        self.table: dict[str, Callable[[], Answer]] = {}
        self.asked: list[str] = []

    def __call__(self, command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        line = " ".join(command)
        self.asked.append(line)
        answer = next(answer for start, answer in self.table.items() if line.startswith(start))()
        if isinstance(answer, Exception):
            raise answer
        return subprocess.CompletedProcess(list(command), *answer)

    def put(self, start: str, *answers: Answer) -> None:
        """The answers to a command, one after the other; the last one stays."""
        left = list(answers)
        self.table[start] = lambda: left.pop(0) if len(left) > 1 else left[0]

    def have(self, *containers: dict[str, Any]) -> None:
        self.put("docker ps", (0, " ".join(each["Id"] for each in containers), ""))
        self.put("docker inspect", (0, json.dumps(containers), ""))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    made = Answers()
    made.put("docker info", (0, "28.2.2 8589934592\n", ""))
    made.put("docker context inspect", (0, "unix:///var/run/docker.sock\n", ""))
    made.put("kind version", (0, "kind v0.33.0 go1.26.8 linux/amd64\n", ""))
    made.put("kubectl version --client", (0, "Client Version: v1.37.1\nKustomize Version: v5.7.1\n", ""))
    made.have()
    monkeypatch.setattr(nodes.subprocess, "run", made)
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    monkeypatch.setattr(nodes.time, "sleep", lambda seconds: None)
    return made


def test_the_facts_of_a_machine_are_found_out(answers: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "max_user_instances").write_text("128\n")
    (tmp_path / "max_user_watches").write_text("65536\n")
    monkeypatch.setattr(machine, "_INOTIFY", tmp_path)
    answers.have(container("other"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = examine([port])
    assert found.docker == Docker(version=(28, 2, 2), memory=8 << 30, host="unix:///var/run/docker.sock")
    assert (found.kind, found.kubectl) == ((0, 33, 0), (1, 37, 1))
    assert found.inotify == (128, 65536)
    assert found.taken_ports == {port}
    assert [node.cluster for node in found.nodes] == ["other"]


def test_a_machine_with_nothing_is_examined_all_the_same(answers: Answers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for tool in ("docker", "kind", "kubectl"):
        answers.table = {tool: lambda: FileNotFoundError(), **answers.table}
    monkeypatch.setattr(machine, "_INOTIFY", tmp_path)
    found = examine([])
    assert found.docker == "docker is not on PATH"
    assert (found.kind, found.kubectl, found.inotify, found.nodes) == (None, None, None, ())


def test_a_client_without_a_daemon_is_no_docker(answers: Answers) -> None:
    answers.put("docker info", (0, " 0\n", ""))
    assert examine([]).docker == "the daemon does not answer (docker info says why)", "docker info of old versions succeeds without a daemon"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((1, "", "Cannot connect to the Docker daemon\n"), "Cannot connect to the Docker daemon"),
        ((125, "", ""), "docker ps ended with exit code 125"),
        (subprocess.TimeoutExpired("docker", 20), "docker ps gives no answer within 20 s"),
        (FileNotFoundError(), "docker is not on PATH"),
    ],
)
def test_a_docker_that_fails_says_why(answers: Answers, answer: Answer, said: str) -> None:
    answers.put("docker ps", answer)
    with pytest.raises(DockerFailed) as failed:
        nodes.list_nodes()
    assert str(failed.value) == said


def test_an_inspection_that_fails_for_good_is_not_repeated_for_ever(answers: Answers) -> None:
    answers.have(container("a"))
    answers.put("docker inspect", (1, "", "Error response from daemon: out of memory"))
    with pytest.raises(DockerFailed, match="out of memory"):
        nodes.list_nodes()


def test_a_stopped_node_is_started_and_waited_for(answers: Answers) -> None:
    answers.have(container("a", owner=OURS, running=False), container("b", owner=OURS))
    answers.put("docker start", (0, "", ""))
    answers.put("docker exec a-control-plane", (1, "", ""), (1, "", ""), (0, "", ""))
    answers.put("docker exec b-control-plane", (UNFINISHED, "", ""))
    nodes.start(nodes.list_nodes())
    assert [line for line in answers.asked if line.startswith("docker start")] == ["docker start a-control-plane"], "b runs"
    assert len([line for line in answers.asked if line.startswith("docker exec a-")]) == 3, "until its API server answers"
    assert len([line for line in answers.asked if line.startswith("docker exec b-")]) == 1, "one that was never finished is not waited for"


def test_an_api_server_that_does_not_come_back_ends_with_the_next_commands(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "START_SECONDS", 0.0)
    answers.have(container("a", owner=OURS))
    answers.put("docker exec", (1, "", ""))
    with pytest.raises(DockerFailed) as failed:
        nodes.start(nodes.list_nodes())
    assert "its API server does not answer within 0 s. See why: docker logs a-control-plane" in str(failed.value)
    assert "To make it anew: kind delete cluster --name a" in str(failed.value), "the way out when it is broken for good"


def test_only_a_stacks_own_clusters_are_listed_and_deleted(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.have(container("ours", owner=OURS), container("second", owner=owner_of("second", STATE)), container("foreign"))
    assert door.main(["list", "--stack", "dev", "--state-dir", str(STATE)]) == 0
    assert capsys.readouterr().out == "ours: running, 127.0.0.1:8080\n"
    answers.put("/bin/sh -c", (0, "", ""))
    assert door.main(["delete", "--stack", "dev", "--state-dir", str(STATE)]) == 0
    assert len([line for line in answers.asked if line.startswith("/bin/sh")]) == 1
    answers.put("/bin/sh -c", (1, "", ""))
    assert door.main(["delete", "--stack", "dev", "--state-dir", str(STATE)]) == 1, "what is left must not be forgotten"


def test_a_teardown_that_cannot_ask_docker_fails(answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    answers.put("docker ps", (1, "", "Cannot connect to the Docker daemon"))
    assert door.main(["delete", "--stack", "dev", "--state-dir", str(STATE)]) == 1
    assert capsys.readouterr().err == "error: Cannot connect to the Docker daemon\n"


def test_a_node_is_described_in_a_line() -> None:
    node = Node(name="n", cluster="c", running=False, owner="", generation="", host_ports=frozenset({9, 8}))
    assert door.described(node) == "c: stopped, 127.0.0.1:8, 127.0.0.1:9"
