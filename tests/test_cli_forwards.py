"""Port-forwards that stay: one whose pod goes leads to its successor, on the same port. kubectl is a stand-in."""

from __future__ import annotations

import os
import signal
import socket
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from cli import forwards
from cli.forwards import Forwards
from cli.workspace import CommandFailed

pytestmark = pytest.mark.process

# Listens as `kubectl port-forward` does, answers with the name of its pod, and ends when that pod's file goes.
FORWARDER = """\
    import os, socket, sys, threading, time
    pod, (local, _, port) = sys.argv[-2].removeprefix("pod/"), sys.argv[-1].partition(":")
    file = os.path.join(os.environ["PODS"], pod)
    if not os.path.exists(file):
        sys.exit(f'Error from server (NotFound): pods "{pod}" not found')
    server = socket.create_server(("127.0.0.1", int(local or 0)))
    print(f"Forwarding from 127.0.0.1:{server.getsockname()[1]} -> {port}", flush=True)
    def serve():
        while True:
            connection, _ = server.accept()
            connection.sendall(pod.encode())
            connection.close()
    threading.Thread(target=serve, daemon=True).start()
    while os.path.exists(file):
        time.sleep(0.02)
    sys.exit("error: lost connection to pod")
"""


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file for each pod."""
    folder = tmp_path / "pods"
    folder.mkdir()
    monkeypatch.setenv("PODS", str(folder))
    monkeypatch.setattr(forwards, "RETRY_SECONDS", 0.02)
    return folder


@pytest.fixture
def kubectl(tmp_path: Path) -> list[str]:
    program = tmp_path / "kubectl"
    program.write_text(f"#!{sys.executable}\n{textwrap.dedent(FORWARDER)}")
    program.chmod(0o755)
    return [str(program)]


def answered(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        return connection.recv(100).decode()


def opened(them: Forwards, kubectl: list[str], pods: Path, pod: str) -> int:
    return them.open(kubectl, namespace="it", pod=pod, port=9978, candidates=lambda: sorted(file.name for file in pods.iterdir()))


def gone(them: Forwards, pods: Path, pod: str) -> None:
    """The pod goes, and its forward notices."""
    (pods / pod).unlink()
    (forward,) = [each for each in them._all if each.pod == pod]
    assert forward.process is not None, "it was open"
    forward.process.wait(timeout=10)


def test_a_pod_that_goes_is_replaced_by_one_that_no_other_forward_leads_to(
    kubectl: list[str], pods: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (pods / name).touch()
    with Forwards() as them:
        first, second = (opened(them, kubectl, pods, name) for name in ("a", "b"))
        gone(them, pods, "a")
        them.mend()
        assert answered(second) == "b", "the other one goes on"
        assert "come in the place" not in capsys.readouterr().err, "b is taken, and nobody else is there"
        (pods / "c").touch()
        them.mend()
        assert (answered(first), answered(second)) == ("c", "b"), "on the same ports"
        assert capsys.readouterr().err == "pod c has come in the place of a\n", "that is told, and not on stdout"
        processes = [each.process for each in them._all]
    assert all(process and process.poll() is not None for process in processes), "no kubectl is left"


def test_they_are_kept_until_an_interrupt(kubectl: list[str], pods: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pods / "a").touch()
    with Forwards() as them:
        port = opened(them, kubectl, pods, "a")
        gone(them, pods, "a")
        (pods / "b").touch()

        def interrupt() -> None:
            while not them._all[0].runs:
                pass
            answers.append(answered(port))
            os.kill(os.getpid(), signal.SIGINT)

        answers: list[str] = []
        waiting = threading.Thread(target=interrupt)
        waiting.start()
        them.keep()
        waiting.join()
    assert answers == ["b"], "mended meanwhile"
    assert capsys.readouterr().err.endswith("The port-forwards are closed.\n"), "and the end is no error"


def test_a_pod_that_is_not_there_is_an_error_in_kubectls_words(kubectl: list[str], pods: Path) -> None:
    with Forwards() as them, pytest.raises(CommandFailed, match=r'cannot port-forward to pod/a: Error from server \(NotFound\): pods "a" not found'):
        opened(them, kubectl, pods, "a")
