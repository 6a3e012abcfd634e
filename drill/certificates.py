"""An authority of the drill's own, and the Secrets of the connection between the clusters.

Keys go from memory to kubectl's standard input, and nowhere else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from drill.containers import Clusters, Container
from gloo_api.names import UPSTREAM_SECRET
from service_failover.names import DOWNSTREAM_SECRET, GLOO_NAMESPACE

if TYPE_CHECKING:
    from drill.target import Target

Content = Mapping[str, str]
"""What a TLS Secret holds, as PEM: tls.crt, tls.key and ca.crt."""
_LIFETIME = timedelta(hours=1)
_MARGIN = timedelta(minutes=5)
"""For clocks that differ."""


class Validity(Enum):
    """Whether a certificate is good."""

    NOW = timedelta(0)
    ENDED = -2 * _LIFETIME
    """It ended an hour ago."""


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority that lives for an hour, in memory."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, issuer=subject, key=key, validity=Validity.NOW)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate=certificate, key=key)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, like: str, *, validity: Validity = Validity.NOW) -> dict[str, str]:
        """A certificate for the same name and use as another one (PEM), with a key of its own: `tls.crt` and `tls.key`."""
        model, key = x509.load_pem_x509_certificate(like.encode()), ec.generate_private_key(ec.SECP256R1())
        builder = _builder(model.subject, issuer=self.certificate.subject, key=key, validity=validity)
        for kind in (x509.SubjectAlternativeName, x509.ExtendedKeyUsage):
            extension = model.extensions.get_extension_for_class(kind)
            builder = builder.add_extension(extension.value, critical=extension.critical)
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        certificate = builder.sign(self.key, hashes.SHA256())
        return {"tls.crt": certificate.public_bytes(serialization.Encoding.PEM).decode(), "tls.key": private.decode()}


def _builder(subject: x509.Name, *, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, validity: Validity) -> x509.CertificateBuilder:
    now = datetime.now(UTC) + validity.value
    return x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), now - _MARGIN, now + _LIFETIME)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the connection between the clusters: its TLS Secret, and the proxy that uses it."""

    clusters: Clusters
    gateway: Container
    secret: str

    @property
    def cluster(self) -> str:
        return self.gateway.cluster

    @property
    def _kept(self) -> str:
        """The Secret in which the content of before waits. Beside the first one, so that a key never leaves its cluster."""
        return f"{self.secret}-before-drill"

    def read(self) -> dict[str, str]:
        """tls.crt, tls.key and ca.crt as they are now."""
        return _content(self._get(self.secret))

    def write(self, changes: Content) -> None:
        """Replace some of them, in one write."""
        patch = {"data": {name: base64.b64encode(text.encode()).decode() for name, text in changes.items()}}
        target = ("secret", "-n", GLOO_NAMESPACE, self.secret)
        self.clusters.kubectl(self.cluster, "patch", *target, "--type=merge", "--patch-file=/dev/stdin", stdin=json.dumps(patch))

    def keep(self) -> None:
        """Keep the content for `kept`, unless there is some: that is what was there before anything was broken."""
        if self.kept() is None:
            secret = self._get(self.secret)
            copy = {"apiVersion": "v1", "kind": "Secret", "type": secret["type"], "data": secret["data"]}
            copy["metadata"] = {"name": self._kept, "namespace": GLOO_NAMESPACE}
            self.clusters.kubectl(self.cluster, "create", "-f", "-", stdin=json.dumps(copy))

    def kept(self) -> dict[str, str] | None:
        """What was kept; None when nothing was."""
        found = self.clusters.get(self.cluster, "secrets", "-n", GLOO_NAMESPACE, f"--field-selector=metadata.name={self._kept}")["items"]
        return _content(found[0]) if found else None

    def forget(self) -> None:
        """Remove what was kept."""
        self.clusters.kubectl(self.cluster, "delete", "secret", "-n", GLOO_NAMESPACE, self._kept, "--ignore-not-found")

    def _get(self, name: str) -> Any:
        return self.clusters.get(self.cluster, "secret", "-n", GLOO_NAMESPACE, name)


def _content(secret: Mapping[str, Any]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def sides(target: Target) -> tuple[Side, Side]:
    """The server's side (the failover gateway of the standby's cluster) and the client's (the proxy of the primary's)."""
    return (
        Side(clusters=target, gateway=target.failover_gateway, secret=DOWNSTREAM_SECRET),
        Side(clusters=target, gateway=target.gateway, secret=UPSTREAM_SECRET),
    )
