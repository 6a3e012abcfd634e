"""Certificates of a running stack, replaced while it serves: an authority of the test's own, the Secrets of both sides, and new connections.

Keys go from memory to kubectl's standard input, and nowhere else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.conftest import LiveStack, until
from tests.e2e.faults import GATEWAY, GREEN_ENVOY, PRIMARY, counted, hosts, pid_of, settled, stopped

HANDSHAKES = f"{PRIMARY}.ssl.handshake"
"""Counter of Envoy: TLS connections to green."""
NAMESPACE = "gloo-system"
_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, issuer=subject, key=key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate=certificate, key=key)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, like: x509.Certificate) -> dict[str, str]:
        """A certificate for the same name and use as another one, with a key of its own: `tls.crt` and `tls.key`."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(like.subject, issuer=self.certificate.subject, key=key)
        for kind in (x509.SubjectAlternativeName, x509.ExtendedKeyUsage):
            extension = like.extensions.get_extension_for_class(kind)
            builder = builder.add_extension(extension.value, critical=extension.critical)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        certificate = builder.sign(self.key, hashes.SHA256())
        return {"tls.crt": certificate.public_bytes(serialization.Encoding.PEM).decode(), "tls.key": private.decode()}


def _builder(subject: x509.Name, *, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), now - timedelta(minutes=5), now + _LIFETIME)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the connection between the clusters: its TLS Secret."""

    stack: LiveStack
    cluster: str
    secret: str

    def read(self) -> dict[str, str]:
        """tls.crt, tls.key and ca.crt as they are now."""
        return {name: base64.b64decode(value).decode() for name, value in self._object()["data"].items()}

    def write(self, changes: Mapping[str, str]) -> None:
        """Replace some of them, in one write."""
        secret = self._object()
        secret["data"].update({name: base64.b64encode(text.encode()).decode() for name, text in changes.items()})
        self.stack.kubectl(self.cluster, "replace", "-f", "-", stdin=json.dumps(secret))

    def issued_by(self, authority: Authority) -> dict[str, str]:
        """A certificate of this authority for this side, to write."""
        return authority.issue(x509.load_pem_x509_certificate(self.read()["tls.crt"].encode()))

    def _object(self) -> Any:
        return self.stack.get(self.cluster, "secret", "-n", NAMESPACE, self.secret)


def sides(stack: LiveStack) -> tuple[Side, Side]:
    """The server's side (the failover gateway of green's cluster) and the client's (the proxy of blue's)."""
    return (
        Side(stack=stack, cluster="remote", secret="failover-downstream"),
        Side(stack=stack, cluster="local", secret="failover-upstream"),
    )


def connect_anew(stack: LiveStack) -> None:
    """Make the gateway drop its connections to green, by a green that hangs until it is found out, and prove that new ones can be made."""
    settled(stack)
    handshakes = counted(stack, GATEWAY, HANDSHAKES)
    with stopped(pid_of(stack, GREEN_ENVOY)):
        until("the gateway has given up its connections to green", lambda: any(not host.healthy for host in hosts(stack)))
    settled(stack)
    assert counted(stack, GATEWAY, HANDSHAKES) > handshakes, "the health check went over a new connection, and so with the new certificates"
