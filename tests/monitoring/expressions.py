"""Which metrics and labels a PromQL expression names, and which docs/metrics.md lists of the proxies'.

Enough of PromQL's grammar for expressions without metric names in strings.
"""

from __future__ import annotations

import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(envoy_\w+)` \| ([\w, ]*)\|", re.MULTILINE)
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset", "and", "or", "unless"}
LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
MATCHERS = re.compile(r"\{([^}]*)\}")
NAME = re.compile(r"(?<![\w:])[a-zA-Z_:][\w:]*(?!\w)(?!\s*\()")
RANGE = re.compile(r"\[[^\]]*\]")


def metrics_of(expression: str) -> set[str]:
    """Names of the metrics."""
    bare = STRING.sub('""', expression)
    for rest in (LISTS, MATCHERS, RANGE):
        bare = rest.sub(" ", bare)
    return {name for name in NAME.findall(bare) if name not in WORDS}


def labels_of(expression: str) -> set[str]:
    """Names of the labels that it selects or groups by."""
    bare = STRING.sub('""', expression)
    listed = {name.strip() for names in LISTS.findall(bare) for name in names.split(",")}
    matched = {re.split(r"[=!~]", matcher)[0].strip() for matchers in MATCHERS.findall(bare) for matcher in matchers.split(",")}
    return (listed | matched) - {""}


def filled(expression: str, *, window: str = "1m") -> str:
    """An expression of the dashboard as Prometheus takes it: Grafana's variables have values."""
    return expression.replace("$__rate_interval", window).replace("$cluster", ".*")


def envoys_own() -> dict[str, set[str]]:
    """The proxies' series that docs/metrics.md lists, with their labels."""
    return {name: set(filter(None, re.split(r"[, ]+", labels))) for name, labels in ROW.findall(DOCUMENT.read_text())}
