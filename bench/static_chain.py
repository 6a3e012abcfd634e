"""The chain of `chain.py` written by hand, as one would who knows Envoy well and has no control plane: what ours is measured against.

Health checks are the same. The retries are the best that could be found: into the other priority at once, a millisecond of back-off, as many at a
time as there are requests, no merge window, and a new try where there is no answer after a quarter of a second.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.certificates import Authority
from bench.chain import (
    ADMIN_PORT,
    APP_PORT,
    BLUE,
    BLUE_CLUSTER,
    CHECK_INTERVAL,
    CHECK_TIMEOUT,
    CLIENT_IDENTITY,
    GREEN,
    GREEN_CLUSTER,
    ROUTE_TIMEOUT,
    SERVER_IDENTITY,
    Chain,
    on_host,
)
from bench.envoys import envoy

_NEAR, _FAR = "127.127.252.1", "127.127.252.2"
_HTTP_PORT, _TLS_PORT = 8080, 15443
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_FILTERS = "type.googleapis.com/envoy.extensions.filters"
_RETRY = "type.googleapis.com/envoy.extensions.retry"


@asynccontextmanager
async def static(directory: Path, authority: Authority) -> AsyncIterator[Chain]:
    """The two Envoys of the chain."""
    far = envoy(_far(authority), directory=directory, name="static-far", admin=f"{_FAR}:{ADMIN_PORT}")
    near = envoy(_near(authority), directory=directory, name="static-near", admin=f"{_NEAR}:{ADMIN_PORT}")
    async with far, near as found:
        chain = Chain(name="static Envoy", near=found, url=f"http://{_NEAR}:{_HTTP_PORT}/")
        await chain.healthy()
        yield chain


def _near(authority: Authority) -> dict[str, Any]:
    retry = {
        "retry_on": "connect-failure,refused-stream,reset,gateway-error",
        "num_retries": 2,
        "per_try_timeout": "0.25s",
        "host_selection_retry_max_attempts": 5,
        "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.005s"},
        "retry_host_predicate": [{"name": "previous_hosts", "typed_config": {"@type": f"{_RETRY}.host.previous_hosts.v3.PreviousHostsPredicate"}}],
        "retry_priority": {
            "name": "previous_priorities",
            "typed_config": {"@type": f"{_RETRY}.priority.previous_priorities.v3.PreviousPrioritiesConfig", "update_frequency": 1},
        },
    }
    manager = {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": BLUE_CLUSTER, "timeout": ROUTE_TIMEOUT, "retry_policy": retry}}],
                }
            ]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"}}],
    }
    listener = {
        "name": "http",
        "address": _socket(_NEAR, _HTTP_PORT),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }
    context = {
        "@type": f"{_TLS}.UpstreamTlsContext",
        "sni": GREEN_CLUSTER,
        "common_tls_context": {**_common(authority, own=CLIENT_IDENTITY, peer=SERVER_IDENTITY), "alpn_protocols": ["http/1.1"]},
    }
    check = {
        "timeout": CHECK_TIMEOUT,
        "interval": CHECK_INTERVAL,
        "no_traffic_interval": CHECK_INTERVAL,
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "http_health_check": {"path": "/health"},
    }
    tls = {"transport_socket_match": "green"}
    endpoints = [
        {"priority": 0, "lb_endpoints": [{"endpoint": {"address": _socket(on_host(BLUE), APP_PORT)}}]},
        {
            "priority": 1,
            "lb_endpoints": [
                {
                    "endpoint": {"address": _socket(_FAR, _TLS_PORT)},
                    "metadata": {"filter_metadata": {"envoy.transport_socket_match": tls}},
                }
            ],
        },
    ]
    cluster = {
        "name": BLUE_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": BLUE_CLUSTER, "endpoints": endpoints},
        "health_checks": [check],
        "common_lb_config": {"update_merge_window": "0s"},
        "circuit_breakers": {"thresholds": [{"retry_budget": {"budget_percent": {"value": 100}, "min_retry_concurrency": 1024}}]},
        "transport_socket_matches": [
            {"name": "green", "match": tls, "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}
        ],
    }
    return _config(_NEAR, listener, cluster)


def _far(authority: Authority) -> dict[str, Any]:
    context = {
        "@type": f"{_TLS}.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {**_common(authority, own=SERVER_IDENTITY, peer=CLIENT_IDENTITY), "alpn_protocols": ["http/1.1"]},
    }
    filters = [
        {"name": "envoy.filters.network.sni_cluster", "typed_config": {"@type": f"{_FILTERS}.network.sni_cluster.v3.SniCluster"}},
        {
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {"@type": f"{_FILTERS}.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "failover", "cluster": "unused"},
        },
    ]
    listener = {
        "name": "failover",
        "address": _socket(_FAR, _TLS_PORT),
        "listener_filters": [
            {
                "name": "envoy.filters.listener.tls_inspector",
                "typed_config": {"@type": f"{_FILTERS}.listener.tls_inspector.v3.TlsInspector"},
            }
        ],
        "filter_chains": [
            {
                "filter_chain_match": {"server_names": [GREEN_CLUSTER]},
                "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
                "filters": filters,
            }
        ],
    }
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _socket(on_host(GREEN), APP_PORT)}}]}]
    cluster = {
        "name": GREEN_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": GREEN_CLUSTER, "endpoints": endpoints},
    }
    return _config(_FAR, listener, cluster)


def _common(authority: Authority, *, own: str, peer: str) -> dict[str, Any]:
    pair = authority.issue(own)
    return {
        "tls_certificates": [{"certificate_chain": {"inline_string": pair.certificate}, "private_key": {"inline_string": pair.key}}],
        "validation_context": {
            "trusted_ca": {"inline_string": authority.pem},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": peer}}],
        },
    }


def _config(address: str, listener: dict[str, Any], cluster: dict[str, Any]) -> dict[str, Any]:
    return {"admin": {"address": _socket(address, ADMIN_PORT)}, "static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _socket(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}
