"""TLS contexts: towards upstreams and towards clients.

Never below TLS 1.2. Certificates are named, not inlined (see secrets.py). A peer is verified exactly when the Secret has a ca.crt, as in Gloo; where
that means that nobody is verified, the caller is told.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from functools import lru_cache

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2
from envoy.type.matcher.v3 import string_pb2

from controlplane.translation import wire
from controlplane.translation.reporter import Reporter
from controlplane.translation.secrets import SecretBook, UnusableSecret, authority_name, certificate_name, sds
from controlplane.translation.types import Key
from gloo_api.meta import ResourceRef
from gloo_api.ssl import ProtocolVersion, SslConfig, SslParameters, UpstreamSslConfig

NO_ALPN = ("allow_empty",)
HANDSHAKE_TIMEOUT = timedelta(seconds=15)
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
    common = tls_pb2.CommonTlsContext(tls_params=_params(config.parameters), alpn_protocols=config.alpn_protocols or (alpn,))
    verified = False
    if config.secret_ref is not None:
        names = config.verify_subject_alt_name
        verified = _certificates(common, config.secret_ref, names, secrets=secrets, namespace=namespace, show=not config.one_way_tls)
    if config.verify_subject_alt_name and not verified:
        raise UnusableTls(
            "verifySubjectAltName", f"{list(config.verify_subject_alt_name)} cannot be verified: the Secret in secretRef needs a ca.crt"
        )
    if not verified:
        report.warn(f"{path}.secretRef", "the server is not verified, as there is no ca.crt; add ca.crt to the Secret and set verifySubjectAltName")
    return tls_pb2.UpstreamTlsContext(common_tls_context=common, sni=config.sni, allow_renegotiation=bool(config.allow_renegotiation))


def downstream_tls(config: SslConfig, *, secrets: SecretBook, namespace: str, alpn: tuple[str, ...]) -> tuple[tls_pb2.DownstreamTlsContext, bool]:
    """TLS that a listener terminates, and whether clients are verified: exactly when there is a CA to do it. `alpn`: default. Raises UnusableTls."""
    if config.secret_ref is None:
        raise UnusableTls("secretRef", "is required: only a Secret can hold the certificate")
    protocols = () if config.alpn_protocols == NO_ALPN else config.alpn_protocols or alpn
    common = tls_pb2.CommonTlsContext(tls_params=_params(config.parameters), alpn_protocols=protocols)
    names = () if config.one_way_tls else config.verify_subject_alt_name
    verified = _certificates(common, config.secret_ref, names, secrets=secrets, namespace=namespace, verify=not config.one_way_tls)
    if config.verify_subject_alt_name and not verified:
        raise UnusableTls(
            "verifySubjectAltName",
            f"{list(config.verify_subject_alt_name)} cannot be verified: the Secret in secretRef needs a ca.crt, and oneWayTls be false",
        )
    return tls_pb2.DownstreamTlsContext(common_tls_context=common, require_client_certificate=wire.boolean(verified)), verified


def terminate(chain: listener_components_pb2.FilterChain, config: SslConfig, *, secrets: SecretBook, namespace: str, alpn: tuple[str, ...]) -> bool:
    """Let a filter chain terminate TLS for its server names. True when clients are verified. Raises UnusableTls."""
    context, verified = downstream_tls(config, secrets=secrets, namespace=namespace, alpn=alpn)
    chain.transport_socket.CopyFrom(transport_socket(context))
    # A client that connects and never finishes its handshake would hold the connection for ever.
    chain.transport_socket_connect_timeout.CopyFrom(wire.duration(config.transport_socket_connect_timeout or HANDSHAKE_TIMEOUT))
    # Envoy compares with the name in lower case.
    chain.filter_chain_match.server_names.extend(name.lower() for name in config.sni_domains)
    return verified


def inspect(listener: listener_pb2.Listener) -> None:
    """Have the server name read. Without it no connection would find its filter chain or its cluster, even where TLS ends here."""
    config = wire.pack(tls_inspector_pb2.TlsInspector())
    listener.listener_filters.add(name="envoy.filters.listener.tls_inspector").typed_config.CopyFrom(config)


def transport_socket(context: tls_pb2.UpstreamTlsContext | tls_pb2.DownstreamTlsContext) -> base_pb2.TransportSocket:
    return base_pb2.TransportSocket(name="envoy.transport_sockets.tls", typed_config=wire.pack(context))


def _params(given: SslParameters | None) -> common_pb2.TlsParameters:
    if given is None:
        return common_pb2.TlsParameters(tls_minimum_protocol_version=common_pb2.TlsParameters.TLSv1_2)
    low = ProtocolVersion.TLSV1_2 if given.minimum_protocol_version is ProtocolVersion.TLS_AUTO else given.minimum_protocol_version
    if given.maximum_protocol_version is ProtocolVersion.TLSV1_2 and low is ProtocolVersion.TLSV1_3:
        raise UnusableTls("parameters.maximumProtocolVersion", "TLSv1_2 is not allowed: at least the minimum version, TLSv1_3")
    return common_pb2.TlsParameters(
        tls_minimum_protocol_version=common_pb2.TlsParameters.TlsProtocol.Value(low),
        tls_maximum_protocol_version=common_pb2.TlsParameters.TlsProtocol.Value(given.maximum_protocol_version),
        cipher_suites=dict.fromkeys(given.cipher_suites),
        ecdh_curves=dict.fromkeys(given.ecdh_curves),
    )


def _certificates(
    common: tls_pb2.CommonTlsContext,
    ref: ResourceRef,
    names: tuple[str, ...],
    *,
    secrets: SecretBook,
    namespace: str,
    show: bool = True,
    verify: bool = True,
) -> bool:
    """Put our certificate (`show`), and how to verify the peer (`verify`), into `common`. True when the peer is verified."""
    try:
        key, secret = secrets.use(ref, namespace=namespace)
    except UnusableSecret as error:
        raise UnusableTls("secretRef", str(error)) from None
    if show:
        common.tls_certificate_sds_secret_configs.append(sds(certificate_name(key)))
    if not (verify and secret.has_ca):
        return False
    _validation(common, key, names)
    return True


def _validation(common: tls_pb2.CommonTlsContext, key: Key, names: tuple[str, ...]) -> None:
    if not names:
        common.validation_context_sds_secret_config.CopyFrom(sds(authority_name(key)))
        return
    common.combined_validation_context.CopyFrom(_verification(key, names))


@lru_cache(maxsize=1024)
def _verification(key: Key, names: tuple[str, ...]) -> tls_pb2.CommonTlsContext.CombinedCertificateValidationContext:
    """To be copied. Nearly all endpoints of a cluster, and of all clusters, have the same."""
    return tls_pb2.CommonTlsContext.CombinedCertificateValidationContext(
        default_validation_context=common_pb2.CertificateValidationContext(match_typed_subject_alt_names=[_san(name) for name in names]),
        validation_context_sds_secret_config=sds(authority_name(key)),
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
