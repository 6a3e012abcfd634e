"""What the Grafana dashboard shows: its rows and panels, each with the expressions behind it. How they are drawn is dashboard.py's business.

Times in expressions are Grafana's own ($__rate_interval); $cluster is the label `cluster` of what was scraped, all of them by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service_failover.envoy import OWN_LISTENERS
from service_failover.names import PROXY_JOB

HERE = 'cluster=~"$cluster"'
PROXY = f'job="{PROXY_JOB}", {HERE}'
UPSTREAM = f'{PROXY}, envoy_cluster_name!~"xds_cluster|admin"'
CLIENTS = f'{PROXY}, envoy_http_conn_manager_prefix!~"{"|".join((*OWN_LISTENERS, "admin"))}"'
UPSTREAM_OF = ("namespace", "upstream")
TIER = (*UPSTREAM_OF, "priority")
RATE = "[$__rate_interval]"
RED, YELLOW, GREEN = "red", "yellow", "green"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel. `queries`: expressions, each with its legend in Grafana's form ({{label}})."""

    title: str
    text: str
    queries: Sequence[tuple[str, str]]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 7
    steps: Sequence[tuple[float | None, str]] = ()
    """Colours from a value on; the first is for what is below, from None."""
    meanings: Sequence[tuple[str, str, str]] = ()
    """(value, text, colour) for single values."""
    stacked: bool = False
    empty: str = ""
    """What it means, and so what is shown, when there is no data, if that is ordinary."""


def by(*names: str) -> str:
    """An aggregation that keeps the cluster and these labels."""
    return f"by ({', '.join(('cluster', *names))})"


def rate(metric: str, labels: str, *names: str) -> str:
    """How often a counter goes up in a second."""
    return f"sum {by(*names)} (rate({metric}{{{labels}}}{RATE}))"


def quantile(fraction: float, metric: str, labels: str) -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({fraction}, sum {by('le')} (rate({metric}_bucket{{{labels}}}{RATE})))"


OK_AT_ONE = ((None, RED), (1, GREEN))
OK_AT_ZERO = ((None, GREEN), (1, RED))
NOW, TIERS, TRAFFIC, CONTROL_PLANE = "Now", "Who serves", "What clients get", "Control plane"
PRIORITIES = (("-1", "nobody", RED), ("0", "primary", GREEN), ("1", "tier 1", YELLOW), ("2", "tier 2", YELLOW), ("3", "tier 3", YELLOW))

ROWS: dict[str, list[Panel]] = {
    NOW: [
        Panel(
            title="Serves",
            text="Which priority of each Upstream with failover gets the requests.",
            queries=[(f"max {by(*UPSTREAM_OF)} (service_failover_serving_priority{{{HERE}}})", "{{cluster}} {{upstream}}")],
            kind="stat",
            width=6,
            height=5,
            steps=((None, RED), (0, GREEN), (1, YELLOW)),
            meanings=PRIORITIES,
        ),
        Panel(
            title="Standbys proven",
            text="Whether every endpoint of each standby passes its health check, through its gateway.",
            queries=[
                (
                    f"min {by(*TIER)} (service_failover_standby_proven{{{HERE}}})",
                    "{{cluster}} {{upstream}} tier {{priority}}",
                )
            ],
            kind="stat",
            width=6,
            height=5,
            steps=OK_AT_ONE,
            meanings=(("0", "not proven", RED), ("1", "proven", GREEN)),
        ),
        Panel(
            title="Clusters",
            text="Whether Gloo Federation reaches the API server of each registered cluster.",
            queries=[(f"min {by()} (service_failover_cluster_connected{{{HERE}}})", "{{cluster}}")],
            kind="stat",
            width=4,
            height=5,
            steps=OK_AT_ONE,
            meanings=(("0", "lost", RED), ("1", "connected", GREEN)),
        ),
        Panel(
            title="Objects not in force",
            text="Objects that gloo rejects; the status of each says why.",
            queries=[(f'sum {by()} (max {by("kind")} (service_failover_objects{{state="Rejected", {HERE}}}))', "{{cluster}}")],
            empty="0",
            kind="stat",
            width=4,
            height=5,
            steps=OK_AT_ZERO,
        ),
        Panel(
            title="Certificates",
            text="Time until the first certificate in a TLS Secret of each cluster ends.",
            queries=[(f"min {by()} (service_failover_certificate_expiry_seconds{{{HERE}}}) - time()", "{{cluster}}")],
            kind="stat",
            unit="dtdurations",
            width=4,
            height=5,
            steps=((None, RED), (2 * 86400, YELLOW), (10 * 86400, GREEN)),
        ),
    ],
    TIERS: [
        Panel(
            title="Serving priority",
            text="Over time: 0 is the Upstream's own endpoints, then the failover tiers; -1 is nobody.",
            queries=[(f"max {by(*UPSTREAM_OF)} (service_failover_serving_priority{{{HERE}}})", "{{cluster}} {{upstream}}")],
            kind="state-timeline",
            width=12,
            meanings=PRIORITIES,
        ),
        Panel(
            title="Switches",
            text="How often another priority has come to serve, by why. Since gloo's leader leads.",
            empty="none",
            queries=[(f"sum {by('upstream', 'reason')} (service_failover_switches_total{{{HERE}}})", "{{cluster}} {{upstream}} {{reason}}")],
            width=12,
        ),
        Panel(
            title="Healthy endpoints",
            text="Share of a priority's endpoints that may get requests.",
            queries=[
                (
                    f"min {by(*TIER)} (service_failover_endpoints_healthy{{{HERE}}} / service_failover_endpoints{{{HERE}}})",
                    "{{cluster}} {{upstream}} tier {{priority}}",
                )
            ],
            unit="percentunit",
        ),
        Panel(
            title="Share of the requests",
            text="Which priority got the requests of the last five seconds. Empty without requests.",
            empty="no requests",
            queries=[
                (
                    f"max {by(*TIER)} (service_failover_request_share_percent{{{HERE}}})",
                    "{{cluster}} {{upstream}} tier {{priority}}",
                )
            ],
            unit="percent",
            stacked=True,
        ),
        Panel(
            title="Health checks that failed",
            text="In a second, by the proxies, as Envoy counts them: any (failure), no connection (network).",
            queries=[
                (rate("envoy_cluster_health_check_failure", UPSTREAM, "envoy_cluster_name"), "{{cluster}} {{envoy_cluster_name}} failure"),
                (rate("envoy_cluster_health_check_network_failure", UPSTREAM, "envoy_cluster_name"), "{{cluster}} {{envoy_cluster_name}} network"),
            ],
            unit="ops",
        ),
    ],
    TRAFFIC: [
        Panel(
            title="Answers",
            text="In a second, by class of status, to clients of the gateways.",
            queries=[(rate("envoy_http_downstream_rq_xx", CLIENTS, "envoy_response_code_class"), "{{cluster}} {{envoy_response_code_class}}xx")],
            unit="reqps",
            stacked=True,
        ),
        Panel(
            title="Time to answer",
            text="Of requests from clients, in milliseconds, as the proxies measure it.",
            queries=[
                (quantile(fraction, "envoy_http_downstream_rq_time", CLIENTS), f"{{{{cluster}}}} p{fraction * 100:g}") for fraction in (0.5, 0.99)
            ],
            unit="ms",
        ),
        Panel(
            title="Hidden by a retry",
            text="Retries in a second; those that went well; those that there was no room for; answers 503 that a retry has kept from a client.",
            empty="none",
            queries=[
                (rate("envoy_cluster_upstream_rq_retry", UPSTREAM), "{{cluster}} retries"),
                (rate("envoy_cluster_upstream_rq_retry_success", UPSTREAM), "{{cluster}} went well"),
                (rate("envoy_cluster_upstream_rq_retry_overflow", UPSTREAM), "{{cluster}} no room"),
                (rate("envoy_cluster_retry_upstream_rq", f'envoy_response_code="503", {UPSTREAM}'), "{{cluster}} hidden 503"),
            ],
            unit="reqps",
        ),
        Panel(
            title="Requests that found nobody",
            text="In a second: no healthy endpoint; a cluster in panic, which sends to unhealthy ones.",
            queries=[
                (rate("envoy_cluster_upstream_cx_none_healthy", UPSTREAM, "envoy_cluster_name"), "{{cluster}} {{envoy_cluster_name}} nobody"),
                (rate("envoy_cluster_lb_healthy_panic", UPSTREAM, "envoy_cluster_name"), "{{cluster}} {{envoy_cluster_name}} panic"),
            ],
            unit="reqps",
        ),
        Panel(
            title="Ejected",
            text="Endpoints that outlier detection keeps out now, of Upstreams that have it.",
            empty="no outlier detection",
            queries=[
                (
                    f"sum {by('envoy_cluster_name')} (envoy_cluster_outlier_detection_ejections_active{{{UPSTREAM}}})",
                    "{{cluster}} {{envoy_cluster_name}}",
                )
            ],
        ),
        Panel(
            title="Connections",
            text="Open now: from clients, and to endpoints.",
            queries=[
                (f"sum {by()} (envoy_http_downstream_cx_active{{{CLIENTS}}})", "{{cluster}} from clients"),
                (f"sum {by()} (envoy_cluster_upstream_cx_active{{{UPSTREAM}}})", "{{cluster}} to endpoints"),
            ],
        ),
    ],
    CONTROL_PLANE: [
        Panel(
            title="Replicas",
            text="Those that answer, and of them those that lead.",
            queries=[
                (f'sum {by("job")} (up{{job=~"service-failover-.*", {HERE}}})', "{{cluster}} {{job}}"),
                (f"sum {by('job')} (service_failover_leader{{{HERE}}})", "{{cluster}} {{job}} leads"),
            ],
        ),
        Panel(
            title="Connected proxies",
            text="Streams as gloo sees them; and proxies that say they have one.",
            queries=[
                (f"sum {by()} (service_failover_connected_proxies{{{HERE}}})", "{{cluster}} at gloo"),
                (f"sum {by()} (envoy_control_plane_connected_state{{{PROXY}}})", "{{cluster}} at proxies"),
            ],
        ),
        Panel(
            title="How old it is",
            text="Time since a proxy last said how its endpoints are.",
            queries=[(f"max {by('proxy')} (service_failover_poll_age_seconds{{{HERE}}})", "{{cluster}} {{proxy}}")],
            unit="s",
        ),
        Panel(
            title="Sent to proxies",
            text="Responses in a second by type of resource, and those refused.",
            queries=[
                (rate("service_failover_xds_pushes_total", HERE, "type"), "{{cluster}} {{type}}"),
                (rate("service_failover_xds_refusals_total", HERE, "type"), "{{cluster}} {{type}} refused"),
            ],
            unit="ops",
        ),
        Panel(
            title="From a change to its configuration",
            text="Half of the changes, and 99 of a hundred, were translated within this time.",
            queries=[
                (quantile(fraction, "service_failover_translation_seconds", HERE), f"{{{{cluster}}}} p{fraction * 100:g}") for fraction in (0.5, 0.99)
            ],
            unit="s",
        ),
        Panel(
            title="Asking proxies",
            text="Time that an answer takes, and questions in a second that got none.",
            queries=[
                (quantile(0.99, "service_failover_poll_seconds", HERE), "{{cluster}} p99 (s)"),
                (rate("service_failover_poll_errors_total", HERE, "proxy"), "{{cluster}} {{proxy}} no answer"),
            ],
        ),
        Panel(
            title="Processor",
            text="Cores used by the control planes.",
            queries=[(rate("process_cpu_seconds_total", f'job=~"service-failover-gloo.*", {HERE}', "job"), "{{cluster}} {{job}}")],
            width=12,
        ),
        Panel(
            title="Memory",
            text="Resident, of the control planes; allocated, of the proxies.",
            queries=[
                (f'sum {by("job")} (process_resident_memory_bytes{{job=~"service-failover-gloo.*", {HERE}}})', "{{cluster}} {{job}}"),
                (f"sum {by()} (envoy_server_memory_allocated{{{PROXY}}})", "{{cluster}} proxies"),
            ],
            unit="bytes",
            width=12,
        ),
    ],
}


def expressions() -> Iterator[tuple[str, str]]:
    """Each expression of the dashboard, with the title of its panel."""
    for panels in ROWS.values():
        for panel in panels:
            yield from ((panel.title, expression) for expression, _ in panel.queries)
