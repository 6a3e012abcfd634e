"""What the status of each object should be: the reports of the translations, plus what Envoy itself refuses, in Envoy's words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.kube.objects import Object
from controlplane.translation.types import ObjectRef, Report
from gloo_api.meta import Problem

REPORTER = "gloo"

Refusals = Mapping[ObjectRef, Iterable[str]]
"""What proxies refuse, by the object it comes from; each text names the proxy."""


def merge(
    reports: Iterable[Mapping[ObjectRef, Report]], *, invalid: Mapping[ObjectRef, tuple[Problem, ...]], refusals: Refusals
) -> dict[ObjectRef, Report]:
    """One report an object, out of those of all proxies. What is said twice is kept once."""
    merged: dict[ObjectRef, Report] = {}
    for each in reports:
        for ref, report in each.items():
            merged[ref] = _add(merged.get(ref), report)
    for ref, problems in invalid.items():
        merged[ref] = Report(errors=problems)  # The rest was said of an older version, which is the one that serves.
    for ref, messages in refusals.items():
        merged[ref] = _add(merged.get(ref), Report(errors=tuple(Problem(path="envoy", message=message) for message in sorted(messages))))
    return merged


def _add(first: Report | None, second: Report) -> Report:
    if first is None or first == second:
        return second
    return Report(errors=tuple(dict.fromkeys(first.errors + second.errors)), warnings=tuple(dict.fromkeys(first.warnings + second.warnings)))


def status_of(report: Report, *, namespace: str) -> dict[str, Any]:
    """The `status` of an object, under the namespace of the control plane that says so."""
    status = {"state": report.state.value, "reportedBy": REPORTER}
    if report.reason:
        status["reason"] = report.reason
    return {"statuses": {namespace: status}}


def is_written(obj: Object, desired: Mapping[str, Any], *, namespace: str) -> bool:
    """True when the object already says so; other namespaces' reports are theirs."""
    written = ((obj.get("status") or {}).get("statuses") or {}).get(namespace)
    return bool(written == desired["statuses"][namespace])
