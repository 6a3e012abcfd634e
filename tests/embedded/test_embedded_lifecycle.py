"""The life of one cluster: made, interrupted, stopped, moved, deleted; and that nothing of it is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from embedded_support import ENVIRONMENT, Driven, related, until

from embedded import process
from embedded.halt import listeners_in
from embedded.network import Network
from embedded.registry import Registry, default_directory

pytestmark = pytest.mark.cluster


def test_a_cluster_that_was_never_made_is_absent_and_deleting_it_is_fine(driven: Driven) -> None:
    assert driven.run("ensure") == "absent\n"
    assert driven.run("delete") == ""
    assert driven.run("stop") == ""
    assert driven.status() == {"stateDir": str(driven.root), "made": False, "ready": False}
    assert not driven.root.exists(), "asking made nothing"


def test_a_wrong_spec_makes_nothing(driven: Driven) -> None:
    assert "name = 'Single'" in driven.run("start", stdin=driven.spec(name="Single"), code=1)
    assert not driven.root.exists()


def test_a_missing_tool_is_named_with_the_next_command_and_nothing_is_made(driven: Driven, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(ENVIRONMENT, "SERVICE_FAILOVER_CACHE", str(tmp_path / "empty"))
    monkeypatch.delitem(ENVIRONMENT, "SERVICE_FAILOVER_KUBE_NODE", raising=False)
    assert "python3 -m toolchain install" in driven.run("start", stdin=driven.spec(), code=1)
    assert not driven.root.exists()


def test_a_directory_with_other_things_is_neither_filled_nor_emptied(driven: Driven) -> None:
    driven.root.mkdir(parents=True)
    (driven.root / "thesis.tex").write_text("all of it")
    for command in ("start", "delete"):
        assert "thesis.tex" in driven.run(command, stdin=driven.spec(), code=1)
    assert [path.name for path in driven.root.iterdir()] == ["thesis.tex"]
    (driven.root / "thesis.tex").unlink()


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    inside_a_file = Driven("single", tmp_path / "file" / "single")
    assert str(inside_a_file.root) in inside_a_file.run("start", stdin=inside_a_file.spec(), code=1)


def test_from_start_to_delete(driven: Driven) -> None:
    """One cluster through everything that needs one of its own, for starting it takes seconds."""
    driven.start()
    network = Network(driven.status()["octet"])
    driven.kubectl("create", "configmap", "kept", "--from-literal=a=b")

    assert "holds the cluster 'single', not 'other'" in driven.run("start", stdin=driven.spec(name="other"), code=1)

    driven.run("stop")
    assert related(driven.root) == [], "a stopped cluster runs nothing"
    assert listeners_in(network) == []

    with socket.create_server((network.host, 6443)):
        refusal = driven.run("start", stdin=driven.spec(), code=1)
        assert f"{network.host}:6443 (pid {os.getpid()}:" in refusal, "what stands in the way is named, with its pid"
        assert related(driven.root) == [], "and nothing was started beside it"

    driven.start(zone="us-east-1b")
    assert driven.status()["octet"] == network.octet, "the network is kept: objects hold addresses of it"
    assert driven.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "b"
    zone = json.loads(driven.kubectl("get", "node", "single-node", "-o", "json"))["metadata"]["labels"]["topology.kubernetes.io/zone"]
    assert zone == "us-east-1b", "start makes the cluster as its spec says"

    driven.run("delete")
    assert related(driven.root) == []
    assert not driven.root.exists()
    assert listeners_in(network) == []
    assert driven.root not in Registry(default_directory()).entries().values()


def test_an_interrupted_start_leaves_nothing_running_and_the_next_one_goes_on(driven: Driven) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        start = interrupted_at(driven, "waiting for", number=number)
        assert start.returncode == 130
        assert related(driven.root) == [], f"what nobody knows of must not run ({number.name})"
    driven.start()
    assert driven.status()["ready"]


def test_a_start_that_was_killed_can_be_deleted_or_continued(driven: Driven) -> None:
    interrupted_at(driven, "waiting for", number=signal.SIGKILL)
    assert related(driven.root), "the supervisor goes on, as it knows nothing of its starter"
    driven.start()
    interrupted_at(driven, None, number=signal.SIGKILL)
    driven.run("delete")
    assert related(driven.root) == []
    assert not driven.root.exists()


def test_a_half_made_directory_can_be_deleted(driven: Driven) -> None:
    driven.root.mkdir(parents=True)
    driven.state.make()
    driven.state.record("etcd").write_text('{"pid": 1, "start_time": 1}')
    driven.state.cluster.write_text('{"octet"')
    driven.run("delete")
    assert not driven.root.exists()


def test_a_record_of_another_process_is_not_acted_on(driven: Driven) -> None:
    driven.root.mkdir(parents=True)
    driven.state.make()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        try:
            found = process.identify(bystander.pid)
            assert found is not None
            driven.state.record("etcd").write_text(json.dumps({"pid": found.pid, "start_time": found.start_time}))
            driven.run("delete")
            assert bystander.poll() is None, "pid and start time match, but its command line is not of this directory"
        finally:
            bystander.kill()


def test_a_cluster_ends_when_its_directory_is_removed_by_hand(driven: Driven) -> None:
    driven.start()
    shutil.rmtree(driven.root, ignore_errors=True)
    until(lambda: not related(driven.root), seconds=15, what="the processes notice that nothing wants them")


def test_commands_on_one_directory_take_turns(driven: Driven) -> None:
    """A start and two deletes at once: each sees the directory before or after the others, never in between."""
    commands = [driven.begin("start"), driven.begin("delete"), driven.begin("start"), driven.begin("delete")]
    outcomes: list[tuple[int, str]] = []

    def finish(command: subprocess.Popen[str]) -> None:
        _, errors = command.communicate(driven.spec(), timeout=120)
        outcomes.append((command.returncode, errors))

    threads = [threading.Thread(target=finish, args=(command,)) for command in commands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [code for code, _ in outcomes] == [0] * 4, outcomes
    driven.run("delete")
    assert related(driven.root) == []


def test_another_system_is_told_where_to_go(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from embedded.__main__ import main

    monkeypatch.setattr(sys, "platform", "darwin")
    assert main(["start", "--state-dir", str(tmp_path)]) == 1
    assert "`dev` stack" in capsys.readouterr().err


def interrupted_at(driven: Driven, word: str | None, *, number: signal.Signals) -> subprocess.Popen[str]:
    """A start that got a signal once its progress said `word`, or at once after it was given its spec."""
    start = driven.begin("start")
    assert start.stdin is not None
    assert start.stderr is not None
    start.stdin.write(driven.spec())
    start.stdin.close()
    while word is not None and word not in start.stderr.readline():
        assert start.poll() is None, "it ended before it could be interrupted"
    start.send_signal(number)
    start.wait(30)
    start.stderr.close()
    if start.stdout:
        start.stdout.close()
    return start
