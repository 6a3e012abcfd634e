"""What Gloo's public API has and the models have not, by kind and path, and what means something else here. Data for support.py.

Names and meaning are those of the public definitions (solo-io/gloo, solo-io/solo-apis and solo-io/skv2, Apache-2.0), in our words. A part that is not
supported as a whole is one line; "refused" means that the object is rejected, because ignoring the field would serve more than was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

Notes = Mapping[str, str]

_REFUSED = "Refused."
_ENTERPRISE = "Refused. Enterprise."


def _below(prefix: str, notes: Notes) -> dict[str, str]:
    return {f"{prefix}.{path}": note for path, note in notes.items()}


_FILES_AND_SDS: Notes = {
    "sslFiles": "Refused: certificates on the proxy's disk; use secretRef, which is sent by SDS.",
    "sds": "Refused: a secret discovery service of the user's.",
}
_SSL: Notes = {
    **_FILES_AND_SDS,
    "disableTlsSessionResumption": _REFUSED,
    "ocspStaplePolicy": _REFUSED,
}
_DESTINATION: Notes = {
    "kube": "Refused: a Service without an Upstream; name the discovered Upstream, namespace-service-port.",
    "consul": "Refused.",
    "destinationSpec": "Refused: functions of AWS, Azure, REST and gRPC.",
    "subset": "Refused: a part of an Upstream's endpoints.",
}
_HEADERS: Notes = {"headerManipulation.requestHeadersToAdd[].headerSecretRef": "Refused: a value from a Secret."}
_WEIGHTED_OPTIONS: Notes = {
    **_HEADERS,
    "transformations": "",
    "stagedTransformations": "",
    "extensions": "",
    "extauth": _ENTERPRISE,
    "bufferPerRoute": _REFUSED,
    "csrf": _REFUSED,
}
_ROUTE_AND_HOST: Notes = {
    **_HEADERS,
    "extensions": "",
    "cors": "",
    "transformations": "",
    "stagedTransformations": "",
    "ratelimitBasic": _ENTERPRISE,
    "ratelimitEarly": _ENTERPRISE,
    "rateLimitEarlyConfigs": _ENTERPRISE,
    "ratelimit": _ENTERPRISE,
    "rateLimitConfigs": _ENTERPRISE,
    "ratelimitRegular": _ENTERPRISE,
    "rateLimitRegularConfigs": _ENTERPRISE,
    "waf": _ENTERPRISE,
    "jwt": _ENTERPRISE,
    "jwtStaged": _ENTERPRISE,
    "rbac": _ENTERPRISE,
    "extauth": _ENTERPRISE,
    "dlp": _ENTERPRISE,
    "bufferPerRoute": _REFUSED,
    "csrf": _REFUSED,
    "extProc": _ENTERPRISE,
}
_ROUTE = "spec.virtualHost.routes[]"
_TCP_HOST = "spec.tcpGateway.tcpHosts[]"
_LB_ENDPOINT = "spec.failover.prioritizedLocalities[].localityEndpoints[].lbEndpoints[]"

UNSUPPORTED: Mapping[str, Notes] = {
    "Upstream": {
        "spec.discoveryMetadata": "",
        "spec.pipe": "A Unix socket.",
        "spec.aws": "",
        "spec.azure": "",
        "spec.consul": "",
        "spec.awsEc2": "",
        "spec.gcp": "",
        "spec.ai": "",
        "spec.kube.serviceSpec": "",
        "spec.kube.subsetSpec": "",
        "spec.static.serviceSpec": "Refused.",
        "spec.static.hosts[].metadata": "",
        "spec.protocolSelection": "",
        "spec.initialStreamWindowSize": "",
        "spec.initialConnectionWindowSize": "",
        "spec.maxConcurrentStreams": "",
        "spec.overrideStreamErrorOnInvalidHttpMessage": "",
        "spec.httpProxyHostname": "",
        "spec.httpConnectSslConfig": "",
        "spec.httpConnectHeaders": "",
        "spec.respectDnsTtl": "",
        "spec.dnsRefreshRate": "",
        "spec.proxyProtocolVersion": "",
        "spec.preconnectPolicy": "",
        "spec.disableIstioAutoMtls": "There is no automatic mutual TLS.",
        "spec.loadBalancerConfig.useHostnameForHashing": "",
        "spec.healthChecks[].customHealthCheck": "",
        "spec.healthChecks[].httpHealthCheck.responseAssertions": "Enterprise.",
        "spec.healthChecks[].httpHealthCheck.requestHeadersToAdd[].headerSecretRef": "Refused: a value from a Secret.",
        "spec.healthChecks[].grpcHealthCheck.initialMetadata[].headerSecretRef": "Refused: a value from a Secret.",
        **_below("spec.sslConfig", _FILES_AND_SDS),
        **_below(f"{_LB_ENDPOINT}.upstreamSslConfig", _FILES_AND_SDS),
        f"{_LB_ENDPOINT}.metadata": "",
    },
    "Gateway": {
        "spec.hybridGateway": "Refused: HTTP and TCP on one port.",
        "spec.routeOptions": "",
        "spec.options.accessLoggingService": "",
        "spec.options.extensions": "",
        "spec.options.socketOptions": "",
        "spec.options.proxyProtocol": "Use useProxyProto.",
        "spec.options.connectionBalanceConfig": "",
        "spec.options.listenerAccessLoggingService": "",
        "spec.options.tcpStats": "",
        "spec.httpGateway.options.grpcWeb": "",
        "spec.httpGateway.options.httpConnectionManagerSettings": "",
        "spec.httpGateway.options.healthCheck": "",
        "spec.httpGateway.options.extensions": "",
        "spec.httpGateway.options.waf": _ENTERPRISE,
        "spec.httpGateway.options.dlp": _ENTERPRISE,
        "spec.httpGateway.options.wasm": "Enterprise.",
        "spec.httpGateway.options.extauth": _ENTERPRISE,
        "spec.httpGateway.options.ratelimitServer": _ENTERPRISE,
        "spec.httpGateway.options.caching": "Enterprise.",
        "spec.httpGateway.options.disableExtProc": "Enterprise.",
        "spec.httpGateway.options.extProc": _ENTERPRISE,
        "spec.httpGateway.options.gzip": "",
        "spec.httpGateway.options.proxyLatency": "Enterprise.",
        "spec.httpGateway.options.buffer": _REFUSED,
        "spec.httpGateway.options.csrf": _REFUSED,
        "spec.httpGateway.options.grpcJsonTranscoder": "",
        "spec.httpGateway.options.sanitizeClusterHeader": _ENTERPRISE,
        "spec.httpGateway.options.leftmostXffAddress": "Enterprise.",
        "spec.httpGateway.options.dynamicForwardProxy": "",
        "spec.httpGateway.options.connectionLimit": _REFUSED,
        "spec.httpGateway.options.networkLocalRatelimit": _REFUSED,
        "spec.httpGateway.options.httpLocalRatelimit": _REFUSED,
        "spec.httpGateway.options.router": "",
        "spec.httpGateway.options.tap": "Enterprise.",
        "spec.httpGateway.options.statefulSession": "Enterprise.",
        "spec.httpGateway.options.headerValidationSettings": _REFUSED,
        "spec.tcpGateway.options.connectionLimit": _REFUSED,
        "spec.tcpGateway.options.localRatelimit": _REFUSED,
        "spec.tcpGateway.options.tcpProxySettings.tunnelingConfig": "",
        "spec.tcpGateway.options.tcpProxySettings.accessLogFlushInterval": "",
        **_below(f"{_TCP_HOST}.sslConfig", _SSL),
        f"{_TCP_HOST}.destination.upstreamGroup": "Refused: use multi.",
        **_below(f"{_TCP_HOST}.destination.single", _DESTINATION),
        **_below(f"{_TCP_HOST}.destination.multi.destinations[].destination", _DESTINATION),
    },
    "VirtualService": {
        **_below("spec.sslConfig", _SSL),
        "spec.virtualHost.optionsConfigRefs": "Refused: options in another object.",
        **_below("spec.virtualHost.options", _ROUTE_AND_HOST),
        "spec.virtualHost.options.stats": "",
        "spec.virtualHost.options.corsPolicyMergeSettings": "",
        f"{_ROUTE}.matchers[].connectMatcher": _REFUSED,
        f"{_ROUTE}.graphqlApiRef": _ENTERPRISE,
        f"{_ROUTE}.optionsConfigRefs": "Refused: options in another object.",
        f"{_ROUTE}.routeAction.upstreamGroup": "Refused: use multi.",
        f"{_ROUTE}.routeAction.clusterHeader": _REFUSED,
        f"{_ROUTE}.routeAction.dynamicForwardProxy": _REFUSED,
        **_below(f"{_ROUTE}.routeAction.single", _DESTINATION),
        **_below(f"{_ROUTE}.routeAction.multi.destinations[].destination", _DESTINATION),
        **_below(f"{_ROUTE}.routeAction.multi.destinations[].options", _WEIGHTED_OPTIONS),
        **_below(f"{_ROUTE}.options", _ROUTE_AND_HOST),
        f"{_ROUTE}.options.faults": "",
        f"{_ROUTE}.options.tracing": "",
        f"{_ROUTE}.options.shadowing": "",
        f"{_ROUTE}.options.lbHash": "",
        f"{_ROUTE}.options.upgrades": "WebSocket upgrades pass in any case.",
        f"{_ROUTE}.options.jwtProvidersStaged": _ENTERPRISE,
        f"{_ROUTE}.options.envoyMetadata": "",
        f"{_ROUTE}.options.maxStreamDuration": "",
        f"{_ROUTE}.options.ai": "Enterprise.",
        f"{_ROUTE}.options.regexRewrite.pattern.googleRe2.maxProgramSize": "1024, Gloo's default.",
    },
    "GlooInstance": {
        "spec.check": "Counts of resources with errors and warnings.",
        "spec.proxies[].wasmEnabled": "",
        "spec.proxies[].readConfigMulticlusterEnabled": "",
        "spec.admin.proxyId": "",
    },
}

_OWN_PATH = "Enterprise: Envoy has one path and method for a whole health check. Reported in the status."
_TLS_1_2 = "Lowest version. Default: TLSv1_2; lower ones are refused."
_TRIES = "Tries after the first one; 0 means none, where Gloo takes it for 1. Default: 1."
_FREQUENCY = "After how many tries the priorities are chosen anew. 0 is refused: it aborts Envoy. Default: 1."
_STATIC_CHECK = "spec.static.hosts[].healthCheckConfig"

DIFFERENT: Mapping[str, Notes] = {
    "Upstream": {
        f"{_LB_ENDPOINT}.healthCheckConfig.path": _OWN_PATH,
        f"{_LB_ENDPOINT}.healthCheckConfig.method": _OWN_PATH,
        f"{_STATIC_CHECK}.path": _OWN_PATH,
        f"{_STATIC_CHECK}.method": _OWN_PATH,
        "spec.healthChecks[].noTrafficInterval": "Interval until there is traffic. Default: the interval; Gloo's 60 s would hide a failure.",
        "spec.loadBalancerConfig.updateMergeWindow": "Time in which changes are collected. Default: none; Gloo's is 1 s.",
        **{
            f"spec.circuitBreakers.{name}": f"{what} at a time. Default: 1024; no limit with failover."
            for name, what in (("maxConnections", "Connections"), ("maxPendingRequests", "Waiting requests"), ("maxRequests", "Requests"))
        },
        "spec.circuitBreakers.maxRetries": "Retries at a time. Default: 3; no limit with failover, because all requests in flight retry at once.",
        "spec.healthChecks": "Active health checks; failover needs one. More than one is refused, as Envoy does. Default: none.",
        "spec.sslConfig.oneWayTls": "Show no certificate to the server; it is verified all the same. Default: false.",
        "spec.sslConfig.parameters.minimumProtocolVersion": _TLS_1_2,
        f"{_LB_ENDPOINT}.upstreamSslConfig.parameters.minimumProtocolVersion": _TLS_1_2,
        "spec.loadBalancerConfig.maglev": "By hash, in a table. With failover a retry cannot leave a failed priority, and the status warns of it.",
        "spec.loadBalancerConfig.ringHash": "By hash. With failover a retry cannot leave a failed priority, and the status warns of it.",
        "spec.static.hosts[].sniAddr": "Server name to ask for. Default: sslConfig.sni, which Gloo overlooks, else addr when it is a name.",
        "spec.ignoreHealthOnHostRemoval": "Stop using an endpoint that is gone even if it passes its health check. Default: true; Gloo's is false.",
    },
    "Gateway": {
        f"{_TCP_HOST}.sslConfig.alpnProtocols": 'Protocols offered by ALPN. Default: "http/1.1", as bytes pass unread; Gloo\'s has "h2" too.',
        f"{_TCP_HOST}.sslConfig.parameters.minimumProtocolVersion": _TLS_1_2,
        f"{_TCP_HOST}.destination.forwardSniClusterName": (
            "Connections go to the cluster that their server name says. Without sniDomains that is any Upstream, and the status warns of it."
        ),
        "spec.httpGateway.virtualServices[].namespace": "Namespace of the VirtualService; empty means any.",
    },
    "VirtualService": {
        f"{_ROUTE}.options.retries.numRetries": _TRIES,
        f"{_ROUTE}.options.retries.previousPriorities.updateFrequency": _FREQUENCY,
        "spec.virtualHost.options.retries.numRetries": _TRIES,
        "spec.virtualHost.options.retries.previousPriorities.updateFrequency": _FREQUENCY,
        f"{_ROUTE}.matchers[].methods": "HTTP methods. A delegated route gets those alone that its parent has too; in Gloo it can add others.",
        f"{_ROUTE}.delegateAction.ref.namespace": "Namespace of the RouteTable. Default: that of the object with this action; Gloo needs it.",
        f"{_ROUTE}.matchers[].headers[].invertMatch": (
            "Match the requests that would not match otherwise, those without the header too, as Gloo documents it (Envoy alone leaves those out)."
        ),
        f"{_ROUTE}.matchers[].regex": "Regular expression of RE2 for the whole path. In a RouteTable nothing outside of the parent's prefix.",
        "spec.sslConfig.parameters.minimumProtocolVersion": _TLS_1_2,
    },
}

OURS: Mapping[str, tuple[str, ...]] = {
    "Upstream": ("status.failover",),
    "FailoverScheme": ("status.serving", "status.standbyProven", "status.tiers"),
}
"""Beginnings of paths that Gloo has not."""
