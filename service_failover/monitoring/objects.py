"""What the Prometheus operator and Grafana need to take a cluster's control plane and proxies up: whom to scrape, the alert rules, the dashboard.

    Monitoring
    ├─ PodMonitor service-failover-gloo, service-failover-gateway-proxy, and service-failover-gloo-fed where Gloo Federation is
    ├─ PrometheusRule service-failover           the rules of alerts.yaml, beside this file
    └─ ConfigMap service-failover-dashboard      dashboard.json, which Grafana's sidecar finds by its label

It installs neither of the two, and gives nobody a right: the operator's Prometheus reads pods by its own.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from service_failover import envoy, gloo, gloo_fed
from service_failover.early import apart, inside
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import (
    FED_JOB,
    FED_NAMESPACE,
    GLOO_JOB,
    GLOO_NAMESPACE,
    METRICS_PORT_NAME,
    METRICS_SECRET,
    PROJECT,
    PROXY_JOB,
    PROXY_SELECTOR,
    xds_client_identity,
)
from service_failover.validation import CLUSTER, FLAG, NAMESPACE, arguments, integer, label_map

API = "monitoring.coreos.com/v1"
ALERTS = Path(__file__).with_name("alerts.yaml")
DASHBOARD = Path(__file__).with_name("dashboard.json")
DASHBOARD_LABEL = {"grafana_dashboard": "1"}
"""By it the sidecar in Grafana's Helm chart finds dashboards, unless it is told another one."""


class MonitoringArgs(TypedDict):
    """Arguments of Monitoring."""

    cluster_name: pulumi.Input[str]
    """Name of the cluster: the label `cluster` of all that is scraped in it."""
    federation: NotRequired[bool]
    """Whether Gloo Federation runs in this cluster. Plain: it decides whether there is a PodMonitor for it. Default: no."""
    interval_seconds: NotRequired[pulumi.Input[int]]
    """Seconds between two scrapes. Default: 15."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo, whose `proxy_metrics` is on. Default: gloo-system."""
    fed_namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo Federation. Default: gloo-fed."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes, such as the operator selects them by; this project's own win."""


_checked = arguments(
    MonitoringArgs,
    cluster_name=CLUSTER,
    federation=FLAG,
    interval_seconds=integer(1, 300),
    namespace=NAMESPACE,
    fed_namespace=NAMESPACE,
    labels=label_map,
)


class Monitoring(pulumi.ComponentResource):
    """Objects for the Prometheus operator, which has to be in the cluster, and a dashboard for Grafana."""

    rule_name: pulumi.Output[str]
    """Name of the PrometheusRule, once it exists."""
    dashboard_name: pulumi.Output[str]
    """Name of the ConfigMap with the dashboard, once it exists."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:Monitoring", name, None, whole)
        self._within = inside(self, objects)
        self._name, self._given = name, args.get("labels", NO_LABELS)
        self._cluster, self._interval = args["cluster_name"], args.get("interval_seconds", 15)
        place, fed_place = args.get("namespace", GLOO_NAMESPACE), args.get("fed_namespace", FED_NAMESPACE)
        # Labels such as `namespace` say which object a metric of ours is about, and not where its pod is.
        ours = {"port": "health", "path": "/metrics", "honorLabels": True}
        self._monitor("gloo", GLOO_JOB, namespace=place, selector=gloo.SELECTOR, endpoint=ours)
        self._monitor("proxy", PROXY_JOB, namespace=place, selector=PROXY_SELECTOR, endpoint=proxy_endpoint(place))
        if args.get("federation", False):
            self._monitor("fed", FED_JOB, namespace=fed_place, selector=gloo_fed.SELECTOR, endpoint=ours)
        rule = self._object("rule", "PrometheusRule", PROJECT, namespace=place, spec=alerts())
        dashboard = kubernetes.core.v1.ConfigMap(
            f"{name}-dashboard",
            metadata={
                "name": f"{PROJECT}-dashboard",
                "namespace": place,
                "labels": labels("monitoring", self._given, own=DASHBOARD_LABEL),
            },
            data={f"{PROJECT}.json": DASHBOARD.read_text(encoding="utf-8")},
            opts=self._within,
        )
        self.rule_name, self.dashboard_name = rule.metadata["name"], dashboard.metadata.name
        self.register_outputs({"rule_name": self.rule_name, "dashboard_name": self.dashboard_name})

    def _monitor(self, part: str, job: str, *, namespace: pulumi.Input[str], selector: Mapping[str, str], endpoint: Mapping[str, Any]) -> None:
        """A PodMonitor for the pods of `selector`; what is scraped gets the labels `cluster` and `job`."""
        marks = [{"targetLabel": "cluster", "replacement": self._cluster}, {"targetLabel": "job", "replacement": job}]
        spec = {
            "selector": {"matchLabels": dict(selector)},
            "podMetricsEndpoints": [
                {**endpoint, "interval": pulumi.Output.concat(pulumi.Output.from_input(self._interval).apply(str), "s"), "relabelings": marks}
            ],
        }
        self._object(f"{part}-pods", "PodMonitor", job, namespace=namespace, spec=spec)

    def _object(
        self, suffix: str, kind: str, object_name: str, *, namespace: pulumi.Input[str], spec: Mapping[str, Any]
    ) -> kubernetes.apiextensions.CustomResource:
        return kubernetes.apiextensions.CustomResource(
            f"{self._name}-{suffix}",
            api_version=API,
            kind=kind,
            metadata={"name": object_name, "namespace": namespace, "labels": labels("monitoring", self._given)},
            spec=spec,
            opts=self._within,
        )


def proxy_endpoint(namespace: pulumi.Input[str]) -> dict[str, Any]:
    """The proxies' metrics port, over mutual TLS with the certificate that `proxy_metrics` of Gloo has made."""

    def secret(key: str) -> dict[str, str]:
        return {"name": METRICS_SECRET, "key": key}

    return {
        "port": METRICS_PORT_NAME,
        "path": envoy.METRICS_PATH,
        "scheme": "https",
        "tlsConfig": {
            "ca": {"secret": secret("ca.crt")},
            "cert": {"secret": secret("tls.crt")},
            "keySecret": secret("tls.key"),
            "serverName": pulumi.Output.from_input(namespace).apply(xds_client_identity),
        },
    }


@cache
def alerts() -> dict[str, Any]:
    """The alert rules: what a PrometheusRule has as its spec."""
    return dict(yaml.safe_load(ALERTS.read_text(encoding="utf-8")))
