"""X.509 certificates and requests as the tls provider builds them; pure but for serial numbers.

Part of the stand-in for machines that cannot reach the official plugin. What goes into a certificate follows the official provider and Go's
crypto/x509: SHA-2 by key size, basic constraints always and critical, a subject key id on every CA, an authority key id whenever the issuer has a
subject key id.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes as PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from toolchain.plugins.keys import PrivateKey

KEY_USAGES: Final[Mapping[str, str]] = {
    "digital_signature": "digital_signature", "content_commitment": "content_commitment", "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment", "key_agreement": "key_agreement", "cert_signing": "key_cert_sign", "crl_signing": "crl_sign",
    "encipher_only": "encipher_only", "decipher_only": "decipher_only",
}  # fmt: skip
EXTENDED_USAGES: Final[Mapping[str, ObjectIdentifier]] = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft_server_gated_crypto": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": ObjectIdentifier("2.16.840.1.113730.4.1"),
    "microsoft_commercial_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.2.1.22"),
    "microsoft_kernel_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.61.1.1"),
}

# In the order of Go's pkix.Name, so that a subject reads the same as one by the official provider.
SUBJECT_ATTRIBUTES: Final[Mapping[str, ObjectIdentifier]] = {
    "country": NameOID.COUNTRY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}


@dataclass(frozen=True, kw_only=True)
class Names:
    """Who a certificate is for: the distinguished name and the subject alternative names."""

    subject: x509.Name
    alternatives: tuple[x509.GeneralName, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Template:
    """What a certificate says. `uses` are keys of KEY_USAGES and EXTENDED_USAGES; `max_path_length` is None for no limit."""

    names: Names
    start: datetime
    validity: timedelta
    uses: Sequence[str]
    is_ca: bool = False
    max_path_length: int | None = None
    subject_key_id: bool = False
    authority_key_id: bool = False


def names(*, subject: Mapping[str, Any], dns_names: Sequence[str], ip_addresses: Sequence[str], uris: Sequence[str]) -> Names:
    """Names from the provider's inputs. Raises ValueError for an address or attribute that X.509 does not allow."""
    attributes: list[x509.NameAttribute[str]] = []
    for attribute, oid in SUBJECT_ATTRIBUTES.items():
        given = subject.get(attribute) or []
        attributes.extend(x509.NameAttribute(oid, text) for text in (given if isinstance(given, list) else [given]))
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in dns_names]
    alternatives.extend(x509.IPAddress(ipaddress.ip_address(address)) for address in ip_addresses)
    alternatives.extend(x509.UniformResourceIdentifier(uri) for uri in uris)
    return Names(subject=x509.Name(attributes), alternatives=tuple(alternatives))


def request(*, key: PrivateKey, names: Names) -> x509.CertificateSigningRequest:
    """A certificate request, signed by its own key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(names.subject)
    if names.alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(names.alternatives), critical=not names.subject.rdns)
    return builder.sign(key, _digest(key))


def names_of(signing_request: x509.CertificateSigningRequest) -> Names:
    """The names that a request asks for."""
    try:
        alternatives = tuple(signing_request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        alternatives = ()
    return Names(subject=signing_request.subject, alternatives=alternatives)


def certificate(*, template: Template, public: PublicKey, issuer: x509.Certificate | None, issuer_key: PrivateKey) -> x509.Certificate:
    """The certificate of `public`, signed by `issuer_key`. With no issuer it is self-signed."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(template.names.subject)
        .issuer_name(issuer.subject if issuer else template.names.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(template.start)
        .not_valid_after(template.start + template.validity)
        .add_extension(x509.BasicConstraints(ca=template.is_ca, path_length=template.max_path_length if template.is_ca else None), critical=True)
    )
    usages = {KEY_USAGES[use] for use in template.uses if use in KEY_USAGES}
    if usages:
        builder = builder.add_extension(x509.KeyUsage(**{usage: usage in usages for usage in KEY_USAGES.values()}), critical=True)
    if extended := [EXTENDED_USAGES[use] for use in template.uses if use in EXTENDED_USAGES]:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    if template.names.alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(template.names.alternatives), critical=not template.names.subject.rdns)
    if template.subject_key_id or template.is_ca:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    if (authority := _authority(template, issuer=issuer, issuer_key=issuer_key)) is not None:
        builder = builder.add_extension(authority, critical=False)
    return builder.sign(issuer_key, _digest(issuer_key))


def pem(signed: x509.Certificate | x509.CertificateSigningRequest) -> str:
    """PEM text, ending in a newline."""
    return signed.public_bytes(Encoding.PEM).decode()


def load_certificate(text: str) -> x509.Certificate:
    """The first certificate in `text`. Raises ValueError."""
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise ValueError("is not a certificate in PEM form") from error


def load_request(text: str) -> x509.CertificateSigningRequest:
    """The request in `text`, its signature verified. Raises ValueError."""
    try:
        loaded = x509.load_pem_x509_csr(text.encode())
    except ValueError as error:
        raise ValueError("is not a certificate request in PEM form") from error
    if not loaded.is_signature_valid:
        raise ValueError("is a certificate request with a wrong signature")
    return loaded


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _authority(template: Template, *, issuer: x509.Certificate | None, issuer_key: PrivateKey) -> x509.AuthorityKeyIdentifier | None:
    if issuer is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()) if template.authority_key_id else None
    try:
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    size = key.key_size if isinstance(key, ec.EllipticCurvePrivateKey) else 0
    return hashes.SHA256() if size <= 256 else hashes.SHA384() if size <= 384 else hashes.SHA512()
