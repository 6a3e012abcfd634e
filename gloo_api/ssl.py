"""TLS settings of Upstreams and Gateways.

Only a Secret can hold the certificates: files on the proxy's disk and foreign SDS servers are refused, as is everything else that is not written
here, because a TLS setting that is ignored weakens what was asked for.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from gloo_api.meta import PositiveDuration, ResourceRef, StrictModel

_SECRET = "Secret of type kubernetes.io/tls: tls.crt and tls.key are shown to the peer; ca.crt, when present, verifies the peer."  # noqa: S105
_SAN = "The peer's certificate must carry one of these subject alternative names (DNS name, URI, e-mail or IP address). Needs ca.crt in the Secret."


class ProtocolVersion(StrEnum):
    """A version of TLS; older ones are refused."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_2 = "TLSv1_2"
    TLSV1_3 = "TLSv1_3"


class CipherSuite(StrEnum):
    """Suites of TLS 1.2 with forward secrecy and authenticated encryption; those of TLS 1.3 cannot be chosen."""

    ECDHE_ECDSA_AES128_GCM_SHA256 = "ECDHE-ECDSA-AES128-GCM-SHA256"
    ECDHE_RSA_AES128_GCM_SHA256 = "ECDHE-RSA-AES128-GCM-SHA256"
    ECDHE_ECDSA_AES256_GCM_SHA384 = "ECDHE-ECDSA-AES256-GCM-SHA384"
    ECDHE_RSA_AES256_GCM_SHA384 = "ECDHE-RSA-AES256-GCM-SHA384"
    ECDHE_ECDSA_CHACHA20_POLY1305 = "ECDHE-ECDSA-CHACHA20-POLY1305"
    ECDHE_RSA_CHACHA20_POLY1305 = "ECDHE-RSA-CHACHA20-POLY1305"


class EcdhCurve(StrEnum):
    """Groups for the key exchange."""

    X25519 = "X25519"
    P_256 = "P-256"
    P_384 = "P-384"
    P_521 = "P-521"
    X25519_MLKEM768 = "X25519MLKEM768"


class SslParameters(StrictModel):
    """What is negotiated."""

    minimum_protocol_version: ProtocolVersion = Field(ProtocolVersion.TLS_AUTO, description="Lowest version. Default: TLSv1_2.")
    maximum_protocol_version: ProtocolVersion = Field(ProtocolVersion.TLS_AUTO, description="Highest version. Default: the highest there is.")
    cipher_suites: tuple[CipherSuite, ...] = Field((), description="Suites for TLS 1.2, best first. Default: Envoy's.")
    ecdh_curves: tuple[EcdhCurve, ...] = Field((), description="Groups for the key exchange, best first. Default: Envoy's.")


AlpnProtocol = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-+\x2D-~]+$")]
ServerName = Annotated[str, Field(max_length=255, pattern="^[!-~]*$")]
SniDomain = Annotated[str, Field(max_length=255, pattern=r"^(\*\.)?[^*\x00-\x20]+$")]


class UpstreamSslConfig(StrictModel):
    """TLS towards an upstream. Never below TLS 1.2."""

    secret_ref: ResourceRef | None = Field(None, description=_SECRET)
    sni: ServerName = Field("", description="Server name that is asked for in the handshake. Default: none.")
    verify_subject_alt_name: tuple[str, ...] = Field((), description=_SAN)
    parameters: SslParameters | None = Field(None, description="What is negotiated.")
    alpn_protocols: tuple[AlpnProtocol, ...] = Field(
        (), description='Protocols offered by ALPN. Default: what the Upstream speaks, "h2" or "http/1.1".'
    )
    allow_renegotiation: bool | None = Field(None, description="Let the server renegotiate, which is insecure. Default: false.")
    one_way_tls: bool | None = Field(None, description="Show no certificate to the server; it is verified all the same. Default: false.")


class SslConfig(StrictModel):
    """TLS that a Gateway terminates. Never below TLS 1.2."""

    secret_ref: ResourceRef | None = Field(None, description=f"{_SECRET} With ca.crt a client must show a certificate.")
    sni_domains: tuple[SniDomain, ...] = Field((), description='Server names, or "*.example.com", for which this is chosen. Default: any.')
    verify_subject_alt_name: tuple[str, ...] = Field((), description=_SAN)
    parameters: SslParameters | None = Field(None, description="What is negotiated.")
    alpn_protocols: tuple[AlpnProtocol, ...] = Field(
        (),
        description='Protocols offered by ALPN; ["allow_empty"] offers none. Default: "h2" and "http/1.1" for HTTP; "http/1.1" for TCP, whose bytes '
        "are passed on unread.",
    )
    one_way_tls: bool = Field(False, description="Do not ask clients for a certificate, even with ca.crt in the Secret. Default: false.")
    transport_socket_connect_timeout: PositiveDuration | None = Field(None, description='How long a handshake may take. Default: "15s".')
