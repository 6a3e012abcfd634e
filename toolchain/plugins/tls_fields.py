"""Inputs of the tls provider's resources: types, what is required, what replaces; pure.

Part of the stand-in for machines that cannot reach the official plugin. Names and secretness are the official schema's (5.6.2).
"""

from __future__ import annotations

import ipaddress
from typing import Final

from toolchain.plugins.schema import Field, Kind

_WRITE_ONLY: Final = "is write-only and not supported by the stand-in for the tls provider; pass the key as {}, which is kept as a secret"


def _ip_address(text: str) -> str | None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return "must be an IP address"
    return None


def _ascii(text: str) -> str | None:
    return None if text and text.isascii() else "must be ASCII text and not empty"


def _country(text: str) -> str | None:
    return None if len(text) == 2 else "must be a country code of two letters"


def _use(text: str) -> str | None:
    from toolchain.plugins.certificates import EXTENDED_USAGES, KEY_USAGES

    allowed = sorted([*KEY_USAGES, *EXTENDED_USAGES])
    return None if text in allowed else f"must be one of {', '.join(allowed)}"


_TEXT: Final = Field(kind=Kind.STRING)
_SUBJECT: Final = {
    "commonName": _TEXT, "country": Field(kind=Kind.STRING, rule=_country), "emailAddress": Field(kind=Kind.STRING, rule=_ascii), "locality": _TEXT,
    "organization": _TEXT, "organizationalUnit": _TEXT, "postalCode": _TEXT, "province": _TEXT, "serialNumber": _TEXT,
    "streetAddresses": Field(kind=Kind.STRINGS),
}  # fmt: skip
NAMES: Final = {
    "subject": Field(kind=Kind.OBJECT, fields=_SUBJECT, replaces=True),
    "dnsNames": Field(kind=Kind.STRINGS, rule=_ascii, replaces=True),
    "ipAddresses": Field(kind=Kind.STRINGS, rule=_ip_address, replaces=True),
    "uris": Field(kind=Kind.STRINGS, rule=_ascii, replaces=True),
}
VALIDITY: Final = {
    "validityPeriodHours": Field(kind=Kind.INTEGER, minimum=0, required=True, replaces=True),
    "earlyRenewalHours": Field(kind=Kind.INTEGER, minimum=0),
    "allowedUses": Field(kind=Kind.STRINGS, rule=_use, required=True, replaces=True),
    "isCaCertificate": Field(kind=Kind.BOOLEAN, replaces=True),
    "maxPathLength": Field(kind=Kind.INTEGER, minimum=-1, replaces=True),
    "setSubjectKeyId": Field(kind=Kind.BOOLEAN, replaces=True),
}


def key_fields(name: str) -> dict[str, Field]:
    """The key that signs, as a secret, and its write-only variants, which are refused."""
    refused = Field(kind=Kind.STRING, secret=True, refused=_WRITE_ONLY.format(name))
    return {
        name: Field(kind=Kind.STRING, secret=True, required=True, replaces=True),
        f"{name}Wo": refused,
        f"{name}WoVersion": Field(kind=Kind.INTEGER, refused=refused.refused),
    }


PRIVATE_KEY: Final = {
    "algorithm": Field(kind=Kind.STRING, choices=("RSA", "ECDSA", "ED25519"), required=True, replaces=True),
    "ecdsaCurve": Field(kind=Kind.STRING, choices=("P224", "P256", "P384", "P521"), replaces=True),
    "rsaBits": Field(kind=Kind.INTEGER, minimum=1024, replaces=True),
}
CERT_REQUEST: Final = {**NAMES, **key_fields("privateKeyPem")}
SELF_SIGNED_CERT: Final = {**NAMES, **VALIDITY, **key_fields("privateKeyPem"), "setAuthorityKeyId": Field(kind=Kind.BOOLEAN, replaces=True)}
LOCALLY_SIGNED_CERT: Final = {
    **VALIDITY,
    **key_fields("caPrivateKeyPem"),
    "caCertPem": Field(kind=Kind.STRING, required=True, replaces=True),
    "certRequestPem": Field(kind=Kind.STRING, required=True, replaces=True),
}
