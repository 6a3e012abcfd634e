"""When each alert fires and when it does not, as a table. test_alert_rules.py makes of it what `promtool test rules` takes.

A series is given as promtool has it: `1x8` is 1 at the start and after each of eight steps of 15 seconds, `1+0x8` likewise, `_` is no sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

UPSTREAM = 'cluster="local", namespace="gloo-system", upstream="blue"'
GLOO, FED, PROXY = (f'job="service-failover-{part}"' for part in ("gloo", "gloo-fed", "gateway-proxy"))
CERTIFICATE = 'cluster="local", namespace="gloo-system", secret="failover-upstream", file="tls.crt"'
DAY = 86400


@dataclass(frozen=True, kw_only=True)
class Case:
    """`alert` at `at`, given `series`: fires once for each entry of `fires` (labels without the severity, and the summary), or not at all."""

    alert: str
    name: str
    series: Mapping[str, str]
    at: str
    fires: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels, by summary."""

    def expecting(self, fires: Mapping[str, Mapping[str, str]]) -> Case:
        """The same with another outcome."""
        return replace(self, fires=fires)


def _series(metric: str, labels: str) -> str:
    return f"{metric}{{{labels}}}"


def _upstream(value: str, *, instance: str = "a") -> dict[str, str]:
    return {_series("service_failover_serving_priority", f'{UPSTREAM}, instance="{instance}"'): value}


def _standby(priority: int, value: str) -> dict[str, str]:
    return {_series("service_failover_standby_proven", f'{UPSTREAM}, priority="{priority}", instance="a"'): value}


def _ends(seconds: int, *, instance: str = "a") -> dict[str, str]:
    return {_series("service_failover_certificate_expiry_seconds", f'{CERTIFICATE}, instance="{instance}"'): f"{seconds}x60"}


BLUE = {"cluster": "local", "namespace": "gloo-system", "upstream": "blue"}
SECRET = {"cluster": "local", "namespace": "gloo-system", "secret": "failover-upstream", "file": "tls.crt"}

CASES = [
    Case(
        alert="FailoverNobodyServes",
        name="both sides are down",
        series=_upstream("0 -1x8"),
        at="1m",
        fires={"Nobody serves gloo-system/blue (cluster local).": BLUE},
    ),
    Case(alert="FailoverNobodyServes", name="a standby serves", series=_upstream("1x8"), at="1m"),
    Case(alert="FailoverNobodyServes", name="one moment", series=_upstream("0 0 -1 0x8"), at="45s"),
    Case(
        alert="FailoverStandbyServes",
        name="the second tier serves",
        series=_upstream("0 2x12"),
        at="90s",
        fires={"A standby serves gloo-system/blue (cluster local): priority 2.": BLUE},
    ),
    Case(alert="FailoverStandbyServes", name="the primary is back within the minute", series=_upstream("0 1 1 1 0x12"), at="90s"),
    Case(alert="FailoverStandbyServes", name="nobody serves, which is another alert", series=_upstream("-1x12"), at="2m"),
    Case(
        alert="FailoverStandbyUnproven",
        name="one of two standbys fails its check",
        series={**_standby(1, "1x20"), **_standby(2, "0x20")},
        at="3m",
        fires={"Standby 2 of gloo-system/blue (cluster local) is not proven.": {**BLUE, "priority": "2"}},
    ),
    Case(alert="FailoverStandbyUnproven", name="while a stack comes up", series=_standby(1, "0 0 0 1x20"), at="3m"),
    Case(
        alert="FailoverCertificateEnds",
        name="nine days are left, and both replicas say so",
        series={**_ends(9 * DAY + 600), **_ends(9 * DAY + 600, instance="b")},
        at="10m",
        fires={"tls.crt of Secret gloo-system/failover-upstream (cluster local) ends in 9d 0h 0m 0s.": SECRET},
    ),
    Case(alert="FailoverCertificateEnds", name="eleven days are left", series=_ends(11 * DAY), at="10m"),
    Case(
        alert="FailoverCertificateEndsSoon",
        name="a day is left",
        series=_ends(DAY + 600),
        at="10m",
        fires={"tls.crt of Secret gloo-system/failover-upstream (cluster local) ends in 1d 0h 0m 0s.": SECRET},
    ),
    Case(
        alert="FailoverCertificateEndsSoon",
        name="it has ended",
        series=_ends(300),
        at="10m",
        fires={"tls.crt of Secret gloo-system/failover-upstream (cluster local) ends in -5m 0s.": SECRET},
    ),
    Case(alert="FailoverCertificateEndsSoon", name="nine days are left", series=_ends(9 * DAY), at="10m"),
    Case(
        alert="FailoverObjectRejected",
        name="two VirtualServices are, as both replicas say",
        series={
            _series("service_failover_objects", f'cluster="local", kind="VirtualService", state="{state}", instance="{instance}"'): value
            for state, value in (("Rejected", "2x12"), ("Accepted", "5x12"))
            for instance in "ab"
        },
        at="3m",
        fires={"2 object(s) of kind VirtualService are Rejected (cluster local).": {"cluster": "local", "kind": "VirtualService"}},
    ),
    Case(
        alert="FailoverObjectRejected",
        name="they were, and are not any more",
        series={_series("service_failover_objects", 'cluster="local", kind="Gateway", state="Rejected"'): "1 1 1 0x12"},
        at="3m",
    ),
    Case(
        alert="FailoverConfigRefused",
        name="the first refusal there ever was",
        series={_series("service_failover_xds_refusals_total", 'cluster="local", type="listener", instance="a"'): "0x4 1x8"},
        at="2m",
        fires={"An Envoy has refused configuration of type listener (cluster local).": {"cluster": "local", "type": "listener"}},
    ),
    Case(
        alert="FailoverConfigRefused",
        name="one that is a quarter of an hour ago",
        series={_series("service_failover_xds_refusals_total", 'cluster="local", type="listener", instance="a"'): "0x4 1x80"},
        at="16m",
    ),
    Case(
        alert="FailoverProxyDisconnected",
        name="one of two proxies",
        series={
            _series("envoy_control_plane_connected_state", f'{PROXY}, cluster="local", instance="a"'): "1x12",
            _series("envoy_control_plane_connected_state", f'{PROXY}, cluster="local", instance="b"'): "1 1 0x12",
        },
        at="2m",
        fires={"The proxy at b (cluster local) is not connected to gloo.": {"cluster": "local", "instance": "b"}},
    ),
    Case(
        alert="FailoverProxyDisconnected",
        name="somebody else's Envoy",
        series={_series("envoy_control_plane_connected_state", 'job="other", cluster="local", instance="c"'): "0x12"},
        at="2m",
    ),
    Case(
        alert="FailoverNoProxyConnected",
        name="gloo has two replicas and no proxy",
        series={_series("service_failover_connected_proxies", f'cluster="local", instance="{each}"'): "1 0x12" for each in "ab"},
        at="2m",
        fires={"No proxy is connected to gloo (cluster local).": {"cluster": "local"}},
    ),
    Case(
        alert="FailoverNoProxyConnected",
        name="all are connected to the other replica",
        series={_series("service_failover_connected_proxies", f'cluster="local", instance="{each}"'): f"{count}x12" for each, count in ("a0", "b2")},
        at="2m",
    ),
    Case(
        alert="FailoverClusterLost",
        name="one of two clusters",
        series={
            _series("service_failover_cluster_connected", f'cluster="{each}", instance="a"'): values
            for each, values in (("local", "1x12"), ("remote", "1 0x12"))
        },
        at="2m",
        fires={"Gloo Federation cannot reach the API server of cluster remote.": {"cluster": "remote"}},
    ),
    Case(
        alert="FailoverClusterLost",
        name="its API server was started again",
        series={_series("service_failover_cluster_connected", 'cluster="remote", instance="a"'): "1 0 0 1x12"},
        at="2m",
    ),
    Case(
        alert="FailoverNobodyLeads",
        name="no replica of gloo-fed does, one of gloo does",
        series={
            _series("service_failover_leader", f'{FED}, cluster="local", instance="a"'): "1 0x12",
            _series("service_failover_leader", f'{FED}, cluster="local", instance="b"'): "0x12",
            _series("service_failover_leader", f'{GLOO}, cluster="local", instance="c"'): "1x12",
        },
        at="2m",
        fires={"No replica of service-failover-gloo-fed leads (cluster local).": {"cluster": "local", "job": "service-failover-gloo-fed"}},
    ),
    Case(
        alert="FailoverNobodyLeads",
        name="the other replica has taken over",
        series={
            _series("service_failover_leader", f'{GLOO}, cluster="local", instance="{each}"'): values
            for each, values in (("a", "1 0x12"), ("b", "0 0 1x12"))
        },
        at="2m",
    ),
    Case(
        alert="FailoverProxySilent",
        name="a proxy is frozen",
        series={_series("service_failover_poll_age_seconds", 'cluster="local", proxy="gateway-proxy-0", instance="a"'): "0 0 15 30+15x12"},
        at="2m",
        fires={
            "gateway-proxy-0 (cluster local) has not told gloo for 1m 45s how its endpoints are.": {"cluster": "local", "proxy": "gateway-proxy-0"}
        },
    ),
    Case(
        alert="FailoverProxySilent",
        name="a proxy with thousands of Upstreams",
        series={_series("service_failover_poll_age_seconds", 'cluster="local", proxy="gateway-proxy-0", instance="a"'): "14x12"},
        at="2m",
    ),
    Case(
        alert="FailoverSchemeStale",
        name="the primary's cluster is gone",
        series={_series("service_failover_scheme_stale", 'cluster="local", namespace="gloo-fed", scheme="failover"'): "0 1x12"},
        at="2m",
        fires={
            "What FailoverScheme gloo-fed/failover says of who serves is old.": {"cluster": "local", "namespace": "gloo-fed", "scheme": "failover"}
        },
    ),
    Case(
        alert="FailoverSchemeStale",
        name="it was heard from again",
        series={_series("service_failover_scheme_stale", 'cluster="local", namespace="gloo-fed", scheme="failover"'): "0 1 1 0x12"},
        at="2m",
    ),
    Case(
        alert="FailoverTargetDown",
        name="a proxy is, and so is what is not ours",
        series={
            _series("up", f'{PROXY}, cluster="local", instance="a"'): "1 0x12",
            _series("up", f'{GLOO}, cluster="local", instance="b"'): "1x12",
            _series("up", 'job="node", cluster="local", instance="c"'): "0x12",
        },
        at="2m",
        fires={
            "service-failover-gateway-proxy at a (cluster local) does not answer Prometheus.": {
                "cluster": "local",
                "instance": "a",
                "job": "service-failover-gateway-proxy",
            }
        },
    ),
    Case(alert="FailoverTargetDown", name="a restart", series={_series("up", f'{PROXY}, cluster="local", instance="a"'): "1 0 0 1x12"}, at="2m"),
    Case(
        alert="FailoverControlPlaneMissing",
        name="no job scrapes it",
        series={_series("up", 'job="node"'): "1x20"},
        at="3m",
        fires={"Prometheus gets no metrics of any gloo.": {}},
    ),
    Case(
        alert="FailoverControlPlaneMissing",
        name="every one that is scraped is down",
        series={_series("up", f'{GLOO}, instance="{each}"'): "0x20" for each in "ab"},
        at="3m",
        fires={"Prometheus gets no metrics of any gloo.": {}},
    ),
    Case(
        alert="FailoverControlPlaneMissing",
        name="one of two is up",
        series={_series("up", f'{GLOO}, instance="{each}"'): f"{value}x20" for each, value in ("a0", "b1")},
        at="3m",
    ),
]


def as_promtool(cases: Sequence[Case], *, rules: str, annotations: Mapping[str, Mapping[str, str]], severities: Mapping[str, str]) -> dict[str, Any]:
    """The table as promtool takes it. What an alert says besides its summary is taken from the rules: it is the same each time."""
    return {
        "rule_files": [rules],
        "evaluation_interval": "15s",
        "tests": [
            {
                "name": f"{case.alert}: {case.name}",
                "interval": "15s",
                "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
                "alert_rule_test": [
                    {
                        "eval_time": case.at,
                        "alertname": case.alert,
                        "exp_alerts": [
                            {
                                "exp_labels": {**labels, "severity": severities[case.alert]},
                                "exp_annotations": {**annotations[case.alert], "summary": summary},
                            }
                            for summary, labels in case.fires.items()
                        ],
                    }
                ],
            }
            for case in cases
        ],
    }
