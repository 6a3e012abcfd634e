"""Private keys as the tls provider makes and shows them; pure but for the random numbers.

Part of the stand-in for machines that cannot reach the official plugin. Formats and defaults are the official provider's: PKCS#1 for RSA, SEC1 for
ECDSA and PKCS#8 for Ed25519 in `pem`; no OpenSSH form for curve P224, which OpenSSH does not know.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes as PublicKey

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

CURVES: Final[Mapping[str, ec.EllipticCurve]] = {"P224": ec.SECP224R1(), "P256": ec.SECP256R1(), "P384": ec.SECP384R1(), "P521": ec.SECP521R1()}
ALGORITHMS: Final = ("RSA", "ECDSA", "ED25519")


@dataclass(frozen=True, kw_only=True)
class KeyTexts:
    """Every form of one key. The OpenSSH forms and fingerprints are empty where OpenSSH has none; `identity` is the SHA-1 of the public DER."""

    identity: str
    private_pem: str
    private_pkcs8: str
    private_openssh: str
    public_pem: str
    public_openssh: str
    fingerprint_md5: str
    fingerprint_sha256: str


def generate(*, algorithm: str, rsa_bits: int, curve: str) -> PrivateKey:
    """A new key. `algorithm` is one of ALGORITHMS, `curve` a key of CURVES; `rsa_bits` is at least 1024."""
    match algorithm:
        case "RSA":
            return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
        case "ECDSA":
            return ec.generate_private_key(CURVES[curve])
        case "ED25519":
            return ed25519.Ed25519PrivateKey.generate()
    raise ValueError(f"no such algorithm: {algorithm}")


def load(pem: str) -> PrivateKey:
    """The key in `pem`, any of the formats that `texts` gives. Raises ValueError, without the text, for anything else."""
    try:
        if "OPENSSH PRIVATE KEY" in pem:
            key: object = serialization.load_ssh_private_key(pem.encode(), password=None)
        else:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
    except Exception as error:
        raise ValueError("is not an unencrypted private key in PEM form") from error
    if not isinstance(key, PrivateKey):
        raise ValueError(f"must be an {', '.join(ALGORITHMS)} key, not {type(key).__name__}")
    return key


def algorithm_of(key: PrivateKey) -> str:
    """One of ALGORITHMS."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def texts(key: PrivateKey) -> KeyTexts:
    """Every form of the key that the provider outputs."""
    public = key.public_key()
    openssh = not (isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp224r1")
    public_openssh = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode() if openssh else ""
    blob = base64.b64decode(public_openssh.split()[1]) if openssh else b""
    traditional = serialization.PrivateFormat.PKCS8 if isinstance(key, ed25519.Ed25519PrivateKey) else serialization.PrivateFormat.TraditionalOpenSSL
    return KeyTexts(
        identity=hashlib.sha1(public_der(public), usedforsecurity=False).hexdigest(),
        private_pem=_private_text(key, traditional),
        private_pkcs8=_private_text(key, serialization.PrivateFormat.PKCS8),
        private_openssh=_private_text(key, serialization.PrivateFormat.OpenSSH) if openssh else "",
        public_pem=public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
        public_openssh=f"{public_openssh}\n" if openssh else "",
        fingerprint_md5=hashlib.md5(blob, usedforsecurity=False).digest().hex(":") if openssh else "",
        fingerprint_sha256="SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=") if openssh else "",
    )


def public_der(public: PublicKey) -> bytes:
    """The public key as SubjectPublicKeyInfo in DER; two keys are the same exactly when these bytes are."""
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private_text(key: PrivateKey, form: serialization.PrivateFormat) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
