"""A drill as one JSON document: every scenario, every repeat, with verdict, measures, timeline and each failed request. Pure but for `load`.

drill/report.schema.json says what each field means. A document is checked against it when it is read, so that a file of another kind, or of a version
that this one does not know, is refused by the field at which they differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from drill.buckets import buckets
from drill.measures import Latency, Measures, Part, measure
from drill.record import Event, Recording
from drill.repeat import spread
from drill.results import Result, label_of
from drill.verdict import Verdict, judge

VERSION = 1
MOST_FAILURES = 500
"""Failed requests that are kept of a run, the first and the last half of so many; the rest are counted."""
MOST_STINTS = 300
SCHEMA = Path(__file__).with_name("report.schema.json")


class DocumentError(Exception):
    """A file is no report of a drill. The text names the file, the field and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One run of one scenario, judged."""

    recording: Recording
    measures: Measures
    verdict: Verdict

    @classmethod
    def of(cls, recording: Recording) -> Self:
        """Measure and judge. Raises ValueError when nothing was sent."""
        measures = measure(recording)
        return cls(recording=recording, measures=measures, verdict=judge(measures, recording.objective, recording.causes))


def document(outcomes: Sequence[Outcome], *, made_at: str = "", ended: str = "") -> dict[str, Any]:
    """The document of a drill of at least one outcome; several of one scenario, wherever they stand, are its repeats.

    `made_at`: ISO 8601, now if empty. `ended`: why the drill ended before all was run that was to be run; it has not passed then.
    """
    if not outcomes:
        raise ValueError("there is no outcome; no scenario was run")
    names = list(dict.fromkeys(outcome.recording.scenario for outcome in outcomes))
    by_name = {name: [outcome for outcome in outcomes if outcome.recording.scenario == name] for name in names}
    return {
        "kind": "service-failover-drill",
        "version": VERSION,
        "made_at": made_at or datetime.now(UTC).isoformat(timespec="seconds"),
        "stack": outcomes[0].recording.stack,
        "passed": not ended and all(outcome.verdict.passed for outcome in outcomes),
        "interrupted": bool(ended) or any(outcome.recording.interrupted for outcome in outcomes),
        "ended": ended,
        "scenarios": [_scenario(runs) for runs in by_name.values()],
    }


def load(path: Path) -> dict[str, Any]:
    """The document in a file. Raises DocumentError when there is none, or it is none."""
    try:
        values = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as problem:
        raise DocumentError(f"{path}: cannot be read: {problem}") from None
    except json.JSONDecodeError as problem:
        raise DocumentError(f"{path}: is no JSON: {problem}") from None
    if found := best_match(validator().iter_errors(values)):
        raise DocumentError(f"{path}: {found.json_path}: {found.message[:300]}; allowed: a report that `python -m drill --json FILE` wrote")
    return dict(values)


@cache
def validator() -> Draft202012Validator:
    """Of the schema, which is checked itself."""
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def _scenario(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    recording = outcomes[0].recording
    runs = [_run(outcome) for outcome in outcomes]
    return {
        "name": recording.scenario,
        "title": recording.title,
        "text": recording.text,
        "request": recording.request,
        "rate": recording.rate,
        "expected": dict(zip(("before", "during", "after"), recording.expected, strict=True)),
        "objective": asdict(recording.objective),
        "passed": all(outcome.verdict.passed for outcome in outcomes),
        "spread": spread([run["measures"] for run in runs]),
        "runs": runs,
    }


def _run(outcome: Outcome) -> dict[str, Any]:
    recording, measures, verdict = outcome.recording, outcome.measures, outcome.verdict
    failures = [_failure(result, started=recording.started) for result in sorted(recording.results) if result.failed]
    return {
        "started_at": recording.started_at,
        "interrupted": recording.interrupted,
        "despite": recording.despite,
        "passed": verdict.passed,
        "checks": [{**asdict(check), "measured": _rounded(check.measured)} for check in verdict.checks],
        "causes": list(verdict.causes),
        "doubts": list(verdict.doubts),
        "measures": _measures(measures),
        "events": [_event(event, started=recording.started) for event in sorted(recording.events, key=lambda event: event.at)],
        "served": [{**asdict(stint), "first": round(stint.first, 4), "last": round(stint.last, 4)} for stint in measures.served[:MOST_STINTS]],
        "served_left_out": max(0, len(measures.served) - MOST_STINTS),
        "timeline": buckets(recording.results, started=recording.started),
        "failures": failures if len(failures) <= MOST_FAILURES else failures[: MOST_FAILURES // 2] + failures[-MOST_FAILURES // 2 :],
        "failures_left_out": max(0, len(failures) - MOST_FAILURES),
        "errors": _errors(result for result in recording.results if result.failed),
    }


def _measures(measures: Measures) -> dict[str, Any]:
    times = {name: _rounded(getattr(measures, name)) for name in ("broken", "healed", "first_affected", "last_failed", "detect", "switch", "recover")}
    counted = ("in_flight", "failed_in_flight", "failed_beyond_in_flight", "failed_without_status", "unanswered")
    counts = {name: getattr(measures, name) for name in counted}
    return {
        "failed": measures.total.lost,
        "failback_failed": measures.failback_failed,
        **counts,
        **times,
        "total": _part(measures.total),
        "phases": {phase.value: _part(part) for phase, part in measures.phases.items()},
        "lag": _latency(measures.lag),
    }


def _part(part: Part) -> dict[str, Any]:
    return {"requests": part.requests, "answered": part.answered, "failed": dict(part.failed), "latency": _latency(part.latency)}


def _latency(latency: Latency | None) -> dict[str, float] | None:
    return None if latency is None else {name: round(value, 6) for name, value in asdict(latency).items()}


def _event(event: Event, *, started: float) -> dict[str, Any]:
    return {**event._asdict(), "at": round(event.at - started, 4), "kind": event.kind.value}


def _failure(result: Result, *, started: float) -> dict[str, Any]:
    return {
        "number": result.number,
        "scheduled": round(result.scheduled - started, 4),
        "sent": round(result.sent - started, 4),
        "took": round(result.took, 5),
        "kind": result.kind.value,
        "status": result.status,
        "answer": result.server,
        "error": result.error,
    }


def _errors(failed: Iterable[Result]) -> list[dict[str, Any]]:
    """The different ways in which requests failed, the most frequent first, ten at the most."""
    words = sorted((label_of(result), result.error or result.server) for result in failed)
    counted = sorted(((len(list(group)), label, text) for (label, text), group in groupby(words)), reverse=True)
    return [{"label": label, "text": text, "requests": requests} for requests, label, text in counted[:10]]


def _rounded(value: float | str | None) -> float | str | None:
    return round(value, 5) if isinstance(value, float) else value
