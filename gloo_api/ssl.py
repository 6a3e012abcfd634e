"""TLS settings of Upstreams and Gateways.

Only a Secret can hold the certificates: files on the proxy's disk and foreign SDS servers are refused, as is everything else that is not written
here, because a TLS setting that is ignored weakens what was asked for.
"""

from __future__ import annotations

from pydantic import Field

from gloo_api.meta import ResourceRef, StrictModel

_SECRET = "Secret of type kubernetes.io/tls: tls.crt and tls.key are shown to the peer; ca.crt, when present, verifies the peer."  # noqa: S105
_SAN = "The peer's certificate must carry one of these subject alternative names (DNS name, URI, e-mail or IP address). Needs ca.crt in the Secret."


class UpstreamSslConfig(StrictModel):
    """TLS towards an upstream. Never below TLS 1.2."""

    secret_ref: ResourceRef | None = Field(None, description=_SECRET)
    sni: str = Field("", description="Server name that is asked for in the handshake. Default: none.")
    verify_subject_alt_name: tuple[str, ...] = Field((), description=_SAN)
    alpn_protocols: tuple[str, ...] = Field((), description='Protocols offered by ALPN. Default: what the Upstream speaks, "h2" or "http/1.1".')


class SslConfig(StrictModel):
    """TLS that a Gateway terminates. Never below TLS 1.2."""

    secret_ref: ResourceRef | None = Field(None, description=f"{_SECRET} With ca.crt a client must show a certificate.")
    sni_domains: tuple[str, ...] = Field((), description="Server names for which this host is chosen. Default: any.")
    verify_subject_alt_name: tuple[str, ...] = Field((), description=_SAN)
    alpn_protocols: tuple[str, ...] = Field((), description='Protocols offered by ALPN. Default: "http/1.1", as the bytes are passed on unread.')
    one_way_tls: bool = Field(False, description="Do not ask clients for a certificate, even with ca.crt in the Secret. Default: false.")
