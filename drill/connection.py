"""What is wrong with the connection from the primary's proxy to the standby's failover gateway, by what both sides have configured. Pure."""

from __future__ import annotations

import base64
import binascii
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from gloo_api.names import UPSTREAM_SECRET
from service_failover.names import DOWNSTREAM_SECRET

Manifest = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Both sides of it."""

    upstream: Manifest | None
    """The primary, whose failover says what is asked for."""
    gateways: Sequence[Manifest]
    """Those of the standby's cluster."""
    client_secret: Manifest | None
    server_secret: Manifest | None
    clusters: tuple[str, str]
    """Names of the primary's and the standby's cluster."""


def connection_causes(connection: Connection, *, now: datetime) -> Iterator[str]:
    """A sentence for each thing that keeps the two from trusting or finding each other."""
    home, away = connection.clusters
    client = _Identity.read(connection.client_secret, title=f"Secret {UPSTREAM_SECRET!r} in {home}")
    server = _Identity.read(connection.server_secret, title=f"Secret {DOWNSTREAM_SECRET!r} in {away}")
    for side in (client, server):
        yield from side.faults(now=now)
    asked = _asked(connection.upstream)
    hosts = [host for gateway in connection.gateways for host in (gateway["spec"].get("tcpGateway") or {}).get("tcpHosts", [])]
    served = [name for host in hosts for name in (host.get("sslConfig") or {}).get("sniDomains", [])]
    accepted = [name for host in hosts for name in (host.get("sslConfig") or {}).get("verifySubjectAltName", [])]
    if not hosts:
        yield f"{away} has no failover Gateway: there is no way to the standby"
    for name in sorted({config["sni"] for config in asked if config.get("sni")}):
        if served and not any(fnmatch.fnmatchcase(name, pattern) for pattern in served):
            only = ", ".join(served)
            yield f"the primary's proxy asks {away} for the server name {name!r} (SNI), and the failover Gateway there serves only {only}"
    expected = sorted({name for config in asked for name in config.get("verifySubjectAltName", [])})
    yield from server.not_trusted_by(client, names=expected)
    yield from client.not_trusted_by(server, names=accepted)


def _asked(upstream: Manifest | None) -> list[Mapping[str, Any]]:
    """The TLS settings of the primary's failover endpoints."""
    failover = ((upstream or {}).get("spec") or {}).get("failover") or {}
    return [
        endpoint["upstreamSslConfig"]
        for priority in failover.get("prioritizedLocalities", [])
        for locality in priority.get("localityEndpoints", [])
        for endpoint in locality.get("lbEndpoints", [])
        if endpoint.get("upstreamSslConfig")
    ]


@dataclass(frozen=True, kw_only=True)
class _Identity:
    """What one side shows and whom it trusts, as far as its Secret can be read. Its key is not looked at."""

    title: str
    problems: tuple[str, ...]
    certificate: x509.Certificate | None = None
    authorities: tuple[x509.Certificate, ...] = ()

    @classmethod
    def read(cls, secret: Manifest | None, *, title: str) -> _Identity:
        if secret is None:
            return cls(title=title, problems=(f"{title} is missing: without it there is no connection to the standby",))
        data = secret.get("data") or {}
        problems = [f"{title} has no {name}" for name in ("tls.crt", "tls.key", "ca.crt") if not data.get(name)]
        found = {}
        for name in ("tls.crt", "ca.crt"):
            try:
                found[name] = tuple(x509.load_pem_x509_certificates(base64.b64decode(data[name]))) if data.get(name) else ()
            except (ValueError, binascii.Error):
                problems.append(f"{title}: {name} is no PEM certificate")
        leaves = found.get("tls.crt", ())
        return cls(title=title, problems=tuple(problems), certificate=leaves[0] if leaves else None, authorities=found.get("ca.crt", ()))

    def faults(self, *, now: datetime) -> Iterator[str]:
        yield from self.problems
        for what, certificates in (("its certificate", [self.certificate] if self.certificate else []), ("its authority", self.authorities)):
            over = [each for each in certificates if each.not_valid_after_utc < now]
            early = [each for each in certificates if each.not_valid_before_utc > now]
            # Of several authorities, as a rotation has them, one that is good is enough.
            if over and len(over) == len(certificates):
                yield f"{self.title}: {what} has expired, on {max(each.not_valid_after_utc for each in over):%Y-%m-%d %H:%M:%S} UTC"
            elif early and len(early) == len(certificates):
                yield f"{self.title}: {what} is not valid before {min(each.not_valid_before_utc for each in early):%Y-%m-%d %H:%M:%S} UTC"

    def not_trusted_by(self, other: _Identity, *, names: Sequence[str]) -> Iterator[str]:
        """Why the other side refuses the certificate, besides its dates. `names`: of which it must have one."""
        if self.certificate is None:
            return
        if other.authorities and not any(_issued(self.certificate, by=each) for each in other.authorities):
            yield f"{self.title}: its certificate is of no authority that {other.title} has in ca.crt"
        has = _names(self.certificate)
        if names and not set(names) & set(has):
            yield f"{self.title}: its certificate is for {', '.join(has) or 'nobody'}; the other side expects {' or '.join(names)}"


def _issued(certificate: x509.Certificate, *, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return []
