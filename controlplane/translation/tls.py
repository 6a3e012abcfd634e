"""TLS contexts: towards upstreams and towards clients.

Never below TLS 1.2. Certificates are named, not inlined (see secrets.py). A peer is verified exactly when the Secret has a ca.crt, as in Gloo; where
that means that nobody is verified, the caller is told by a warning.
"""

from __future__ import annotations

import ipaddress

from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2
from envoy.type.matcher.v3 import string_pb2

from controlplane.translation import wire
from controlplane.translation.reporter import Reporter
from controlplane.translation.secrets import SecretBook, UnusableSecret, authority_name, certificate_name, sds
from controlplane.translation.types import Key
from gloo_api.meta import ResourceRef
from gloo_api.ssl import SslConfig, UpstreamSslConfig

_SanType = common_pb2.SubjectAltNameMatcher.SanType


class UnusableTls(ValueError):
    """TLS settings that cannot be carried out. `path` is the field below the settings."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def upstream_tls(
    config: UpstreamSslConfig, *, secrets: SecretBook, namespace: str, alpn: str, path: str, report: Reporter
) -> tls_pb2.UpstreamTlsContext:
    """TLS towards an endpoint. `alpn` is what the Upstream speaks. Raises UnusableTls."""
    common = tls_pb2.CommonTlsContext(tls_params=_params(), alpn_protocols=config.alpn_protocols or (alpn,))
    verified = False
    if config.secret_ref is not None:
        verified = _certificates(common, config.secret_ref, config.verify_subject_alt_name, secrets=secrets, namespace=namespace)
    if config.verify_subject_alt_name and not verified:
        raise UnusableTls(
            "verifySubjectAltName", f"{list(config.verify_subject_alt_name)} cannot be verified: the Secret in secretRef needs a ca.crt"
        )
    if not verified:
        report.warn(f"{path}.secretRef", "the server is not verified, as there is no ca.crt; add ca.crt to the Secret and set verifySubjectAltName")
    return tls_pb2.UpstreamTlsContext(common_tls_context=common, sni=config.sni)


def downstream_tls(config: SslConfig, *, secrets: SecretBook, namespace: str, path: str, report: Reporter) -> tls_pb2.DownstreamTlsContext:
    """TLS that a listener terminates; clients must show a certificate exactly when there is a CA to verify it. Raises UnusableTls."""
    if config.secret_ref is None:
        raise UnusableTls("secretRef", "is required: only a Secret can hold the certificate")
    common = tls_pb2.CommonTlsContext(tls_params=_params(), alpn_protocols=config.alpn_protocols or ("http/1.1",))
    names = () if config.one_way_tls else config.verify_subject_alt_name
    verified = _certificates(common, config.secret_ref, names, secrets=secrets, namespace=namespace, verify=not config.one_way_tls)
    if config.verify_subject_alt_name and not verified:
        raise UnusableTls(
            "verifySubjectAltName",
            f"{list(config.verify_subject_alt_name)} cannot be verified: the Secret in secretRef needs a ca.crt, and oneWayTls be false",
        )
    if not verified:
        report.warn(path, "anyone can connect: clients are verified only with a ca.crt in the Secret and oneWayTls false")
    return tls_pb2.DownstreamTlsContext(common_tls_context=common, require_client_certificate=wire.boolean(verified))


def transport_socket(context: tls_pb2.UpstreamTlsContext | tls_pb2.DownstreamTlsContext) -> base_pb2.TransportSocket:
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=wire.pack(context))


def _params() -> common_pb2.TlsParameters:
    return common_pb2.TlsParameters(tls_minimum_protocol_version=common_pb2.TlsParameters.TLSv1_2)


def _certificates(
    common: tls_pb2.CommonTlsContext, ref: ResourceRef, names: tuple[str, ...], *, secrets: SecretBook, namespace: str, verify: bool = True
) -> bool:
    """Put our certificate, and how to verify the peer, into `common`. True when the peer is verified."""
    try:
        key, secret = secrets.use(ref, namespace=namespace)
    except UnusableSecret as error:
        raise UnusableTls("secretRef", str(error)) from None
    common.tls_certificate_sds_secret_configs.append(sds(certificate_name(key)))
    if not (verify and secret.ca):
        return False
    _validation(common, key, names)
    return True


def _validation(common: tls_pb2.CommonTlsContext, key: Key, names: tuple[str, ...]) -> None:
    if not names:
        common.validation_context_sds_secret_config.CopyFrom(sds(authority_name(key)))
        return
    common.combined_validation_context.CopyFrom(
        tls_pb2.CommonTlsContext.CombinedCertificateValidationContext(
            default_validation_context=common_pb2.CertificateValidationContext(match_typed_subject_alt_names=[_san(name) for name in names]),
            validation_context_sds_secret_config=sds(authority_name(key)),
        )
    )


def _san(name: str) -> common_pb2.SubjectAltNameMatcher:
    """Gloo's list does not say which type of name is meant; its form does."""
    return common_pb2.SubjectAltNameMatcher(san_type=_san_type(name), matcher=string_pb2.StringMatcher(exact=name))


def _san_type(name: str) -> int:
    if "://" in name:
        return int(_SanType.URI)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return int(_SanType.EMAIL if "@" in name else _SanType.DNS)
    return int(_SanType.IP_ADDRESS)
