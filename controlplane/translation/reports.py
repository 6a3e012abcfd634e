"""What is said about each object, by who says it: one object is translated for several proxies and by several Gateways, and has one status."""

from __future__ import annotations

from collections.abc import Mapping

from controlplane.translation.types import ObjectRef, Report

Source = tuple[str, ...]
"""Who says something."""

ACCEPTED = Report()


def union(reports: list[Report]) -> Report:
    """Everything that is said, once."""
    if len(reports) == 1:
        return reports[0]
    errors = dict.fromkeys(problem for report in reports for problem in report.errors)
    warnings = dict.fromkeys(problem for report in reports for problem in report.warnings)
    return Report(errors=tuple(errors), warnings=tuple(warnings)) if errors or warnings else ACCEPTED


class ReportBook:
    """Reports by object. It knows which have changed since it was last asked, so that nobody has to compare all of them."""

    def __init__(self) -> None:
        self._said: dict[ObjectRef, dict[Source, Report]] = {}
        self._changed: dict[ObjectRef, None] = {}

    def say(self, source: Source, ref: ObjectRef, report: Report | None) -> None:
        """What `source` says about an object from now on; None: nothing any more."""
        said = self._said.get(ref, {})
        if said.get(source) == report:
            return
        self._changed[ref] = None
        if report is not None:
            self._said.setdefault(ref, said)[source] = report
            return
        del said[source]
        if not said:
            del self._said[ref]

    def replace(self, source: Source, reports: Mapping[ObjectRef, Report], *, before: Mapping[ObjectRef, Report]) -> None:
        """What `source` says about any object from now on, `before` being all it said until now."""
        for ref in before:
            if ref not in reports:
                self.say(source, ref, None)
        for ref, report in reports.items():
            self.say(source, ref, report)

    def get(self, ref: ObjectRef) -> Report | None:
        """All that is said about one object, in an order that depends on nothing but who says it; None: nothing."""
        said = self._said.get(ref)
        return union([report for _, report in sorted(said.items(), key=lambda item: item[0])]) if said else None

    def take_changed(self) -> dict[ObjectRef, Report | None]:
        """The reports that differ from what the last call returned; None: there is nothing more to say about the object."""
        changed, self._changed = self._changed, {}
        return {ref: self.get(ref) for ref in changed}
