"""Fields of an Upstream and what each becomes, for the table tests and for the real Envoy."""

from __future__ import annotations

import re
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from translation_support import HEALTH_CHECK, NAMESPACE, SSL_CONFIG, unpacked

_OUTLIER = {
    "consecutive5xx": "consecutive_5xx.value",
    "maxEjectionPercent": "max_ejection_percent.value",
    "enforcingConsecutive5xx": "enforcing_consecutive_5xx.value",
    "enforcingSuccessRate": "enforcing_success_rate.value",
    "successRateMinimumHosts": "success_rate_minimum_hosts.value",
    "successRateRequestVolume": "success_rate_request_volume.value",
    "successRateStdevFactor": "success_rate_stdev_factor.value",
    "consecutiveGatewayFailure": "consecutive_gateway_failure.value",
    "enforcingConsecutiveGatewayFailure": "enforcing_consecutive_gateway_failure.value",
    "consecutiveLocalOriginFailure": "consecutive_local_origin_failure.value",
    "enforcingConsecutiveLocalOriginFailure": "enforcing_consecutive_local_origin_failure.value",
    "enforcingLocalOriginSuccessRate": "enforcing_local_origin_success_rate.value",
}
_SLOW = {"slowStartWindow": "3s", "aggression": 2.5, "minWeightPercent": 20}
_HTTP = "typed_extension_protocol_options"


def check(**more: Any) -> dict[str, Any]:
    """A health check of another kind than HTTP."""
    return {name: value for name, value in HEALTH_CHECK.items() if name != "httpHealthCheck"} | more


def lb(**config: Any) -> dict[str, Any]:
    return {"loadBalancerConfig": config}


def connection(**config: Any) -> dict[str, Any]:
    return {"connectionConfig": config}


FIELDS: list[tuple[dict[str, Any], str, Any]] = [
    *(({"outlierDetection": {name: 42}}, f"outlier_detection.{path}", 42) for name, path in _OUTLIER.items()),
    ({"outlierDetection": {"interval": "2s"}}, "outlier_detection.interval.seconds", 2),
    ({"outlierDetection": {"baseEjectionTime": "900s"}}, "outlier_detection.base_ejection_time.seconds", 900),
    ({"outlierDetection": {"splitExternalLocalOriginErrors": True}}, "outlier_detection.split_external_local_origin_errors", True),
    ({"outlierDetection": {}}, "outlier_detection.always_eject_one_host.value", True),
    (lb(healthyPanicThreshold=12.5), "common_lb_config.healthy_panic_threshold.value", 12.5),
    (lb(updateMergeWindow="0.25s"), "common_lb_config.update_merge_window.nanos", 250_000_000),
    (lb(closeConnectionsOnHostSetChange=True), "common_lb_config.close_connections_on_host_set_change", True),
    (lb(roundRobin={}), "lb_policy", Cluster.ROUND_ROBIN),
    (lb(roundRobin={"slowStartConfig": _SLOW}), "round_robin_lb_config.slow_start_config.slow_start_window.seconds", 3),
    (lb(roundRobin={"slowStartConfig": _SLOW}), "round_robin_lb_config.slow_start_config.aggression.default_value", 2.5),
    (lb(leastRequest={"slowStartConfig": _SLOW}), "least_request_lb_config.slow_start_config.min_weight_percent.value", 20),
    (lb(leastRequest={}), "lb_policy", Cluster.LEAST_REQUEST),
    (lb(leastRequest={"choiceCount": 5}), "least_request_lb_config.choice_count.value", 5),
    (lb(random={}), "lb_policy", Cluster.RANDOM),
    (lb(maglev={}), "lb_policy", Cluster.MAGLEV),
    (lb(ringHash={}), "lb_policy", Cluster.RING_HASH),
    (lb(ringHash={"ringHashConfig": {"minimumRingSize": 64, "maximumRingSize": 128}}), "ring_hash_lb_config.minimum_ring_size.value", 64),
    (lb(ringHash={"ringHashConfig": {"maximumRingSize": 2048}}), "ring_hash_lb_config.maximum_ring_size.value", 2048),
    ({"circuitBreakers": {"maxConnections": 1}}, "circuit_breakers.thresholds[0].max_connections.value", 1),
    ({"circuitBreakers": {"maxPendingRequests": 0}}, "circuit_breakers.thresholds[0].max_pending_requests.value", 0),
    ({"circuitBreakers": {"maxRequests": 3}}, "circuit_breakers.thresholds[0].max_requests.value", 3),
    ({"circuitBreakers": {"maxRetries": 4}}, "circuit_breakers.thresholds[0].max_retries.value", 4),
    (connection(connectTimeout="0.5s"), "connect_timeout.nanos", 500_000_000),
    (connection(perConnectionBufferLimitBytes=4096), "per_connection_buffer_limit_bytes.value", 4096),
    (connection(tcpKeepalive={"keepaliveProbes": 127}), "upstream_connection_options.tcp_keepalive.keepalive_probes.value", 127),
    (connection(tcpKeepalive={"keepaliveTime": "32767s"}), "upstream_connection_options.tcp_keepalive.keepalive_time.value", 32767),
    (connection(tcpKeepalive={"keepaliveInterval": "0.1s"}), "upstream_connection_options.tcp_keepalive.keepalive_interval.value", 1),
    (connection(maxRequestsPerConnection=9), f"{_HTTP}.common_http_protocol_options.max_requests_per_connection.value", 9),
    (connection(commonHttpProtocolOptions={"idleTimeout": "0s"}), f"{_HTTP}.common_http_protocol_options.idle_timeout.seconds", 0),
    (connection(commonHttpProtocolOptions={"maxHeadersCount": 8}), f"{_HTTP}.common_http_protocol_options.max_headers_count.value", 8),
    (connection(commonHttpProtocolOptions={"maxStreamDuration": "7s"}), f"{_HTTP}.common_http_protocol_options.max_stream_duration.seconds", 7),
    (
        connection(commonHttpProtocolOptions={"headersWithUnderscoresAction": "DROP_HEADER"}),
        f"{_HTTP}.common_http_protocol_options.headers_with_underscores_action",
        2,
    ),
    (connection(http1ProtocolOptions={"enableTrailers": True}), f"{_HTTP}.explicit_http_config.http_protocol_options.enable_trailers", True),
    (
        connection(http1ProtocolOptions={"overrideStreamErrorOnInvalidHttpMessage": True}),
        f"{_HTTP}.explicit_http_config.http_protocol_options.override_stream_error_on_invalid_http_message.value",
        True,
    ),
    (
        connection(http1ProtocolOptions={"preserveCaseHeaderKeyFormat": True}),
        f"{_HTTP}.explicit_http_config.http_protocol_options.header_key_format.stateful_formatter.name",
        "envoy.http.stateful_header_formatters.preserve_case",
    ),
    (
        connection(http1ProtocolOptions={"properCaseHeaderKeyFormat": True}),
        f"{_HTTP}.explicit_http_config.http_protocol_options.header_key_format.WhichOneof(header_format)",
        "proper_case_words",
    ),
    ({"healthChecks": [check(tcpHealthCheck={})]}, "health_checks[0].WhichOneof(health_checker)", "tcp_health_check"),
    ({"healthChecks": [check(tcpHealthCheck={"send": {"text": "50494E47"}})]}, "health_checks[0].tcp_health_check.send.text", "50494E47"),
    (
        {"healthChecks": [check(tcpHealthCheck={"receive": [{"text": "aa"}, {"text": "BB"}]})]},
        "health_checks[0].tcp_health_check.receive[1].text",
        "BB",
    ),
    ({"useHttp2": True, "healthChecks": [check(grpcHealthCheck={})]}, "health_checks[0].WhichOneof(health_checker)", "grpc_health_check"),
    (
        {"useHttp2": True, "healthChecks": [check(grpcHealthCheck={"serviceName": "s", "authority": "a"})]},
        "health_checks[0].grpc_health_check.service_name",
        "s",
    ),
    (
        {"useHttp2": True, "healthChecks": [check(grpcHealthCheck={"initialMetadata": [{"header": {"key": "k", "value": "%HOSTNAME% 100%%"}}]})]},
        "health_checks[0].grpc_health_check.initial_metadata[0].header.value",
        "%HOSTNAME% 100%%",
    ),
    (
        {"healthChecks": [check(httpHealthCheck={"path": "/", "requestHeadersToRemove": ["x-a"]})]},
        "health_checks[0].http_health_check.request_headers_to_remove[0]",
        "x-a",
    ),
    ({"healthChecks": [check(httpHealthCheck={"path": "/", "method": "HEAD"})]}, "health_checks[0].http_health_check.method", 2),
    ({"healthChecks": [check(httpHealthCheck={"path": "/", "useHttp2": True})]}, "health_checks[0].http_health_check.codec_client_type", 1),
]
"""What the user writes below `spec`; a field of the Envoy cluster; its value."""

TLS_FIELDS: list[tuple[dict[str, Any], str, Any]] = [
    ({"parameters": {"minimumProtocolVersion": "TLSv1_3"}}, "common_tls_context.tls_params.tls_minimum_protocol_version", 4),
    ({"parameters": {"maximumProtocolVersion": "TLSv1_2"}}, "common_tls_context.tls_params.tls_maximum_protocol_version", 3),
    ({"parameters": {"minimumProtocolVersion": "TLS_AUTO"}}, "common_tls_context.tls_params.tls_minimum_protocol_version", 3),
    (
        {"parameters": {"cipherSuites": ["ECDHE-ECDSA-AES128-GCM-SHA256"]}},
        "common_tls_context.tls_params.cipher_suites[0]",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    ({"parameters": {"ecdhCurves": ["X25519", "P-256"]}}, "common_tls_context.tls_params.ecdh_curves[1]", "P-256"),
    ({"alpnProtocols": ["h2", "http/1.1"]}, "common_tls_context.alpn_protocols[1]", "http/1.1"),
    ({"allowRenegotiation": True}, "allow_renegotiation", True),
    ({"sni": "a.b"}, "sni", "a.b"),
]
"""What the user writes below a TLS configuration; a field of Envoy's; its value."""

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"healthChecks": [check()]}, "spec.healthChecks[0]: needs exactly one of"),
    ({"healthChecks": [check(tcpHealthCheck={}, httpHealthCheck={"path": "/"})]}, "spec.healthChecks[0]: needs exactly one of"),
    ({"healthChecks": [check(grpcHealthCheck={})]}, "spec.healthChecks[0].grpcHealthCheck: needs spec.useHttp2: true"),
    (
        {"healthChecks": [check(httpHealthCheck={"path": "/", "expectedStatuses": [{"start": 300, "end": 300}]})]},
        "spec.healthChecks[0].httpHealthCheck.expectedStatuses[0]: 300 to 300 is empty",
    ),
    ({"healthChecks": [check(tcpHealthCheck={}), check(httpHealthCheck={"path": "/"})]}, "spec.healthChecks[1]: is one too many"),
    (lb(random={}, maglev={}), "spec.loadBalancerConfig: has 2 ways to spread requests"),
    (lb(leastRequest={"choiceCount": 1}), "spec.loadBalancerConfig.leastRequest.choiceCount: 1 is not allowed"),
    (lb(ringHash={"ringHashConfig": {"maximumRingSize": 10}}), "spec.loadBalancerConfig.ringHash.ringHashConfig.maximumRingSize: 10 is not allowed"),
    (
        connection(http1ProtocolOptions={"properCaseHeaderKeyFormat": True, "preserveCaseHeaderKeyFormat": True}),
        "spec.connectionConfig.http1ProtocolOptions: has two header formats",
    ),
    (
        {"sslConfig": {**SSL_CONFIG, "parameters": {"minimumProtocolVersion": "TLSv1_3", "maximumProtocolVersion": "TLSv1_2"}}},
        "spec.sslConfig.parameters.maximumProtocolVersion: TLSv1_2 is not allowed",
    ),
    (
        {"sslConfig": {"secretRef": {"name": "missing", "namespace": NAMESPACE}}},
        f"spec.sslConfig.secretRef: Secret {NAMESPACE}/missing does not exist",
    ),
]
"""What the user writes below `spec` and Envoy would refuse; what the status says."""

MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"outlierDetection": {"maxEjectionPercent": 101}}, "spec.outlierDetection.maxEjectionPercent: 101 is not allowed"),
    ({"outlierDetection": {"interval": "0s"}}, 'spec.outlierDetection.interval: "0s" is not allowed'),
    (lb(healthyPanicThreshold=101), "spec.loadBalancerConfig.healthyPanicThreshold: 101"),
    (lb(ringHash={"ringHashConfig": {"maximumRingSize": 2**30}}), "spec.loadBalancerConfig.ringHash.ringHashConfig.maximumRingSize"),
    (connection(tcpKeepalive={"keepaliveProbes": 128}), "spec.connectionConfig.tcpKeepalive.keepaliveProbes: 128 is not allowed"),
    (
        connection(tcpKeepalive={"keepaliveTime": "32768s"}),
        'spec.connectionConfig.tcpKeepalive.keepaliveTime: "32768s" is not allowed: at most "32767s"',
    ),
    (connection(perConnectionBufferLimitBytes=0), "spec.connectionConfig.perConnectionBufferLimitBytes: 0 is not allowed"),
    (connection(connectTimeout="99999999999999999999s"), 'spec.connectionConfig.connectTimeout: "99999999999999999999s" is not allowed'),
    (connection(connectTimeout="99999999999999999999h"), 'spec.connectionConfig.connectTimeout: "99999999999999999999h" is not allowed'),
    ({"healthChecks": [check(tcpHealthCheck={"send": {"text": "abc"}})]}, "spec.healthChecks[0].tcpHealthCheck.send.text"),
    ({"healthChecks": [check(httpHealthCheck={"path": "/a\nb"})]}, "spec.healthChecks[0].httpHealthCheck.path"),
    ({"healthChecks": [check(httpHealthCheck={"path": "/", "method": "CONNECT"})]}, "spec.healthChecks[0].httpHealthCheck.method"),
    (
        {"healthChecks": [check(httpHealthCheck={"path": "/", "requestHeadersToAdd": [{"header": {"key": "x", "value": "100%"}}]})]},
        'spec.healthChecks[0].httpHealthCheck.requestHeadersToAdd[0].header.value: "100%" is not allowed',
    ),
    (
        {"healthChecks": [check(httpHealthCheck={"path": "/", "requestHeadersToAdd": [{"header": {"key": "Host", "value": "a"}}]})]},
        'spec.healthChecks[0].httpHealthCheck.requestHeadersToAdd[0].header.key: "Host" is not allowed',
    ),
    (
        {"healthChecks": [check(httpHealthCheck={"path": "/", "requestHeadersToRemove": ["host"]})]},
        'spec.healthChecks[0].httpHealthCheck.requestHeadersToRemove[0]: "host" is not allowed',
    ),
    ({"sslConfig": {**SSL_CONFIG, "parameters": {"minimumProtocolVersion": "TLSv1_0"}}}, "spec.sslConfig.parameters.minimumProtocolVersion"),
    ({"sslConfig": {**SSL_CONFIG, "parameters": {"cipherSuites": ["RC4-SHA"]}}}, "spec.sslConfig.parameters.cipherSuites[0]"),
    ({"sslConfig": {"sslFiles": {"rootCa": "/ca.crt"}}}, "spec.sslConfig.sslFiles: is not supported here"),
    ({"sslConfig": {"sds": {"targetUri": "unix:a"}}}, "spec.sslConfig.sds: is not supported here"),
    ({"failover": {"prioritizedLocalities": [{}] * 129}}, "spec.failover.prioritizedLocalities"),
    ({"failover": {"policy": {"overprovisioningFactor": 0}}}, "spec.failover.policy.overprovisioningFactor: 0 is not allowed"),
]
"""What cannot be read as an Upstream at all; what is said about it."""


def value_at(cluster: Any, path: str) -> Any:
    """The value at a path such as `health_checks[0].timeout.seconds`, into the HTTP options too; `WhichOneof(x)` is the name of what is set."""
    here = cluster
    for step, index in re.findall(r"([\w()]+)(?:\[(\d+)\])?", path):
        if step.startswith("WhichOneof("):
            here = here.WhichOneof(step[len("WhichOneof(") : -1])
        elif step == _HTTP:
            (packed,) = here.typed_extension_protocol_options.values()
            here = unpacked(packed, HttpProtocolOptions)
        else:
            here = getattr(here, step)
        here = here[int(index)] if index else here
    return here
