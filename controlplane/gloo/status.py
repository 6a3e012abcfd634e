"""What the status of an object should be: what translation says, plus what Envoy itself refuses, in Envoy's words. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from controlplane.kube.objects import Object
from controlplane.translation.reports import union
from controlplane.translation.types import ObjectRef, Report
from gloo_api.meta import Problem

REPORTER = "gloo"

Refusals = Mapping[ObjectRef, Iterable[str]]
"""What proxies refuse, by the object it comes from; each text names the proxy."""


def final(said: Report | None, *, invalid: tuple[Problem, ...], refusals: Collection[str]) -> Report | None:
    """One report on an object; None when there is nothing to say, as it is gone. `said`: by its translations; `invalid`: why it cannot be read."""
    if invalid:
        said = Report(errors=invalid)  # The rest was said of an older version, which is the one that serves.
    if said is None or not refusals:
        return said
    return union([said, Report(errors=tuple(Problem(path="envoy", message=message) for message in sorted(refusals)))])


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
