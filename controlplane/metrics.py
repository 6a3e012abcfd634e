"""The control plane's own metrics, one registry for both processes; the health endpoint shows it as /metrics.

Every name starts with `service_failover_` and is explained in docs/metrics.md, which a test holds equal to this file. What Envoy counts by itself
(requests, retries, health checks) is read at the proxy and not repeated here. Modules set these objects directly, as prometheus-client means it.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from controlplane import VERSION

CONTENT_TYPE = CONTENT_TYPE_LATEST

disable_created_metrics()  # type: ignore[no-untyped-call] # A second series for each counter, which says when it began: the process has that already.

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

_UPSTREAM = ("namespace", "upstream")
_SCHEME = ("namespace", "scheme")


def _gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
    return Gauge(f"service_failover_{name}", text, labels, registry=REGISTRY)


def _counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
    return Counter(f"service_failover_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
    return Histogram(f"service_failover_{name}", text, labels, buckets=buckets, registry=REGISTRY)


# The process
BUILD = Info("service_failover_build", "Version of the control plane.", registry=REGISTRY)
LEADER = _gauge("leader", "1 while this replica may write, else 0.")

# What gloo reads, translates and sends
OBJECTS = _gauge("objects", "Objects by kind and by the state that this control plane gives them.", ("kind", "state"))
TRANSLATION_SECONDS = _histogram(
    "translation_seconds", "From a change to the snapshots that are published.", (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1, 5)
)
CONNECTED_PROXIES = _gauge("connected_proxies", "Envoys with an open xDS stream to this replica.")
PUSHES = _counter("xds_pushes_total", "Responses sent to Envoys, by resource type.", ("type",))
PUSHED_BYTES = _counter("xds_pushed_bytes_total", "Bytes of the resources in those responses.", ("type",))
REFUSALS = _counter("xds_refusals_total", "Responses that an Envoy refused (NACK), by resource type.", ("type",))

CERTIFICATE_EXPIRY = "service_failover_certificate_expiry_seconds"
CERTIFICATE_EXPIRY_TEXT = "Unix time at which the first certificate in a TLS Secret ends."
"""Collected by gloo.certificates, from the Secrets at the time of the scrape."""

# Who serves, by Upstream with failover (the leader of gloo)
SERVING_PRIORITY = _gauge("serving_priority", "Priority that serves now: 0 is the Upstream's own endpoints, -1 nobody.", _UPSTREAM)
SERVING_SINCE = _gauge("serving_since_seconds", "Unix time since when that priority serves.", _UPSTREAM)
SWITCHES = _counter("switches_total", "How often another priority has come to serve, by why.", (*_UPSTREAM, "reason"))
ENDPOINTS = _gauge("endpoints", "Endpoints of a priority.", (*_UPSTREAM, "priority"))
ENDPOINTS_HEALTHY = _gauge("endpoints_healthy", "Endpoints of a priority that may get requests.", (*_UPSTREAM, "priority"))
REQUEST_SHARE = _gauge("request_share_percent", "Share of the requests of the last seconds that a priority got.", (*_UPSTREAM, "priority"))
STANDBY_PROVEN = _gauge("standby_proven", "1 while every endpoint of a standby priority passes its health check.", (*_UPSTREAM, "priority"))
POLL_AGE = _gauge("poll_age_seconds", "Time since a proxy last said how its endpoints are.", ("proxy",))
POLL_SECONDS = _histogram("poll_seconds", "How long a proxy takes to say how its endpoints are.", (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1))
POLL_ERRORS = _counter("poll_errors_total", "Proxies that did not say how their endpoints are.", ("proxy",))

# The federation (the leader of gloo-fed)
CLUSTER_CONNECTED = _gauge("cluster_connected", "1 while the API server of a registered cluster answers.", ("cluster",))
SCHEME_SERVING_PRIORITY = _gauge("scheme_serving_priority", "Priority of a FailoverScheme that serves now; -1 nobody.", _SCHEME)
SCHEME_STANDBY_PROVEN = _gauge("scheme_standby_proven", "1 while every standby path of a FailoverScheme is proven.", _SCHEME)
SCHEME_STALE = _gauge("scheme_stale", "1 while what a FailoverScheme says of who serves is old.", _SCHEME)


def exposition() -> str:
    """What Prometheus scrapes, in its text format."""
    return generate_latest(REGISTRY).decode()


BUILD.info({"version": VERSION})
