"""Envoy's bootstraps: that of the gateway proxy, which learns the rest from gloo, and that of the sample app, which knows everything. No Pulumi.

`$(NAME)` is replaced by Kubernetes when the container starts, as in every container argument: so a bootstrap is the same in every namespace.
"""

from __future__ import annotations

from typing import Any

import yaml

from gloo_api.names import DEFAULT_PROXY, REGEX_MAX_PROGRAM_SIZE, proxy_role
from service_failover.addressing import Addressing
from service_failover.apps import HealthFilter
from service_failover.names import APP_PORT, metrics_identity, xds_server_identity

Config = dict[str, Any]

ADMIN_PORT = 19000
READINESS_PORT = 8082
READINESS_PATH = "/ready"
STATUS_PORT = 9979
STATUS_PATHS = ("/clusters", "/stats", "/stats/prometheus")
"""What gloo may ask a gateway proxy for, from outside of its pod."""
METRICS_PORT = 9980
METRICS_PATH = "/stats/prometheus"
"""The one thing that Prometheus may ask for."""
OWN_LISTENERS = ("readiness", "status", "metrics")
"""Listeners of a gateway proxy that are not there for clients."""
ECHO_PORT = 5678
HEALTH_PATH = "/health"
STREAM_PATH = "/stream"
SICK_RUNTIME = "sick.percent"
"""Runtime value of the sample app's Envoy: the percent of requests that it answers with 503 while its health check says that all is well."""
MAX_CONNECTIONS = 50_000
ADMIN_PATHS = [{"exact": "/ready"}, {"exact": "/server_info"}, {"exact": "/healthcheck/fail"}, {"prefix": "/clusters"}, {"prefix": "/stats"}]
"""What the gateway's admin port may be asked for: who is healthy and what was counted; and to send clients away, with which its end begins
(`draining.py`). Abused, this costs them their kept connections, and no more: new ones are served, and the proxy stays ready. Not /quitquitquit or
/config_dump."""

OWN_NAMESPACE = "$(POD_NAMESPACE)"
"""Where a gateway proxy finds its gloo."""
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's where there is one: the same text, several times sooner."""
_HTTP = "envoy.extensions.filters.http"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def gateway_proxy_bootstrap(addressing: Addressing, *, metrics: bool = False) -> Config:
    """The gateway proxy's bootstrap: xDS from gloo over mutual TLS, a listener that says when it is ready, and an admin port that can do little.

    The readiness listener, as every other, takes connections once the first configuration has arrived, so a proxy without routes gets no traffic.
    (Where gloo does not answer Envoy gives up waiting after its initial fetch timeouts, twice 15 s.) It is apart from the admin port, which answers
    only its pod; the status listener passes on to it what gloo, and nobody else, may read from elsewhere. With `metrics` there is one more listener,
    which does the same for Prometheus.
    """
    listen_address, loopback_address = addressing["listen_address"], addressing["loopback_address"]
    return {
        "node": {
            "id": "$(POD_NAME).$(POD_NAMESPACE)",
            "cluster": "gateway",
            "metadata": {
                "role": proxy_role(DEFAULT_PROXY, OWN_NAMESPACE),
                # Where the network is shared with others, "all addresses" of a Gateway must mean the pod's own.
                **({"bind_address": listen_address} if listen_address == "$(POD_IP)" else {}),
            },
        },
        "dynamic_resources": {
            "ads_config": {
                # Incremental: a change costs what changed, and one resource that Envoy refuses keeps nothing else from being taken.
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": "xds_cluster",
                            # By default a gloo that was away for long is asked again after up to 30 s.
                            "retry_policy": {"retry_back_off": {"base_interval": "0.2s", "max_interval": "1s"}},
                        }
                    }
                ],
            },
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {
            "listeners": [
                _readiness_listener(listen_address),
                _status_listener(listen_address),
                *([_metrics_listener(listen_address)] if metrics else []),
            ],
            "clusters": [_xds_cluster(), _admin_cluster(loopback_address)],
        },
        "admin": {"address": _socket(loopback_address, ADMIN_PORT), "allow_paths": ADMIN_PATHS},
        # What gloo takes for a regular expression of bearable size, so does the proxy.
        "layered_runtime": {"layers": [{"name": "static", "static_layer": {"re2": {"max_program_size": {"error_level": REGEX_MAX_PROGRAM_SIZE}}}}]},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": _typed(
                        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        max_active_downstream_connections=MAX_CONNECTIONS,
                    ),
                }
            ]
        },
    }


def sample_app_bootstrap(addressing: Addressing, *, health_filter: HealthFilter) -> Config:
    """The guide's Envoy in front of http-echo, in the terms of today's Envoy: its /healthcheck/fail makes the app report itself unhealthy.

    In the guide the health_check filter has no header matcher, so that /healthcheck/fail fails every request and not just /health.
    """
    listen_address, loopback_address = addressing["listen_address"], addressing["loopback_address"]
    health_check = _typed(f"{_HTTP}.health_check.v3.HealthCheck", pass_through_mode=True)
    if health_filter is HealthFilter.PATH:
        health_check["headers"] = [{"name": ":path", "string_match": {"exact": HEALTH_PATH}}]
    every_request = {"numerator": 100, "denominator": "HUNDRED"}
    slow_on_request = _typed(
        f"{_HTTP}.fault.v3.HTTPFault",
        delay={"header_delay": {}, "percentage": every_request},
        response_rate_limit={"header_limit": {}, "percentage": every_request},
    )
    # Besides reporting itself unhealthy an app can be sick and not know it. POST /runtime_modify?sick.percent=100 to the admin port, and 0 to end it.
    sick_on_demand = _typed(
        f"{_HTTP}.fault.v3.HTTPFault",
        headers=[{"name": ":path", "string_match": {"exact": HEALTH_PATH}, "invert_match": True}],
        abort={"http_status": 503, "percentage": {"numerator": 0, "denominator": "HUNDRED"}},
        abort_percent_runtime=SICK_RUNTIME,
    )
    stream = {"match": {"path": STREAM_PATH}, "direct_response": {"status": 200, "body": {"inline_string": "stream." * 500}}}
    return {
        "node": {"cluster": "ingress", "id": "ingress~for-testing", "metadata": {"role": "default~proxy"}},
        "static_resources": {
            "listeners": [
                {
                    "name": "listener_0",
                    "address": _socket(listen_address, APP_PORT),
                    "filter_chains": [
                        _http_filter_chain(
                            stat_prefix="ingress_http",
                            routes=[stream, {"match": {"prefix": "/"}, "route": {"cluster": "some_service"}}],
                            filters={"health_check": health_check, "fault": slow_on_request, "fault.sick": sick_on_demand},
                        )
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "some_service",
                    "connect_timeout": "0.25s",
                    "type": "STATIC",
                    "lb_policy": "ROUND_ROBIN",
                    "load_assignment": _one_endpoint("some_service", loopback_address, ECHO_PORT),
                }
            ],
        },
        "admin": {"address": _socket(listen_address, ADMIN_PORT)},
        "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]},
    }


def as_argument(bootstrap: Config) -> str:
    """A bootstrap as the value of Envoy's `--config-yaml`."""
    return str(yaml.dump(bootstrap, Dumper=_DUMPER, sort_keys=False))


def _readiness_listener(address: str) -> Config:
    """Answers 200 to /ready by itself, and 404 to everything else. While clients are sent away too: whoever still comes is served."""
    ready = {"match": {"path": READINESS_PATH}, "direct_response": {"status": 200}}
    return {
        "name": "readiness",
        "address": _socket(address, READINESS_PORT),
        "filter_chains": [_http_filter_chain(stat_prefix="readiness", routes=[ready], filters={})],
    }


def _xds_cluster() -> Config:
    """Where gloo is. Its keepalive notices within seconds that gloo's side of the stream is gone, and Envoy then connects anew."""
    keepalive = {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}
    return {
        "name": "xds_cluster",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": _one_endpoint("xds_cluster", "$(GLOO_SERVICE_HOST)", "$(GLOO_SERVICE_PORT_GRPC_XDS)"),
        "typed_extension_protocol_options": {_HTTP_OPTIONS: _typed(_HTTP_OPTIONS, explicit_http_config={"http2_protocol_options": keepalive})},
        "upstream_connection_options": {"tcp_keepalive": {"keepalive_time": 10}},
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": _typed(
                "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                sni=xds_server_identity(OWN_NAMESPACE),
                common_tls_context=_identity_and_peer(alpn="h2", peer=xds_server_identity(OWN_NAMESPACE)),
            ),
        },
    }


def _status_listener(address: str) -> Config:
    """Answers STATUS_PATHS to gloo's certificate only: what it tells is who serves and how often, for every Upstream."""
    return _reading_listener("status", _socket(address, STATUS_PORT), paths=STATUS_PATHS, reader=xds_server_identity(OWN_NAMESPACE))


def _metrics_listener(address: str) -> Config:
    """Answers METRICS_PATH to Prometheus's certificate only. An answer costs the thread that checks health too, so it is not for everyone."""
    return _reading_listener("metrics", _socket(address, METRICS_PORT), paths=(METRICS_PATH,), reader=metrics_identity(OWN_NAMESPACE))


def _reading_listener(name: str, address: Config, *, paths: tuple[str, ...], reader: str) -> Config:
    """Answers GET of `paths` from the admin port, over mutual TLS, to the one whose certificate is for `reader`."""
    only_get = [{"name": ":method", "string_match": {"exact": "GET"}}]
    chain = _http_filter_chain(
        stat_prefix=name,
        routes=[{"match": {"path": path, "headers": only_get}, "route": {"cluster": "admin", "timeout": "5s"}} for path in paths],
        filters={},
    )
    chain["transport_socket"] = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": _typed(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            require_client_certificate=True,
            common_tls_context=_identity_and_peer(alpn="http/1.1", peer=reader),
        ),
    }
    # A proxy that is full must still be able to say how it is.
    return {"name": name, "address": address, "filter_chains": [chain], "ignore_global_conn_limit": True}


def _admin_cluster(address: str) -> Config:
    """Envoy's own admin port."""
    return {"name": "admin", "type": "STATIC", "connect_timeout": "1s", "load_assignment": _one_endpoint("admin", address, ADMIN_PORT)}


def _identity_and_peer(*, alpn: str, peer: str) -> Config:
    """The proxy's side of a connection with gloo or Prometheus, whoever opens it: its own certificate, and that the other's is for `peer`."""
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": [alpn],
        "tls_certificates": [{"certificate_chain": {"environment_variable": "XDS_TLS_CRT"}, "private_key": {"environment_variable": "XDS_TLS_KEY"}}],
        "validation_context": {
            "trusted_ca": {"environment_variable": "XDS_TLS_CA"},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": peer}}],
        },
    }


def _http_filter_chain(*, stat_prefix: str, routes: list[Config], filters: dict[str, Config]) -> Config:
    """A filter chain that serves HTTP with these filters, in this order, before the router."""
    return {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": _typed(
                    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    stat_prefix=stat_prefix,
                    codec_type="AUTO",
                    route_config={"name": "local_route", "virtual_hosts": [{"name": "local_service", "domains": ["*"], "routes": routes}]},
                    http_filters=[
                        *({"name": f"envoy.filters.http.{name}", "typed_config": config} for name, config in filters.items()),
                        {"name": "envoy.filters.http.router", "typed_config": _typed(f"{_HTTP}.router.v3.Router")},
                    ],
                ),
            }
        ]
    }


def _one_endpoint(cluster: str, address: str, port: int | str) -> Config:
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _socket(address, port)}}]}]}


def _socket(address: str, port: int | str) -> Config:
    return {"socket_address": {"address": address, "port_value": port}}


def _typed(message: str, **fields: Any) -> Config:
    return {"@type": f"type.googleapis.com/{message}", **fields}
