"""Processes are known by pid and start time, sockets by who holds them."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from embedded import process
from embedded.halt import ANY
from embedded.layout import write_json
from embedded.process import ProcessId
from embedded.supervisor import STEADY, bound_log, child_environment, restarts_after

pytestmark = pytest.mark.unit


def test_a_process_is_itself_only_with_its_start_time() -> None:
    me = process.identify(os.getpid())
    assert me is not None
    assert process.is_alive(me)
    assert not process.is_alive(ProcessId(me.pid, me.start_time + 1)), "the same pid, given again, is another process"
    assert process.identify(2**22 + 1) is None, "above the highest pid"


def test_a_signal_never_hits_another_process_with_the_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda _descriptor, number: sent.append(number))
    me = process.identify(os.getpid())
    assert me is not None
    process.send(ProcessId(me.pid, me.start_time - 1), signal.SIGKILL)
    assert sent == []
    process.send(me, signal.SIGTERM)
    assert sent == [signal.SIGTERM]


@pytest.mark.parametrize("content", [None, "", "{}", '{"pid": "x", "start_time": 1}', "[1]", "null"])
def test_an_unreadable_record_is_no_process(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "etcd.json"
    if content is not None:
        path.write_text(content)
    assert process.read_record(path) is None


def test_a_record_is_read_with_what_else_it_holds(tmp_path: Path) -> None:
    write_json(tmp_path / "etcd.json", {"pid": 7, "start_time": 9, "restarts": 3})
    assert process.read_record(tmp_path / "etcd.json") == ProcessId(7, 9)


def test_a_command_line_refers_to_a_directory_but_not_to_its_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["kube-node", "etcd", "--data-dir=/state/local/etcd"]
    monkeypatch.setattr(process, "command_line", lambda _pid: words)
    assert process.refers_to(1, Path("/state/local"))
    assert not process.refers_to(1, Path("/state/loc")), "a prefix of the name is another cluster"
    words[:] = ["python", "-m", "embedded", "supervise", "--state-dir", "/state/local"]
    assert process.refers_to(1, Path("/state/local"))


def test_a_listening_socket_is_found_with_its_owner() -> None:
    with socket.create_server(("127.126.255.254", 0)) as server:
        port = server.getsockname()[1]
        found = [each for each in process.listeners() if each.port == port and each.address == "127.126.255.254"]
        assert [each.pid for each in found] == [os.getpid()]
        assert f"127.126.255.254:{port} (pid {os.getpid()}:" in str(found[0]), "the text a user acts on"
    assert not [each for each in process.listeners() if each.port == port and each.address == "127.126.255.254"]


def test_a_socket_on_every_ipv6_address_counts_for_ipv4_as_well() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        assert [each.address for each in process.listeners() if each.port == port] == [ANY]


def test_a_part_that_ran_for_long_between_its_ends_is_no_part_that_will_not_start() -> None:
    restarts = 0
    for _ in range(5):
        restarts = restarts_after(restarts, lived=STEADY + 1)
    assert restarts == 1, "as after some drills that each took it away: the next start must not be given up"
    assert restarts_after(restarts_after(restarts, lived=0.2), lived=0.2) == 3, "in a row"


def test_a_log_is_bounded_while_somebody_writes_to_it(tmp_path: Path) -> None:
    path = tmp_path / "etcd.log"
    with path.open("a") as writer:
        writer.write("x" * 101)
        writer.flush()
        bound_log(path, limit=101)
        assert path.stat().st_size == 101, "the limit itself is allowed"
        bound_log(path, limit=100)
        writer.write("new")
    assert path.read_text() == "new", "no hole where the old text was"
    assert (tmp_path / "etcd.log.1").read_text() == "x" * 101, "the last words before are still there"


def test_a_part_gets_neither_proxies_nor_somebodys_kubeconfig() -> None:
    own = {"PATH": "/bin", "HOME": "/h", "HTTPS_PROXY": "http://p", "KUBECONFIG": "/k", "AWS_SECRET_ACCESS_KEY": "s", "PYTHONPATH": "/src"}
    assert child_environment(own) == {"PATH": "/bin", "HOME": "/h", "PYTHONPATH": "/src"}
