"""Certificates: made once, kept while good, renewed when not; and each opens only the door it is for."""

from __future__ import annotations

import datetime
import ipaddress
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from embedded.network import Network
from embedded.pki import AUTHORITIES, ensure_pki, leaves

pytestmark = pytest.mark.unit

WANTED = leaves(network=Network(77), node_name="local-node")
NOW = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    assert ensure_pki(tmp_path, wanted=WANTED, now=NOW), "a first call makes everything and says so"
    return tmp_path


def certificate(directory: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in after if before.get(name) != after[name]}


def test_nobody_else_can_read_a_file(pki: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in pki.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_a_second_call_changes_nothing(pki: Path) -> None:
    before = contents(pki)
    assert not ensure_pki(pki, wanted=WANTED, now=NOW), "a restart for nothing would interrupt a cluster"
    assert contents(pki) == before


def test_each_certificate_is_signed_by_its_own_authority_only(pki: Path) -> None:
    for leaf in WANTED:
        for authority in AUTHORITIES:
            if authority == leaf.authority:
                certificate(pki, leaf.name).verify_directly_issued_by(certificate(pki, authority))
            else:
                with pytest.raises(ValueError, match="Issuer"):
                    certificate(pki, leaf.name).verify_directly_issued_by(certificate(pki, authority))


def test_a_client_verifies_the_api_server_at_both_forms_of_its_address(pki: Path) -> None:
    store = PolicyBuilder().store(Store([certificate(pki, "ca")])).time(NOW)
    for address in ("127.77.0.1", "10.77.0.1", "10.77.128.1", "127.77.128.1"):
        verifier = store.build_server_verifier(x509.IPAddress(ipaddress.ip_address(address)))
        assert verifier.verify(certificate(pki, "apiserver"), []), address
    with pytest.raises(VerificationError):
        store.build_server_verifier(x509.IPAddress(ipaddress.ip_address("127.78.0.1"))).verify(certificate(pki, "apiserver"), [])


def test_only_the_api_server_can_sign_in_at_etcd_and_at_the_node_agent() -> None:
    clients = {leaf.name: leaf.authority for leaf in WANTED if ExtendedKeyUsageOID.CLIENT_AUTH in leaf.usages}
    of = {authority: sorted(name for name, signer in clients.items() if signer == authority) for authority in AUTHORITIES}
    assert of["etcd-ca"] == ["apiserver-etcd-client", "etcd"], "etcd itself as its own peer, and nobody else"
    assert of["node-agent-client-ca"] == ["apiserver-kubelet-client"], "who can sign in there can run commands in every pod"


def test_the_parts_have_the_names_by_which_kubernetes_gives_them_rights(pki: Path) -> None:
    subjects = {name: certificate(pki, name).subject.rfc4514_string() for name in ("admin", "controller-manager", "scheduler", "node-agent-client")}
    assert subjects == {
        "admin": "CN=embedded-admin,O=system:masters",
        "controller-manager": "CN=system:kube-controller-manager",
        "scheduler": "CN=system:kube-scheduler",
        "node-agent-client": "CN=system:node:local-node,O=system:nodes",
    }


def test_keys_are_p256(pki: Path) -> None:
    for leaf in WANTED:
        key = certificate(pki, leaf.name).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey), leaf.name
        assert key.curve.name == "secp256r1", leaf.name


@pytest.mark.parametrize(("days", "renewed"), [(334, False), (336, True), (400, True)])
def test_a_certificate_is_renewed_when_less_than_thirty_days_are_left(pki: Path, days: int, renewed: bool) -> None:
    before = contents(pki)
    assert ensure_pki(pki, wanted=WANTED, now=NOW + datetime.timedelta(days=days)) is renewed
    after = changed(before, contents(pki))
    assert ("admin.crt" in after) is renewed
    assert "ca.crt" not in after, "clients hold the authority's certificate; it is good for ten years"
    assert "service-account.key" not in after, "every token ends with this key"


def test_an_authority_near_its_end_is_replaced_with_everything_below_it(pki: Path) -> None:
    assert ensure_pki(pki, wanted=WANTED, now=NOW + datetime.timedelta(days=3400)), "a leaf must not outlive who signed it"
    for leaf in WANTED:
        certificate(pki, leaf.name).verify_directly_issued_by(certificate(pki, leaf.authority))


@pytest.mark.parametrize("damage", ["missing key", "missing certificate", "not PEM", "another pair's key", "empty"])
def test_what_an_interrupted_start_left_is_healed(pki: Path, damage: str) -> None:
    key, crt = pki / "scheduler.key", pki / "scheduler.crt"
    match damage:
        case "missing key":
            key.unlink()
        case "missing certificate":
            crt.unlink()
        case "not PEM":
            crt.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        case "another pair's key":
            key.write_bytes((pki / "admin.key").read_bytes())
        case "empty":
            key.write_bytes(b"")
    before = contents(pki)
    assert ensure_pki(pki, wanted=WANTED, now=NOW)
    assert changed(before, contents(pki)) <= {"scheduler.key", "scheduler.crt"}, "the rest was good"
    assert not ensure_pki(pki, wanted=WANTED, now=NOW), "healed for good"


def test_a_certificate_follows_the_names_it_is_wanted_for(pki: Path) -> None:
    moved = leaves(network=Network(78), node_name="local-node")
    before = contents(pki)
    assert ensure_pki(pki, wanted=moved, now=NOW)
    assert {"apiserver.crt", "node-agent.crt", "etcd.crt"} <= changed(before, contents(pki)), "these name addresses of the network"
    assert "admin.crt" not in changed(before, contents(pki)), "and this does not"


def test_a_lost_signing_key_is_made_again_with_its_public_half(pki: Path) -> None:
    (pki / "service-account.key").unlink()
    before = contents(pki)
    assert ensure_pki(pki, wanted=WANTED, now=NOW)
    assert "service-account.pub" in changed(before, contents(pki)), "the API server verifies with the public half"


def test_every_name_is_used_once() -> None:
    names = [leaf.name for leaf in WANTED]
    assert len(names) == len(set(names)), "two certificates would take turns in one file"
    assert not set(names) & set(AUTHORITIES)
