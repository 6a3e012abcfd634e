"""`make console`: a port-forward that is opened again, on the same port, until the user has had enough. kubectl is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import toolchain
from cli import console, kubeconfigs
from cli.forwarding import forwarded, port_forward
from cli.stack import Stack
from cli.workspace import CommandFailed, Workspace
from service_failover import names

pytestmark = pytest.mark.process

# Listens as `kubectl port-forward` does, and answers each connection with $ANSWER; ends after $LIFE of them.
FORWARDER = """\
    import os, socket, sys
    words = sys.argv[1:]
    if any(word.startswith("--request-timeout") for word in words):
        sys.exit("a time limit would end the connection")
    if os.environ.get("REFUSED"):
        sys.exit('error: pods "gloo-fed-1" is forbidden: User "me" cannot create resource "pods/portforward"')
    local, _, port = words[-1].partition(":")
    server = socket.create_server(("127.0.0.1", int(local or 0)))
    print(f"Forwarding from 127.0.0.1:{server.getsockname()[1]} -> {port}", flush=True)
    for _ in range(int(os.environ.get("LIFE", "1000"))):
        connection, _ = server.accept()
        print("Handling connection for", port, "." * 10_000, flush=True)
        connection.recv(65536)
        body = os.environ["ANSWER"].encode()
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
        connection.close()
    sys.exit("error: lost connection to pod")
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stand-in for kubectl that forwards to nowhere, and answers like the console itself."""
    program = tmp_path / "kubectl"
    program.write_text(f"#!{sys.executable}\n{textwrap.dedent(FORWARDER)}")
    program.chmod(0o755)
    monkeypatch.setenv("ANSWER", json.dumps({"watchingSince": "2026-03-01T12:00:00.000Z"}))
    return [str(program), "--request-timeout=10s"]


@pytest.fixture
def stack(tmp_path: Path, kubectl: list[str], monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack in which gloo-fed runs, as far as kubectl says."""
    monkeypatch.setattr(kubeconfigs, "find_deployment", lambda stack, name, *, namespace: kubectl)
    monkeypatch.setattr(console, "RETRY_SECONDS", 0.05)
    return Stack(name="mine", workspace=Workspace(root=tmp_path / "state"))


@pytest.fixture
def interrupted() -> Iterator[None]:
    """Ctrl-C, after a while."""
    timer = threading.Timer(1.5, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    yield
    timer.cancel()
    timer.join()


def test_the_names_are_those_of_the_components() -> None:
    assert (console.CONSOLE_PORT, console.FED_NAMESPACE) == (names.CONSOLE_PORT, names.FED_NAMESPACE)


def test_a_forward_goes_on_however_much_kubectl_has_to_say(kubectl: list[str]) -> None:
    with port_forward(kubectl, "deploy/gloo-fed", 9980) as port:
        for _ in range(20):  # 200 kB of it, and a pipe holds 64
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert connection.recv(1024).startswith(b"HTTP/1.1 200"), "each connection is answered"


def test_a_forward_ends_with_its_context(kubectl: list[str]) -> None:
    with forwarded(kubectl, "deploy/gloo-fed", 9980) as forward:
        assert forward.process.poll() is None, "it runs"
    assert forward.process.poll() is not None, "no kubectl is left"


def test_the_url_is_printed_and_an_interrupt_ends_it_well(stack: Stack, interrupted: None, capsys: pytest.CaptureFixture[str]) -> None:
    console.serve(stack)
    said = capsys.readouterr().out
    assert "The console: http://127.0.0.1:" in said, "what to open"
    assert said.endswith("The console is closed.\n"), "and it is no error to close it"


def test_a_forward_that_breaks_is_opened_again_on_the_same_port(
    stack: Stack, interrupted: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIFE", "1")
    console.serve(stack)
    said = capsys.readouterr().out
    assert said.count("http://127.0.0.1:") == 1, "the page in the browser goes on, so there is no new URL"
    assert "Connected again." in said, "after the pod has gone and another has come"


def test_who_may_not_forward_a_port_is_told_so(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUSED", "yes")
    with pytest.raises(CommandFailed, match=r'cannot port-forward to deploy/gloo-fed: .*"pods/portforward"'):
        console.serve(stack)


def test_a_gloo_fed_without_a_console_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWER", "{}")
    with pytest.raises(CommandFailed, match=r"stack 'mine' shows no console \(something else answers there\).*make up STACK=mine.*Enterprise"):
        console.serve(stack)


def test_a_port_that_is_taken_is_an_error(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CommandFailed, match="cannot port-forward"):
        console.serve(stack, port=taken.getsockname()[1])


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    done = subprocess.run([sys.executable, "-m", "cli", "console", f"--port={port}"], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2, "before anything is asked"
    assert f"argument --port: '{port}' is not a port from 1 to 65535" in done.stderr


def test_a_stack_that_is_not_up_is_told_with_the_next_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "find", lambda name: Path("/nowhere") / name)
    started = time.monotonic()
    with pytest.raises(CommandFailed, match=r"stack 'none' is not up. Bring it up first: make up STACK=none"):
        console.serve(Stack(name="none", workspace=Workspace(root=tmp_path / "state")))
    assert time.monotonic() - started < 5, "nothing is waited for"
