"""A real Prometheus scrapes the running stack as `make metrics` says: everything is up, the dashboard has data, and an alert fires and resolves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from drill.load import Load, Request
from drill.probe import Probe
from service_failover.monitoring.objects import alerts
from service_failover.monitoring.panels import ROWS
from service_failover.names import FED_JOB, GLOO_JOB, PROXY_JOB
from tests.e2e import faults
from tests.e2e.conftest import LiveStack, until
from tests.monitoring.expressions import envoys_own, filled
from tests.monitoring.prometheus_tools import Prometheus, running

pytestmark = pytest.mark.e2e

WINDOW = "10s"
NOT_ON_EVERY_STACK = {
    "envoy_cluster_retry_upstream_rq": "from the first retry on that has hidden an answer from a client",
    "envoy_cluster_outlier_detection_ejections_active": "of Upstreams with outlier detection, which the guide's has not",
}
"""What docs/metrics.md lists and this stack need not have, with the reason. Panels that may be empty for such a reason say it (`empty`)."""


def impatient(folder: Path) -> Path:
    """The alert rules, looked at every second, with what they wait for cut down to two."""
    (group,) = alerts()["groups"]
    rules = [rule | ({"for": "2s"} if "for" in rule else {}) for rule in group["rules"]]
    file = folder / "alerts.yaml"
    file.write_text(yaml.safe_dump({"groups": [group | {"interval": "1s", "rules": rules}]}))
    return file


@pytest.fixture(scope="module")
def traffic(stack: LiveStack) -> Iterator[Probe]:
    with Probe(Load(requests=(Request(url=stack.url),), rate=20, seconds=120)) as probe:
        yield probe


@pytest.fixture(scope="module")
def prometheus(stack: LiveStack, traffic: Probe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has scraped every target, and often enough for a rate."""
    folder = tmp_path_factory.mktemp("prometheus")
    printed = stack.cli("metrics")
    assert printed.returncode == 0, printed.stderr
    config: dict[str, Any] = yaml.safe_load(printed.stdout)
    assert len(config["rule_files"]) == 1, "the alert rules are in it"
    config |= {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(impatient(folder))]}
    with running(yaml.safe_dump(config), folder) as it:
        until("every target was scraped", lambda: it.targets() and all(target["health"] != "unknown" for target in it.targets()))
        # A rate takes two scrapes of the same target, and they do not all come at once.
        until("every target was scraped again", lambda: len(it.query(f"rate(scrape_samples_scraped[{WINDOW}])")) == len(it.targets()))
        yield it


def test_every_control_plane_and_every_proxy_is_scraped(prometheus: Prometheus) -> None:
    found = prometheus.targets()
    assert [target["scrapeUrl"] for target in found if target["health"] != "up"] == [], [target["lastError"] for target in found]
    scraped = Counter((target["labels"]["job"], target["labels"]["cluster"]) for target in found)
    assert scraped == {(GLOO_JOB, "local"): 1, (GLOO_JOB, "remote"): 1, (FED_JOB, "local"): 1, (PROXY_JOB, "local"): 1, (PROXY_JOB, "remote"): 1}


def test_every_rule_can_be_evaluated_and_none_fires_on_a_healthy_stack(prometheus: Prometheus) -> None:
    (group,) = prometheus.get("rules")["groups"]
    assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in alerts()["groups"][0]["rules"]]
    until("no alert is left of what was before", lambda: prometheus.get("alerts")["alerts"] == [])
    (group,) = prometheus.get("rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}, [rule["lastError"] for rule in group["rules"] if "lastError" in rule]


def test_every_expression_of_the_dashboard_has_data(prometheus: Prometheus) -> None:
    panels = [panel for row in ROWS.values() for panel in row]
    asked = [(panel, expression) for panel in panels for expression, _ in panel.queries]
    without = [
        f"{panel.title}: {expression}" for panel, expression in asked if not panel.empty and not prometheus.query(filled(expression, window=WINDOW))
    ]
    assert without == [], "a panel without data looks like a stack without trouble"


def test_the_proxies_metrics_are_those_that_the_documentation_lists(prometheus: Prometheus) -> None:
    for name, labels in envoys_own().items():
        samples = prometheus.query(name)
        assert samples or name in NOT_ON_EVERY_STACK, f"no proxy has {name}"
        assert all(labels <= sample["metric"].keys() for sample in samples), f"{name} has other labels"


def test_the_alert_of_a_standby_that_serves_fires_and_resolves(stack: LiveStack, prometheus: Prometheus) -> None:
    app = faults.blue_switch(stack)
    app.fail()
    try:
        until("the alert is pending", lambda: prometheus.alerts("FailoverStandbyServes") == ["pending"])
        until("the alert fires", lambda: prometheus.alerts("FailoverStandbyServes") == ["firing"])
        (alert,) = [each for each in prometheus.get("alerts")["alerts"] if each["labels"]["alertname"] == "FailoverStandbyServes"]
        assert alert["annotations"]["summary"] == "A standby serves gloo-system/default-service-blue-10000 (cluster local): priority 1."
        assert prometheus.alerts("FailoverNobodyServes") == [], "which is another matter"
    finally:
        app.heal()
    until("the alert has resolved", lambda: prometheus.alerts("FailoverStandbyServes") == [])
    (switches,) = [panel for row in ROWS.values() for panel in row if panel.title == "Switches"]
    reasons = {sample["metric"]["reason"] for sample in prometheus.query(filled(switches.queries[0][0]))}
    assert {"HealthCheckFailed", "Recovered"} <= reasons, "and the dashboard tells why it served, and why it does no more"
