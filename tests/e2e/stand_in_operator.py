"""The definitions of the Prometheus operator as far as a stack needs them: any object of these kinds is taken. No operator acts on them."""

from __future__ import annotations

import json
from typing import Any

from service_failover.monitoring_settings import DEFINITIONS

KINDS = {"podmonitors": "PodMonitor", "prometheusrules": "PrometheusRule"}


def definitions() -> str:
    """They, as a document for kubectl."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [_definition(name) for name in DEFINITIONS]})


def _definition(name: str) -> dict[str, Any]:
    plural, _, group = name.partition(".")
    kind = KINDS[plural]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
