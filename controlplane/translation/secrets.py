"""Secrets by SDS: which ones a proxy needs, whether Envoy would take them, and the messages.

A proxy gets the secrets that its own clusters and listeners name and no others. Certificates and keys are checked here, because a proxy that refuses
one secret keeps the old one and says so to nobody but its control plane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2

from controlplane.translation import wire
from controlplane.translation.types import Key, TlsSecret
from gloo_api.meta import ResourceRef


class UnusableSecret(ValueError):
    """A Secret that is missing or that Envoy would refuse; the text names it and never shows what is in it."""


@dataclass(frozen=True)
class SecretFacts:
    """All that a cluster or a listener may depend on, so that a new certificate of the same Secret changes neither."""

    fault: str | None
    """Why Envoy would refuse it; None: it is usable."""
    has_ca: bool
    refused: str = ""
    """Why a newer version of the Secret is not in use."""

    @classmethod
    def of(cls, secret: TlsSecret) -> SecretFacts:
        return cls(fault=fault_of(secret), has_ca=bool(secret.ca), refused=secret.refused)


class SecretBook:
    """The secrets of one object. `use` notes that its proxies need a Secret."""

    def __init__(self, facts: Mapping[Key, SecretFacts]) -> None:
        self._facts = facts
        self.used: dict[Key, SecretFacts] = {}

    def use(self, ref: ResourceRef, *, namespace: str) -> tuple[Key, SecretFacts]:
        """The Secret that `ref` names; `namespace` is that of the object that holds the reference. Raises UnusableSecret."""
        key = Key(ref.namespace or namespace, ref.name)
        facts = self._facts.get(key)
        if facts is None:
            raise UnusableSecret(f"Secret {key.namespace}/{key.name} does not exist; allowed is a Secret of type kubernetes.io/tls")
        if facts.fault:
            raise UnusableSecret(f"Secret {key.namespace}/{key.name}: {facts.fault}")
        self.used[key] = facts
        return key, facts


def secret_messages(key: Key, secret: TlsSecret) -> dict[str, secret_pb2.Secret]:
    """What a proxy that needs a (usable) Secret gets, by SDS name."""
    certificate, authority = certificate_name(key), authority_name(key)
    messages = {certificate: secret_pb2.Secret(name=certificate, tls_certificate=_tls_certificate(secret))}
    if secret.ca:
        context = common_pb2.CertificateValidationContext(trusted_ca=base_pb2.DataSource(inline_bytes=secret.ca))
        messages[authority] = secret_pb2.Secret(name=authority, validation_context=context)
    return messages


def certificate_name(key: Key) -> str:
    """SDS name of the certificate and key in a Secret."""
    return f"{key.namespace}/{key.name}"


def authority_name(key: Key) -> str:
    """SDS name of the ca.crt in a Secret."""
    return f"{key.namespace}/{key.name}/ca"


def sds(name: str) -> secret_pb2.SdsSecretConfig:
    """A reference by name; the secret itself comes on the same stream, so that a new certificate changes no cluster and no listener."""
    return secret_pb2.SdsSecretConfig(name=name, sds_config=wire.ads())


def _tls_certificate(secret: TlsSecret) -> common_pb2.TlsCertificate:
    return common_pb2.TlsCertificate(
        certificate_chain=base_pb2.DataSource(inline_bytes=secret.certificate_chain), private_key=base_pb2.DataSource(inline_bytes=secret.private_key)
    )


def fault_of(secret: TlsSecret) -> str | None:
    """Why Envoy would refuse it; None when it would not. Text of the parsers is dropped: it could quote what they read."""
    if not secret.certificate_chain or not secret.private_key:
        return "tls.crt and tls.key are both required"
    try:
        leaf = x509.load_pem_x509_certificates(secret.certificate_chain)[0]
    except ValueError:
        return "tls.crt holds no PEM certificate"
    try:
        key = load_pem_private_key(secret.private_key, password=None)
    except (ValueError, TypeError):
        return "tls.key holds no unencrypted PEM private key"
    if leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != key.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ):
        return "tls.key is not the key of the certificate in tls.crt"
    if secret.ca:
        try:
            x509.load_pem_x509_certificates(secret.ca)
        except ValueError:
            return "ca.crt holds no PEM certificate"
    return None
