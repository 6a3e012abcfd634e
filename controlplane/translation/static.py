"""Fixed hosts of an Upstream, and which server name each is asked for in a TLS handshake."""

from __future__ import annotations

from dataclasses import dataclass

from controlplane.translation import endpoints, wire
from controlplane.translation.endpoints import Endpoint
from controlplane.translation.health_check import warn_of_own_path
from controlplane.translation.reporter import Reporter
from controlplane.translation.sockets import Sockets
from controlplane.translation.types import Realise
from gloo_api.ssl import UpstreamSslConfig
from gloo_api.upstream import StaticHost, StaticUpstream, UpstreamSpec

_HTTPS = 443


def tls_config(spec: UpstreamSpec) -> UpstreamSslConfig | None:
    """TLS of the Upstream's own endpoints: `sslConfig`, else what Gloo does for static hosts with `useTls` or port 443: TLS that verifies nobody."""
    if spec.ssl_config is not None or spec.static is None:
        return spec.ssl_config
    wanted = spec.static.use_tls
    if wanted is None:
        wanted = any(host.port == _HTTPS for host in spec.static.hosts)
    return UpstreamSslConfig() if wanted else None


@dataclass(frozen=True)
class StaticTranslator:
    """Translates `spec.static`. `tls` is what `tls_config` says of the same Upstream."""

    spec: UpstreamSpec
    tls: UpstreamSslConfig | None
    sockets: Sockets
    realise: Realise
    report: Reporter

    def endpoints(self, static: StaticUpstream) -> tuple[Endpoint, ...]:
        """Raises UnusableTls."""
        endpoints.check_weights((host.load_balancing_weight for host in static.hosts), path="spec.static.hosts", report=self.report)
        rewrite = static.auto_sni_rewrite is not False
        if static.auto_sni_rewrite is not None and self.tls is None:
            self.report.warn("spec.static.autoSniRewrite", "has no effect without TLS")
        return tuple(self._endpoint(host, path=f"spec.static.hosts[{index}]", rewrite=rewrite) for index, host in enumerate(static.hosts))

    def _endpoint(self, host: StaticHost, *, path: str, rewrite: bool) -> Endpoint:
        if host.health_check_config is not None:
            warn_of_own_path(host.health_check_config, self.spec.health_checks, path=f"{path}.healthCheckConfig", report=self.report)
        if host.sni_addr and self.tls is None:
            self.report.warn(f"{path}.sniAddr", f'"{host.sni_addr}" has no effect without TLS; set spec.sslConfig')
        return Endpoint(
            host=endpoints.realised(host.addr, self.realise), port=host.port, weight=host.load_balancing_weight, tls=self._tls(host, rewrite=rewrite)
        )

    def _tls(self, host: StaticHost, *, rewrite: bool) -> str | None:
        """The settings of this host alone; None when those of the Upstream do as they are."""
        if self.tls is None:
            return None
        by_address = host.addr if rewrite and not wire.is_ip(host.addr) else ""
        sni = host.sni_addr or self.tls.sni or by_address
        return self.sockets.match(self.tls.model_copy(update={"sni": sni}), path="spec.sslConfig") if sni != self.tls.sni else None
