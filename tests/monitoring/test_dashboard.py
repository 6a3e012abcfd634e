"""The dashboard: the file is what its table says, and every expression asks for metrics and labels that exist."""

from __future__ import annotations

import json
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane import metrics
from service_failover.monitoring import dashboard, panels
from service_failover.monitoring.objects import ALERTS, DASHBOARD
from tests.monitoring.expressions import envoys_own, filled, labels_of, metrics_of
from tests.monitoring.prometheus_tools import promtool

OF_PROMETHEUS = {"up": {"job", "instance"}}
OF_TARGETS = {"cluster", "job", "instance"}
"""Labels that whoever scrapes gives."""


@cache
def known() -> dict[str, set[str]]:
    """Every series that there can be, with its labels: the control plane's as it registers them, the proxies' as docs/metrics.md lists them."""
    found = {metrics.CERTIFICATE_EXPIRY: {"namespace", "secret", "file"}, **OF_PROMETHEUS}
    for family in metrics.REGISTRY.collect():
        found |= {sample.name: set(sample.labels) for sample in family.samples}
    for metric in vars(metrics).values():
        if hasattr(metric, "describe") and hasattr(metric, "_labelnames"):
            (family,) = metric.describe()
            ends = {"counter": ("_total",), "info": ("_info",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            found |= {family.name + end: set(metric._labelnames) | ({"le"} if end == "_bucket" else set()) for end in ends}
    return found | envoys_own()


def asked_for() -> list[tuple[str, str]]:
    """Every expression, with where it is from."""
    rules = [(rule["alert"], str(rule["expr"])) for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    return [*panels.expressions(), *rules]


@pytest.mark.unit
def test_the_file_is_what_the_table_says() -> None:
    assert DASHBOARD.read_text() == dashboard.document(), (
        "write it again: python -m service_failover.monitoring.dashboard > service_failover/monitoring/dashboard.json"
    )


@pytest.mark.unit
@pytest.mark.parametrize(("place", "expression"), asked_for(), ids=lambda text: text[:60])
def test_every_expression_asks_for_what_there_is(place: str, expression: str) -> None:
    there = known()
    names = metrics_of(expression)
    assert names, f"{place}: no metric found in it"
    assert names <= there.keys(), f"{place} would stay empty"
    labels = set.union(*(there[name] for name in names)) | OF_TARGETS
    assert labels_of(expression) <= labels, f"{place}: a label that no metric in it has"


@pytest.mark.unit
def test_names_that_are_no_metrics_would_be_found() -> None:
    expression = 'histogram_quantile(0.9, sum by (le, x) (rate(a_bucket{y=~"b|c"}[5m]))) / on (z) group_left d > bool 1e3 and absent(up == 1)'
    assert metrics_of(expression) == {"a_bucket", "d", "up"}
    assert labels_of(expression) == {"le", "x", "y", "z"}


@pytest.mark.prometheus
def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{index}", "expr": filled(expression)} for index, (_, expression) in enumerate(panels.expressions())]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    rules[0]["expr"] = "sum by (cluster (up)"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert promtool("check", "rules", str(file)).returncode != 0, "and would not take a wrong one"


@pytest.mark.unit
def test_no_panel_lies_over_another_and_each_is_described() -> None:
    drawn: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    boxes = [{(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])} for p in (each["gridPos"] for each in drawn)]
    assert not any(one & other for one, other in combinations(boxes, 2))
    assert all(x < dashboard.WIDTH for box in boxes for x, _ in box), "Grafana's grid has 24 columns"
    assert len({each["id"] for each in drawn}) == len(drawn)
    for panel in drawn:
        if panel["type"] != "row":
            assert panel["description"], panel["title"]
            assert panel["datasource"]["uid"] == "$datasource", "the reader chooses the Prometheus"
            assert all(target["legendFormat"].startswith("{{cluster}}") for target in panel["targets"]), "a line says whose it is"
