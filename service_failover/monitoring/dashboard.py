"""The Grafana dashboard, written out: `python -m service_failover.monitoring.dashboard > service_failover/monitoring/dashboard.json`.

A test compares the file with this. panels.py says what is in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import count
from typing import Any

from service_failover.monitoring.panels import GREEN, ROWS, Panel

WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "$datasource"}


def document() -> str:
    """The whole of dashboard.json."""
    return json.dumps(_dashboard(), indent=1) + "\n"


def _dashboard() -> dict[str, Any]:
    return {
        "uid": "service-failover",
        "title": "Service Failover",
        "description": "Who serves, whether the standbys would, what clients get, and how the control plane is. Alerts: docs/alerts.md.",
        "tags": ["service-failover", "gloo"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": [_source_variable(), _cluster_variable()]},
        "panels": list(_panels()),
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}, "hide": 0}


def _cluster_variable() -> dict[str, Any]:
    query = "label_values(service_failover_build_info, cluster)"
    return {
        "name": "cluster",
        "label": "Cluster",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "clusters"},
        "definition": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        # Where nobody has given the targets a cluster, all is what has none.
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
        "hide": 0,
    }


def _panels() -> Iterator[dict[str, Any]]:
    ids = count(1)
    top = 0
    for row, panels in ROWS.items():
        yield {"id": next(ids), "type": "row", "title": row, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}}
        top += 1
        left = 0
        for panel in panels:
            if left + panel.width > WIDTH:
                left, top = 0, top + panel.height
            yield _panel(panel, id=next(ids)) | {"gridPos": {"x": left, "y": top, "w": panel.width, "h": panel.height}}
            left += panel.width
        top += panels[-1].height


def _panel(panel: Panel, *, id: int) -> dict[str, Any]:
    steps = [{"value": value, "color": color} for value, color in panel.steps or ((None, GREEN),)]
    meanings = {value: {"text": text, "color": color, "index": index} for index, (value, text, color) in enumerate(panel.meanings)}
    return {
        "id": id,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend, "instant": panel.kind == "stat"}
            for index, (expression, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "mappings": [{"type": "value", "options": meanings}] if meanings else [],
                "thresholds": {"mode": "absolute", "steps": steps},
                **({"min": 0} if panel.kind == "timeseries" else {}),
                **({"noValue": panel.empty} if panel.empty else {}),
                "custom": _drawing(panel),
            },
            "overrides": [],
        },
        "options": _options(panel),
    }


def _drawing(panel: Panel) -> dict[str, Any]:
    if panel.kind != "timeseries":
        return {}
    stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
    return {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 25 if panel.stacked else 5, "stacking": stacking, "spanNulls": False}


def _options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "stat":
            # One value a label set, with its name; the colour says at a glance what the text says too.
            return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "none", "textMode": "value_and_name"}
        case "state-timeline":
            return {"showValue": "auto", "mergeValues": True, "legend": {"showLegend": False}}
        case _:
            return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


if __name__ == "__main__":
    sys.stdout.write(document())
