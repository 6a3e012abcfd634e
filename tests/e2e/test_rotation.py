"""Certificates are replaced by `pulumi up` while clients are served, by green over mutual TLS or by blue: the authority and all keys, or leaves.

The load and the judgement are those of test_zero_loss.py. Besides, somebody connects to the failover gateway all the time, each time anew and with
what the client's Secret holds at that moment: the gateway proxy keeps its connections, and would hide a moment at which no new one can be made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509

from tests.e2e.clients import GREEN, Record, clients, nothing_lost
from tests.e2e.conftest import LiveStack, until
from tests.e2e.faults import blue_switch
from tests.e2e.gateway_client import Refused, ask_green
from tests.e2e.rotation import Side, connect_anew, sides

pytestmark = [pytest.mark.e2e, pytest.mark.loss, pytest.mark.parametrize("backend", ["everything"], indirect=True)]

Content = dict[str, str]
LONGEST = 600.0
"""Seconds for which there are clients, at most: longer than an update takes on a machine that is busy with other things."""


@dataclass
class NewConnections:
    """What became of new connections, each with the client's Secret as it was then."""

    stack: LiveStack
    folder: Path
    serials: set[int] = field(default_factory=set)
    """Serial numbers of the certificates that were accepted."""
    made: int = 0
    problems: list[str] = field(default_factory=list)

    def connect(self, content: Content) -> None:
        """Connect as a proxy with this Secret does, which verifies the gateway, too. Raises Refused."""
        file = self.folder / "client.pem"
        file.touch(mode=0o600)
        file.write_text(content["tls.crt"] + content["tls.key"])
        answer = ask_green(self.stack, certificate=file, trusted=content["ca.crt"])
        if "200" not in answer:
            raise Refused(answer)

    def keep_connecting(self, client: Side, end: threading.Event) -> None:
        """Until `end`. Meanwhile the standby has to be proven, as the FailoverScheme says."""
        while not end.is_set():
            content = client.read()
            try:
                self.connect(content)
            except Refused as refused:
                self.problems.append(str(refused))
            self.made += 1
            self.serials.add(leaf(content).serial_number)
            if not standby_is_proven(self.stack):
                self.problems.append("the FailoverScheme says that the standby is not proven")


@contextmanager
def new_connections(stack: LiveStack, folder: Path) -> Iterator[NewConnections]:
    """Connections all the time while the block lasts, judged at its end: each was accepted, and so were two certificates at the least."""
    connections, end = NewConnections(stack=stack, folder=folder), threading.Event()
    thread = threading.Thread(target=connections.keep_connecting, args=(sides(stack)[1], end))
    thread.start()
    try:
        yield connections
    finally:
        end.set()
        thread.join()
    assert connections.problems == [], "a new connection can be made at every moment"
    assert connections.made > len(connections.serials) > 1, "before and after"


def leaf(content: Content) -> x509.Certificate:
    return x509.load_pem_x509_certificate(content["tls.crt"].encode())


def issuer(content: Content) -> x509.Certificate:
    """Who has issued a Secret's certificate, among those that it trusts."""
    (found,) = [each for each in trusted(content) if each.subject == leaf(content).issuer]
    leaf(content).verify_directly_issued_by(found)
    return found


def trusted(content: Content) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(content["ca.crt"].encode())


def standby_is_proven(stack: LiveStack) -> bool:
    return bool(stack.get("local", "failoverscheme", "-n", "gloo-fed", "failover-scheme").get("status", {}).get("standbyProven"))


def update(stack: LiveStack) -> None:
    up = stack.cli("up")
    assert up.returncode == 0, f"up failed:\n{up.stdout[-6000:]}\n{up.stderr[-3000:]}"


def rotate(stack: LiveStack) -> None:
    """What a user does: one more, and `up`."""
    epoch = int(stack.pulumi("stack", "output", "rotationEpoch", "-s", stack.name).stdout)
    stack.configure("certificates.rotationEpoch", epoch + 1)
    update(stack)


def read(stack: LiveStack) -> dict[str, Content]:
    """The Secret of each side, by its cluster."""
    return {side.cluster: side.read() for side in sides(stack)}


def rotated(before: dict[str, Content], after: dict[str, Content]) -> None:
    """Judge one step: new keys, of an authority that was trusted already, which still trusts the one before."""
    for cluster, content in after.items():
        assert content["tls.key"] != before[cluster]["tls.key"], f"the key in {cluster} is new"
        assert issuer(content) != issuer(before[cluster]), f"the certificate in {cluster} is of a new authority"
        for other in before.values():
            assert issuer(content) in trusted(other), "which was trusted before it issued"
            assert issuer(other) in trusted(content), "and what it has replaced is trusted by whoever has taken the step"


def test_the_authority_and_all_keys_are_rotated_while_green_serves(backend: LiveStack, record: Record, tmp_path: Path) -> None:
    switch, before = blue_switch(backend), read(backend)
    until("the standby is proven", lambda: standby_is_proven(backend))
    with clients(backend, longest=LONGEST) as at_work:
        at_work.at(2)
        failed = switch.fail()
        with new_connections(backend, tmp_path) as connections:
            rotate(backend)
            connections.connect(before["local"])  # a proxy that has not picked up its Secret yet
        healed = switch.heal()
        connect_anew(backend)
    assert at_work.served(failed + 2.5, healed) == {GREEN}, "over the connection whose certificates were replaced"
    rotated(before, read(backend))
    nothing_lost("`pulumi up` rotates authority and keys while green serves", at_work, record=record)


def test_the_authority_before_the_last_is_trusted_no_more(backend: LiveStack, record: Record, tmp_path: Path) -> None:
    switch = blue_switch(backend)
    first = read(backend)
    until("the standby is proven", lambda: standby_is_proven(backend))
    rotate(backend)
    second = read(backend)
    with clients(backend, longest=LONGEST) as at_work:
        at_work.at(1)
        with new_connections(backend, tmp_path) as connections:
            rotate(backend)
        switch.fail()
        time.sleep(4)
        switch.heal()
        connect_anew(backend)
    third = read(backend)
    rotated(second, third)
    assert issuer(first["remote"]) not in trusted(third["remote"]), "after two steps the first authority is out"
    connections.connect(third["local"])
    connections.connect(second["local"])
    with pytest.raises(Refused):
        connections.connect({**third["local"], "tls.crt": first["local"]["tls.crt"], "tls.key": first["local"]["tls.key"]})
    until("the standby is proven again, after it was made to hang", lambda: standby_is_proven(backend))
    nothing_lost("`pulumi up` rotates authority and keys while blue serves", at_work, record=record)


def test_a_leaf_alone_is_issued_anew_while_green_serves(backend: LiveStack, record: Record, tmp_path: Path) -> None:
    switch, before = blue_switch(backend), read(backend)
    hours = int((leaf(before["local"]).not_valid_after_utc - leaf(before["local"]).not_valid_before_utc).total_seconds() // 3600)
    until("the standby is proven", lambda: standby_is_proven(backend))
    with clients(backend, longest=LONGEST) as at_work:
        at_work.at(2)
        failed = switch.fail()
        with new_connections(backend, tmp_path):
            backend.configure("certificates.validityHours", hours - 1)
            update(backend)
        healed = switch.heal()
        connect_anew(backend)
    assert at_work.served(failed + 2.5, healed) == {GREEN}, "over the connection whose certificates were replaced"
    for cluster, content in read(backend).items():
        assert leaf(content).serial_number != leaf(before[cluster]).serial_number, f"the certificate in {cluster} is new"
        assert content["ca.crt"] == before[cluster]["ca.crt"], "the authority is not"
    nothing_lost("`pulumi up` issues the certificates anew while green serves", at_work, record=record)


def test_a_skipped_step_is_refused_and_changes_nothing(backend: LiveStack) -> None:
    before = read(backend)
    epoch = int(backend.pulumi("stack", "output", "rotationEpoch", "-s", backend.name).stdout)
    backend.configure("certificates.rotationEpoch", epoch + 2)
    try:
        for command in (("preview",), ("up", "--yes", "--skip-preview")):
            done = backend.pulumi(*command, "-s", backend.name)
            assert done.returncode != 0, f"{command} is refused"
            assert f"certificates.rotationEpoch: {epoch + 2} is not allowed; allowed: {epoch}, or {epoch + 1} to rotate" in done.stdout + done.stderr
        assert read(backend) == before, "nothing was changed"
    finally:
        backend.configure("certificates.rotationEpoch", epoch)
