"""How the control plane's processes end: what they finish, what they let go of, and with which exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time

import pytest
from support_api import ApiDouble, api_double, eventually, running

from controlplane import metrics, process
from controlplane.__main__ import main, parser
from controlplane.fed import farewell
from controlplane.kube import workqueue
from controlplane.kube.election import LEASE
from controlplane.kube.objects import DEPLOYMENT, SERVICE
from controlplane.kube.workqueue import WorkQueue

pytestmark = pytest.mark.loopback


def stop_me() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_process_that_is_told_to_stop_ends_well():
    ended: list[str] = []

    async def work() -> None:
        try:
            stop_me()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append("cleaned up")

    assert process.run(work()) == 0, "it did what it was told"
    assert ended == ["cleaned up"], "and what its own end asks for"


def test_a_process_that_hangs_at_its_end_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)

    async def work() -> None:
        try:
            stop_me()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(3)

    started = time.monotonic()
    assert process.run(work()) == 0
    assert time.monotonic() - started < 2, "a pod is killed after ten seconds, with whatever it holds"


def test_a_defect_is_raised():
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        process.run(work())


async def test_what_has_begun_is_finished_and_what_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workqueue, "FINISH_SECONDS", 0.4)
    done: list[str] = []
    begun = asyncio.Event()

    async def handle(key: str) -> None:
        begun.set()
        await asyncio.sleep(0.1 if key == "write" else 60)
        done.append(key)

    queue: WorkQueue[str] = WorkQueue(handle)
    for key in ("write", "hangs"):
        queue.add(key)
    started = time.monotonic()
    async with running(queue.run()):
        await begun.wait()
    assert done == ["write"], "a write that was sent has its answer"
    assert time.monotonic() - started < 3, "and an API server that hangs does not hold the process"


async def test_a_queue_runs_again_with_what_was_added_meanwhile():
    done: list[str] = []

    async def handle(key: str) -> None:
        done.append(key)

    queue: WorkQueue[str] = WorkQueue(handle)
    async with running(queue.run()):
        queue.add("first term")
        await eventually(lambda: done, "it runs")
    queue.add("in between")
    assert done == ["first term"], "nothing happens while this replica does not lead"
    async with running(queue.run()):
        await eventually(lambda: done == ["first term", "in between"], "the next term does what came meanwhile")


async def test_an_election_is_on_the_metrics():
    async with api_double() as api:
        leader = process.election(api.client(), namespace="n", name="l", identity="me")
        async with running(leader.run()):
            await eventually(lambda: leader.is_leader, "it leads")
            assert metrics.LEADER._value.get() == 1, "and the metric says so"
        await leader.release()
        assert metrics.LEADER._value.get() == 0, "and when it does no longer"
        assert api.get(LEASE, "n", "l")["spec"]["holderIdentity"] == ""


def test_a_replica_is_called_as_its_pod_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("POD_NAME", "gloo-5b6f-x")
    assert process.identity(given=None) == "gloo-5b6f-x", "a container that starts anew in its pod leads on at once"
    assert process.identity(given="a") == "a"
    monkeypatch.delenv("POD_NAME")
    assert process.identity(given=None) != process.identity(given=None), "two processes without a pod never take each other for themselves"


def test_help_says_what_the_exit_codes_mean(capsys: pytest.CaptureFixture[str]):
    for command in ("gloo", "gloo-fed"):
        with pytest.raises(SystemExit) as ended:
            parser().parse_args([command, "--help"])
        assert ended.value.code == 0
        text = " ".join(capsys.readouterr().out.split())
        assert "Exit codes: 0 told to stop" in text
        assert "--no-leader-election" in text
        assert "--identity NAME" in text


def test_leader_election_is_on_unless_it_is_switched_off():
    assert parser().parse_args(["gloo", "--xds-address", "a:1"]).leader_election is True
    assert parser().parse_args(["gloo-fed", "--no-leader-election"]).leader_election is False


def test_without_an_api_server_to_talk_to_the_exit_code_is_2(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert main(["gloo-fed"]) == 2
    assert "set KUBECONFIG" in capsys.readouterr().err, "and the last line says what to do"


def test_an_address_that_is_in_use_is_named_and_the_exit_code_is_2(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path):
    (tmp_path / "kubeconfig").write_text(ApiDouble().kubeconfig())
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert main(["gloo-fed", "--health-address", address]) == 2
    assert f"cannot listen on {address}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("deployment", "final", "why"),
    [
        ({"spec": {"replicas": 1}}, False, "a restart"),
        ({"spec": {"replicas": 2}}, False, "a rollout"),
        ({"spec": {"replicas": 0}}, True, "it was switched off"),
        ({"spec": {"replicas": 1}, "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, True, "it is being removed"),
        (None, True, "it was removed"),
    ],
)
async def test_a_farewell_is_told_from_a_restart(deployment: dict[str, object] | None, final: bool, why: str):
    async with api_double() as api:
        await api.put(farewell.NAMESPACE, "", "gloo-fed")
        if deployment is not None:
            await api.put(DEPLOYMENT, "gloo-fed", "gloo-fed", **deployment)
        assert await farewell.is_final(api.client(), namespace="gloo-fed") is final, why


async def test_an_api_server_that_does_not_answer_makes_no_farewell():
    async with api_double() as api:
        client = api.client()
        await api.put(SERVICE, "default", "s")
        api.failing = (500, "broken")
        assert await farewell.is_final(client, namespace="gloo-fed") is False, "what is not known is no reason to let go"
