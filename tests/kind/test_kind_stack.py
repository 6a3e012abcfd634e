"""The `dev` stack for real: kind clusters, the control plane as an image, and clients on the port of 127.0.0.1 that leads to the gateway proxy."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from kind_support import PREFIX, KindStack, docker, live

from drill.load import Load, Request
from drill.probe import Probe
from service_failover.names import CONTROL_PLANE_IMAGE
from tests.e2e.conftest import until

pytestmark = pytest.mark.kind

RATE = 50.0
LONGEST = 120.0


def switch_and_back(stack: KindStack) -> None:
    """Blue fails, green answers, blue is back, under a load that no client may notice anything in."""
    stack.settled()
    with Probe(Load(requests=(Request(url=stack.url),), rate=RATE, seconds=LONGEST)) as traffic:
        time.sleep(2)
        failed = stack.cli("fail")
        until("green serves", lambda: traffic.results and traffic.results[-1].server == "green-pod")
        time.sleep(2)
        healed = stack.cli("heal")
        until("blue serves again", lambda: traffic.results[-1].server == "blue-pod")
        time.sleep(2)
    summary = traffic.summary()
    assert failed.returncode == 0, f"`make fail` reaches blue in its pod: {failed.stderr}"
    assert healed.returncode == 0, f"`make heal` does too: {healed.stderr}"
    assert summary.failed == 0, f"no answer but 200: {summary} {[run for run in summary.runs if run.first.failed][:5]}"
    assert summary.total >= 200, "the load was as heavy as the test says"
    assert (summary.servers[0], summary.servers[-1]) == ("blue-pod", "blue-pod"), "from blue to blue"
    assert set(summary.servers) == {"blue-pod", "green-pod"}, "by way of green"


def test_blue_fails_over_to_green_and_back_with_no_answer_but_200(stack: KindStack) -> None:
    switch_and_back(stack)


def test_the_control_plane_runs_from_the_image_that_the_stack_built(stack: KindStack) -> None:
    for cluster, deployment, namespace in (("local", "gloo", "gloo-system"), ("local", "gloo-fed", "gloo-fed"), ("remote", "gloo", "gloo-system")):
        container = stack.get(cluster, "deployment", "-n", namespace, deployment)["spec"]["template"]["spec"]["containers"][0]
        assert container["image"].startswith(f"{CONTROL_PLANE_IMAGE}-"), "its name ends with the fingerprint of its sources"
        assert docker("image", "ls", "--quiet", container["image"]).strip(), "and it is in this machine's Docker"
    in_pod = ("exec", "-n", "gloo-system", "deploy/gloo", "--", "/venv/bin/python", "-c")
    assert stack.kubectl("local", *in_pod, "import os; print(os.getuid())").strip() == "65532", "it is not root"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        stack.kubectl("local", *in_pod, "open('/app/x', 'w')")
    assert "Read-only file system" in refused.value.stderr or "Permission denied" in refused.value.stderr, "and writes nothing"
    mounts = stack.kubectl("local", *in_pod, "print(next(l for l in open('/proc/mounts') if l.split()[1] == '/'))")
    assert "ro" in mounts.split()[3].split(","), "its root file system is read-only"


def test_a_second_up_changes_nothing_and_builds_nothing(stack: KindStack) -> None:
    again = stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "-s", stack.name)
    assert again.returncode == 0, f"nothing to do: {again.stdout[-3000:]}{again.stderr[-2000:]}"


def test_a_node_that_was_stopped_comes_back_as_a_standby(stack: KindStack) -> None:
    stack.settled()
    with Probe(Load(requests=(Request(url=stack.url),), rate=RATE, seconds=LONGEST)) as traffic:
        docker("stop", "--time", "10", stack.node("remote"))
        time.sleep(5)
        docker("start", stack.node("remote"))
        time.sleep(2)
    assert traffic.summary().failed == 0, f"blue's clients do not notice that the standby is away: {traffic.summary()}"
    until("its API server answers", lambda: answers(stack, "remote"), seconds=180)
    switch_and_back(stack)


def answers(stack: KindStack, cluster: str) -> bool:
    try:
        return bool(stack.kubectl(cluster, "get", "nodes", "-o", "name"))
    except subprocess.CalledProcessError:
        return False


def test_a_cluster_that_was_deleted_by_hand_is_made_again_by_up(stack: KindStack) -> None:
    subprocess.run(["kind", "delete", "cluster", "--name", f"{PREFIX}-{stack.name}-remote"], capture_output=True, check=True, timeout=120)
    stack.succeed("up")
    switch_and_back(stack)


def test_a_second_stack_lives_beside_the_first(stack: KindStack, tmp_path: Path) -> None:
    with live("two", state=tmp_path / "root") as second:
        switch_and_back(second)
        assert "blue-pod" in stack.answer(), "the first one serves all the time"
    stack.settled()
    again = stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "-s", stack.name)
    assert again.returncode == 0, f"and lacks nothing when the second is gone: {again.stdout[-3000:]}{again.stderr[-2000:]}"
