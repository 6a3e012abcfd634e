"""Collects what a translation has to say about one object, while it is being translated. It never decides what happens to the object."""

from __future__ import annotations

from controlplane.translation.types import ObjectRef, Report
from gloo_api.meta import Problem, Resource


class Reporter:
    """Errors and warnings in the order in which they were found, each once."""

    def __init__(self) -> None:
        self._errors: dict[Problem, None] = {}
        self._warnings: dict[Problem, None] = {}

    def error(self, path: str, message: str) -> None:
        """The object cannot be served."""
        self._errors[Problem(path, message)] = None

    def warn(self, path: str, message: str) -> None:
        """The object is served, but for this."""
        self._warnings[Problem(path, message)] = None

    def unknown_fields(self, resource: Resource) -> None:
        """No field is ignored in silence."""
        for path in resource.unknown_spec_fields():
            self.warn(path, "is not supported by this control plane and has no effect")

    def repeat(self, report: Report) -> None:
        """Say what has been said elsewhere."""
        self._errors.update(dict.fromkeys(report.errors))
        self._warnings.update(dict.fromkeys(report.warnings))

    @property
    def rejected(self) -> bool:
        return bool(self._errors)

    def report(self) -> Report:
        return Report(errors=tuple(self._errors), warnings=tuple(self._warnings))


class Reporters(dict[ObjectRef, Reporter]):
    """A reporter for each object that a translation has to say something about, made when it is first asked for."""

    def __missing__(self, ref: ObjectRef) -> Reporter:
        self[ref] = found = Reporter()
        return found

    def reports(self) -> dict[ObjectRef, Report]:
        return {ref: reporter.report() for ref, reporter in self.items()}
