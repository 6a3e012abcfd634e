"""Keys and certificates as the stand-in tls provider builds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from toolchain.plugins import certificates, keys
from toolchain.plugins.tls import is_ready_for_renewal

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def make(algorithm: str = "ECDSA", curve: str = "P256") -> keys.PrivateKey:
    return keys.generate(algorithm=algorithm, rsa_bits=1024, curve=curve)


def template(**changes: object) -> certificates.Template:
    names = certificates.names(subject={"commonName": "ca"}, dns_names=[], ip_addresses=[], uris=[])
    return certificates.Template(**{"names": names, "start": NOW, "validity": timedelta(hours=2), "uses": ["cert_signing"], **changes})


@pytest.mark.parametrize(
    ("algorithm", "curve", "heading"),
    [
        ("RSA", "P224", "RSA PRIVATE KEY"),
        ("ECDSA", "P384", "EC PRIVATE KEY"),
        ("ECDSA", "P224", "EC PRIVATE KEY"),
        ("ED25519", "P224", "PRIVATE KEY"),
    ],
)
def test_every_form_of_a_key_is_the_same_key(algorithm: str, curve: str, heading: str) -> None:
    key = make(algorithm, curve)
    texts = keys.texts(key)
    assert texts.private_pem.startswith(f"-----BEGIN {heading}-----\n"), "the heading the official provider's users know"
    assert texts.private_pkcs8.startswith("-----BEGIN PRIVATE KEY-----\n")
    for text in (texts.private_pem, texts.private_pkcs8, texts.private_openssh):
        if text:
            assert keys.public_der(keys.load(text).public_key()) == keys.public_der(key.public_key())
    assert keys.algorithm_of(key) == algorithm
    if curve == "P224" and algorithm == "ECDSA":
        assert (texts.private_openssh, texts.public_openssh, texts.fingerprint_md5, texts.fingerprint_sha256) == ("", "", "", ""), (
            "OpenSSH has no P224"
        )
    else:
        assert texts.public_openssh.endswith("\n")
        assert serialization.load_ssh_public_key(texts.public_openssh.encode()) == key.public_key()
        assert len(texts.fingerprint_md5.split(":")) == 16
        assert texts.fingerprint_sha256.startswith("SHA256:")


@pytest.mark.parametrize("text", ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="is not an unencrypted private key in PEM form") as raised:
        keys.load(text)
    assert "hunter2" not in str(raised.value)


def test_a_ca_signs_a_request() -> None:
    ca_key, key = make(), make("RSA")
    ca = certificates.certificate(template=template(is_ca=True), public=ca_key.public_key(), issuer=None, issuer_key=ca_key)
    names = certificates.names(subject={}, dns_names=["a.example"], ip_addresses=["::1"], uris=[])
    request = certificates.load_request(certificates.pem(certificates.request(key=key, names=names)))
    leaf_template = template(names=certificates.names_of(request), uses=["server_auth", "digital_signature"])
    leaf = certificates.certificate(template=leaf_template, public=request.public_key(), issuer=ca, issuer_key=ca_key)
    leaf.verify_directly_issued_by(ca)
    authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier == ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest, "so that a chain can be built"
    alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert alternatives.critical, "with an empty subject the alternative names must be critical (RFC 5280, 4.2.1.6)"
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign, "only the asked uses are set"
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.value.ca, constraints.critical) == (False, True), "a leaf says that it is no CA"
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)


@pytest.mark.parametrize(("curve", "digest"), [("P256", hashes.SHA256), ("P384", hashes.SHA384), ("P521", hashes.SHA512)])
def test_the_digest_fits_the_key(curve: str, digest: type) -> None:
    key = make(curve=curve)
    signed = certificates.certificate(template=template(), public=key.public_key(), issuer=None, issuer_key=key)
    assert isinstance(signed.signature_hash_algorithm, digest)


def test_key_ids_are_there_when_asked_for() -> None:
    key = make("ED25519")
    asked = template(subject_key_id=True, authority_key_id=True)
    signed = certificates.certificate(template=asked, public=key.public_key(), issuer=None, issuer_key=key)
    subject = signed.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert signed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == subject.digest
    assert signed.signature_hash_algorithm is None, "Ed25519 hashes by itself"


def test_a_subject_reads_in_gos_order() -> None:
    names = certificates.names(
        subject={"commonName": "cn", "country": "DE", "streetAddresses": ["a", "b"], "organization": "o"}, dns_names=[], ip_addresses=[], uris=[]
    )
    assert [attribute.oid for attribute in names.subject] == [
        NameOID.COUNTRY_NAME,
        NameOID.ORGANIZATION_NAME,
        NameOID.STREET_ADDRESS,
        NameOID.STREET_ADDRESS,
        NameOID.COMMON_NAME,
    ]


@pytest.mark.parametrize(("early", "ready"), [(0, False), (1, False), (2, True), (100, True)])
def test_a_certificate_is_ready_in_its_last_hours(early: int, ready: bool) -> None:
    end = certificates.time_text(NOW + timedelta(hours=2))
    assert end == "2026-03-01T14:00:00Z"
    assert is_ready_for_renewal(end=end, early_hours=early, now=NOW) is ready


def test_an_official_time_with_an_offset_is_understood() -> None:
    assert not is_ready_for_renewal(end="2026-03-01T14:00:00+01:00", early_hours=0, now=NOW)
    assert is_ready_for_renewal(end="2026-03-01T13:00:00+01:00", early_hours=0, now=NOW), "a certificate that has ended is ready"
