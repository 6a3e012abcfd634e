"""Who may reach green through the failover gateway: only a client with the right certificate, asking for a name that is on the list."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.conftest import LiveStack
from tests.e2e.gateway_client import Refused, ask_green

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def client_certificate(stack: LiveStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = stack.get("local", "secret", "-n", "gloo-system", "failover-upstream")["data"]
    file = tmp_path_factory.mktemp("pki") / "client.pem"
    file.touch(mode=0o600)
    file.write_bytes(base64.b64decode(data["tls.crt"]) + base64.b64decode(data["tls.key"]))
    return file


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A client certificate with the right names, of another CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stranger")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(minutes=1), now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("gateway-proxy.local")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("pki") / "stranger.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.touch(mode=0o600)
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + pem)
    return file


def test_the_client_certificate_of_the_local_proxy_reaches_green(stack: LiveStack, client_certificate: Path) -> None:
    assert "200" in ask_green(stack, certificate=client_certificate), "or the refusals below would mean nothing"


def test_a_client_without_a_certificate_gets_no_connection(stack: LiveStack) -> None:
    with pytest.raises(Refused):
        ask_green(stack, certificate=None)


def test_a_certificate_of_another_ca_gets_no_connection(stack: LiveStack, stranger: Path) -> None:
    with pytest.raises(Refused):
        ask_green(stack, certificate=stranger)


@pytest.mark.parametrize("sni", ["gloo-system-gloo-9977_gloo-system", "default-kubernetes-443_gloo-system", "unknown"])
def test_a_name_that_is_not_on_the_list_gets_no_connection(stack: LiveStack, client_certificate: Path, sni: str) -> None:
    with pytest.raises(Refused):
        ask_green(stack, sni=sni, certificate=client_certificate)
