"""A kind cluster's commands against a recording `kind` and `docker`: failures, races, interrupts. It ends with a cluster or without one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from recording_tools import Tools, install

from service_failover.kind import commands
from service_failover.kind.document import document

pytestmark = pytest.mark.engine

NAME = "failover-dev-local"


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return install(tmp_path / "tools")


def started(tools: Tools, verb: str, *, owner: str = "dev-1", generation: str = "g1", name: str = NAME) -> subprocess.Popen[str]:
    """The script, as the command plugin starts it: in a process group of its own."""
    variables = {
        **commands.environment(kind_name=name, owner=owner),
        **commands.generation_environment(generation),
        "IMAGE": "kindest/node:test",
        "ALLOWED": "1s",
    }
    stdin = tools.root / f"stdin-{generation}"
    stdin.write_text(yaml.safe_dump(document(owner=owner, generation=generation, region="r", zone="z", host_port=8080)))
    with stdin.open() as file:
        return subprocess.Popen(
            ["/bin/sh", "-c", commands.script(verb)],
            env={**tools.environment, **variables},
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def run(tools: Tools, verb: str, *, owner: str = "dev-1", generation: str = "g1", name: str = NAME) -> subprocess.CompletedProcess[str]:
    process = started(tools, verb, owner=owner, generation=generation, name=name)
    out, err = process.communicate(timeout=30)
    assert tools.left_behind == [], "a kubeconfig in a temporary file would stay there with its key"
    return subprocess.CompletedProcess(verb, process.returncode, out, err)


def test_a_cluster_is_made_with_a_document_from_stdin_and_a_kubeconfig_of_its_own(tools: Tools) -> None:
    done = run(tools, "create")
    assert done.returncode == 0, done.stderr
    (create,) = tools.called("kind create")
    assert create.startswith(f"kind create cluster --name {NAME} --image kindest/node:test --config - --kubeconfig {tools.root}/tmp/"), (
        "never the user's own kubeconfig"
    )
    assert yaml.safe_load(done.stdout)["current-context"] == f"kind-{NAME}", "the kubeconfig is the output"
    assert "the-key" not in done.stderr, "stderr is shown"
    assert yaml.safe_load((tools.root / "document.yaml").read_text())["nodes"][0]["extraPortMappings"][0]["hostPort"] == 8080
    assert tools.containers[f"{NAME}-control-plane"]["made"], "a whole cluster is told from a half-made one"


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
def test_a_dead_docker_is_never_hidden(tools: Tools, verb: str) -> None:
    run(tools, "create")
    down = tools.when("daemon-down")
    done = run(tools, verb)
    assert done.returncode != 0, "a delete that says it is done would leave the cluster for ever"
    assert "Cannot connect to the Docker daemon" in done.stderr, "docker's own words"
    down.unlink()
    assert list(tools.containers) == [f"{NAME}-control-plane"], "it is as it was"


@pytest.mark.parametrize("missing", ["docker", "kind"])
def test_a_missing_tool_is_named(tools: Tools, missing: str) -> None:
    (tools.root / "bin" / missing).unlink()
    done = run(tools, "create")
    assert done.returncode == 1
    assert f"{missing} is not on PATH. How to get it: docs/kind.md" in done.stderr


@pytest.mark.parametrize("failure", ["create-fails", "create-fails-late"])
def test_a_create_that_fails_leaves_nothing_and_the_next_one_succeeds(tools: Tools, failure: str) -> None:
    cause = tools.when(failure)
    done = run(tools, "create")
    assert done.returncode != 0
    assert "ERROR: failed to create cluster" in done.stderr, "kind's own reason"
    assert done.stdout == "", "no kubeconfig of a cluster that is not"
    assert tools.containers == {}, "Pulumi does not save what failed, and would never delete it"
    cause.unlink()
    assert run(tools, "create").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_create_leaves_nothing(tools: Tools, number: signal.Signals) -> None:
    hangs = tools.when("create-hangs")
    process = started(tools, "create")
    while not (tools.root / "hangs").exists():
        assert process.poll() is None
    assert list(tools.containers) == [f"{NAME}-control-plane"], "half of it is there"
    os.killpg(process.pid, number)
    process.communicate(timeout=30)
    hangs.unlink()
    assert process.returncode != 0
    assert tools.containers == {}
    assert tools.left_behind == []


def test_a_container_that_docker_is_still_making_is_waited_for_and_removed(tools: Tools) -> None:
    tools.when("create-fails-late")
    early = tools.when("rm-too-early")
    assert run(tools, "create").returncode != 0
    assert not early.exists(), "the first attempt came too early"
    assert tools.containers == {}, "as seen with a real docker whose client was interrupted"


def test_what_a_killed_create_left_is_made_anew(tools: Tools) -> None:
    hangs = tools.when("create-hangs")
    process = started(tools, "create")
    while not (tools.root / "hangs").exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    hangs.unlink()
    for directory in tools.left_behind:
        shutil.rmtree(directory)  # nobody can tidy up after kill -9
    assert list(tools.containers) == [f"{NAME}-control-plane"], "half of it is left"
    done = run(tools, "create")
    assert done.returncode == 0, done.stderr
    assert "from a run that did not finish; it is made anew" in done.stderr
    assert tools.containers[f"{NAME}-control-plane"]["made"]


def test_a_cluster_of_somebody_else_is_neither_adopted_nor_deleted(tools: Tools) -> None:
    tools.make_foreign(NAME)
    done = run(tools, "create")
    assert done.returncode == 1
    assert "this stack did not make it: it is left alone" in done.stderr
    assert f"kind delete cluster --name {NAME}" in done.stderr, "one way out"
    assert "pulumi config set --path kind.clusterPrefix <prefix>" in done.stderr, "the other"
    assert run(tools, "update").returncode == 1, "nor is its kubeconfig handed out"
    deleted = run(tools, "delete")
    assert deleted.returncode == 0, "ours is gone, which is what was asked for"
    assert "somebody else made it, and it is left alone" in deleted.stderr
    assert tools.called("kind create") + tools.called("kind delete") == []
    assert list(tools.containers) == [f"{NAME}-control-plane"]


def test_a_stack_of_the_same_name_in_another_checkout_is_somebody_else(tools: Tools) -> None:
    assert run(tools, "create", owner="dev-1").returncode == 0
    assert run(tools, "create", owner="dev-2").returncode == 1
    run(tools, "delete", owner="dev-2")
    assert list(tools.containers) == [f"{NAME}-control-plane"]


def test_of_two_creates_at_once_one_wins_and_the_other_does_not_touch_it(tools: Tools) -> None:
    hangs = tools.when("create-hangs")
    first = started(tools, "create", owner="dev-1", generation="g1")
    while not (tools.root / "hangs").exists():
        assert first.poll() is None
    # It has looked before the first was there: as when both look at the same moment.
    script = commands.script("create").replace("there=$(nodes)\n", "there=\n").replace('ours=$(nodes --filter "volume=$OWNER")\n', "ours=\n")
    second = subprocess.run(
        ["/bin/sh", "-c", script],
        env={
            **tools.environment,
            **commands.environment(kind_name=NAME, owner="dev-2"),
            **commands.generation_environment("g2"),
            "IMAGE": "kindest/node:test",
        },
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert second.returncode != 0
    assert "already exist" in second.stderr
    assert list(tools.containers) == [f"{NAME}-control-plane"], "its clean-up goes by its own generation"
    hangs.unlink()
    out, err = first.communicate(timeout=30)
    assert first.returncode == 0, err
    assert "current-context" in out


def test_clusters_are_made_side_by_side(tools: Tools) -> None:
    processes = [started(tools, "create", name=f"failover-dev-{name}", generation=name) for name in ("a", "b", "c")]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert len(tools.containers) == 3


def test_readiness_that_does_not_come_is_an_error_with_the_next_commands(tools: Tools) -> None:
    run(tools, "create")
    unready = tools.when("not-ready")
    done = run(tools, "ready")
    assert done.returncode == 1, "kind's own wait would only warn"
    assert "timed out waiting for the condition" in done.stderr, "what was waited for"
    assert f"kind export logs --name {NAME}" in done.stderr
    assert f"kind delete cluster --name {NAME}" in done.stderr
    assert list(tools.containers) == [f"{NAME}-control-plane"], "it stays to be looked at"
    unready.unlink()
    assert run(tools, "ready").returncode == 0, "the same again goes on"
    (wait, *_) = tools.called(f"docker exec {NAME}-control-plane kubectl")
    assert "--timeout=1s" in wait


def test_a_delete_takes_its_own_cluster_and_a_second_one_finds_nothing(tools: Tools) -> None:
    run(tools, "create", name="failover-dev-remote")
    run(tools, "create")
    assert run(tools, "delete").returncode == 0
    assert list(tools.containers) == ["failover-dev-remote-control-plane"]
    again = run(tools, "delete")
    assert again.returncode == 0
    assert "gone already" in again.stderr, "deleted by hand is deleted"


def test_a_delete_needs_no_file_of_the_checkout(tools: Tools) -> None:
    for verb in ("create", "update", "ready", "delete"):
        assert "service_failover" not in commands.script(verb).replace("service-failover", ""), "it runs from the state, wherever that is"
        assert str(Path.cwd()) not in commands.script(verb)


def test_an_update_hands_the_kubeconfig_out_again(tools: Tools) -> None:
    run(tools, "create")
    done = run(tools, "update")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["current-context"] == f"kind-{NAME}"
    assert len(tools.called("kind create")) == 1
