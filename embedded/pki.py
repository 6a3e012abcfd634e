"""The certificates of a cluster: made once, kept, and renewed at a start when little of their life is left.

Three authorities, so that a certificate opens only the door that it is for: `ca` (the API server and its clients), `etcd-ca` (etcd and its client)
and `node-agent-client-ca` (the node agent's API, which runs commands in pods; its only client is the API server).
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from embedded.layout import read_text, write_private
from embedded.network import Network

CA_LIFE = datetime.timedelta(days=3650)
LEAF_LIFE = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=30)
CLOCK_SKEW = datetime.timedelta(minutes=5)

AUTHORITIES = ("ca", "etcd-ca", "node-agent-client-ca")
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A certificate to have: `name` of its files, who signs it, whom it names, and what it is for."""

    name: str
    authority: str
    common_name: str
    usages: tuple[x509.ObjectIdentifier, ...]
    organisation: str | None = None
    alternative_names: tuple[str, ...] = ()


def leaves(*, network: Network, node_name: str) -> tuple[Leaf, ...]:
    """Every certificate of a cluster below its authorities."""
    api_names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    api_addresses = (network.host, network.node_address, *network.api_service_addresses)
    return (
        Leaf(name="apiserver", authority="ca", common_name="kube-apiserver", usages=(SERVER,), alternative_names=api_addresses + api_names),
        Leaf(
            name="controller-manager-server",
            authority="ca",
            common_name="kube-controller-manager",
            usages=(SERVER,),
            alternative_names=(network.host,),
        ),
        Leaf(name="scheduler-server", authority="ca", common_name="kube-scheduler", usages=(SERVER,), alternative_names=(network.host,)),
        Leaf(
            name="node-agent",
            authority="ca",
            common_name=f"system:node:{node_name}",
            organisation="system:nodes",
            usages=(SERVER,),
            alternative_names=(network.host, network.node_address, node_name),
        ),
        Leaf(name="admin", authority="ca", common_name="embedded-admin", organisation="system:masters", usages=(CLIENT,)),
        Leaf(name="controller-manager", authority="ca", common_name="system:kube-controller-manager", usages=(CLIENT,)),
        Leaf(name="scheduler", authority="ca", common_name="system:kube-scheduler", usages=(CLIENT,)),
        Leaf(name="node-agent-client", authority="ca", common_name=f"system:node:{node_name}", organisation="system:nodes", usages=(CLIENT,)),
        Leaf(name="etcd", authority="etcd-ca", common_name="etcd", usages=(SERVER, CLIENT), alternative_names=(network.host,)),
        Leaf(name="apiserver-etcd-client", authority="etcd-ca", common_name="kube-apiserver", usages=(CLIENT,)),
        Leaf(name="apiserver-kubelet-client", authority="node-agent-client-ca", common_name="kube-apiserver-kubelet-client", usages=(CLIENT,)),
    )


def ensure_pki(directory: Path, *, wanted: tuple[Leaf, ...], now: datetime.datetime | None = None) -> bool:
    """Makes what is missing, damaged, not as wanted, or near its end: `<name>.crt` and `<name>.key` in `directory`. True when anything was made."""
    moment = now or datetime.datetime.now(datetime.UTC)
    authorities = {name: _ensure_authority(directory, name=name, now=moment) for name in AUTHORITIES}
    changed = any(made for _, _, made in authorities.values())
    for leaf in wanted:
        certificate, key, _ = authorities[leaf.authority]
        if not _is_good(directory, leaf=leaf, authority=certificate, now=moment):
            _issue(directory, leaf=leaf, authority=certificate, authority_key=key, now=moment)
            changed = True
    return _ensure_signing_key(directory) or changed


def _ensure_signing_key(directory: Path) -> bool:
    """The pair that signs and verifies ServiceAccount tokens: `service-account.key` and `.pub`. Never renewed: every token ends with it."""
    key = _load_key(directory / "service-account.key")
    made = key is None
    if key is None:
        key = _new_key()
        write_private(directory / "service-account.key", _pem_key(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return write_private(directory / "service-account.pub", public.decode("ascii")) or made


def _ensure_authority(directory: Path, *, name: str, now: datetime.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, bool]:
    pair = _load(directory, name)
    if pair and pair[0].not_valid_after_utc - now > LEAF_LIFE:
        return *pair, False
    key = _new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"embedded-{name}")])
    certificate = (
        _builder(subject=subject, issuer=subject, key=key, now=now, life=CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _store(directory, name=name, certificate=certificate, key=key)
    return certificate, key, True


def _issue(directory: Path, *, leaf: Leaf, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> None:
    key = _new_key()
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(subject=_subject(leaf), issuer=authority.subject, key=key, now=now, life=LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(leaf.usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    if leaf.alternative_names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in leaf.alternative_names]), critical=False)
    _store(directory, name=leaf.name, certificate=builder.sign(authority_key, hashes.SHA256()), key=key)


def _is_good(directory: Path, *, leaf: Leaf, authority: x509.Certificate, now: datetime.datetime) -> bool:
    """Whether the stored certificate is the wanted one: same names and use, signed by today's authority, its key beside it, and long to live."""
    pair = _load(directory, leaf.name)
    if pair is None:
        return False
    certificate = pair[0]
    try:
        certificate.verify_directly_issued_by(authority)
        usages = tuple(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        names = _names_in(certificate)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    alike = certificate.subject == _subject(leaf) and usages == leaf.usages and names == leaf.alternative_names
    return alike and certificate.not_valid_after_utc - now >= RENEW_BEFORE


def _names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        return tuple(str(name.value) for name in certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return ()


def _load(directory: Path, name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """The stored pair; None when a half is missing or damaged, or when they do not belong together (an interrupted start can leave that)."""
    pem, key = read_text(directory / f"{name}.crt"), _load_key(directory / f"{name}.key")
    try:
        certificate = None if pem is None else x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return None
    if certificate is None or key is None or certificate.public_key() != key.public_key():
        return None
    return certificate, key


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    """The stored key; None when it is missing, damaged or of another kind."""
    pem = read_text(path)
    try:
        key = None if pem is None else serialization.load_pem_private_key(pem.encode(), password=None)
    except ValueError:
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _store(directory: Path, *, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    write_private(directory / f"{name}.key", _pem_key(key))
    write_private(directory / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM).decode("ascii"))


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode("ascii")


def _subject(leaf: Leaf) -> x509.Name:
    organisation = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organisation)] if leaf.organisation else []
    return x509.Name([*organisation, x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    *, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime, life: datetime.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
