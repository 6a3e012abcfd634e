"""What a drill says at its end in a terminal: a few lines for each scenario, and every miss with its causes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from drill.words import amount, count, duration, spread

_INDENT = " " * 6


def text(document: Mapping[str, Any]) -> str:
    """The short text of a document, without a newline at its end."""
    scenarios = document["scenarios"]
    passed = sum(scenario["passed"] for scenario in scenarios)
    lines = [line for scenario in scenarios for line in (*_scenario(scenario), "")]
    if document["ended"]:
        lines.append(f"The drill ended early: {document['ended']}.")
    verdict = "PASSED" if document["passed"] else "FAILED"
    lines.append(
        f"{verdict}: {passed} of {len(scenarios)} scenario{'' if len(scenarios) == 1 else 's'} kept what they promise (stack {document['stack']})"
    )
    return "\n".join(printable(line) for line in lines)


def printable(line: str) -> str:
    """A line without what would move the cursor or colour a terminal: answers and errors come from outside."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)


def _scenario(scenario: Mapping[str, Any]) -> Iterator[str]:
    runs, several = scenario["runs"], len(scenario["runs"]) > 1
    yield f"{'PASS' if scenario['passed'] else 'FAIL'}  {scenario['name']}: {scenario['title']}"
    yield _INDENT + (_repeated(scenario) if several else _single(runs[0]))
    for number, run in enumerate(runs, start=1):
        which = f"run {number}: " if several else ""
        yield from (f"{_INDENT}{which}missed: {check['text']}" for check in run["checks"] if not check["met"])
        yield from (f"{_INDENT}{which}cause: {cause}" for cause in run["causes"])
        if not run["passed"] and not run["causes"]:
            yield f"{_INDENT}{which}cause: nothing was found in the stack that explains it"
        if run["despite"]:
            yield f"{_INDENT}{which}started in spite of: {run['despite']}"
        yield from (f"{_INDENT}{which}doubt: {doubt}" for doubt in run["doubts"])


def _single(run: Mapping[str, Any]) -> str:
    measures = run["measures"]
    p99 = ", ".join(f"{phase} {duration((part['latency'] or {}).get('p99'))}" for phase, part in measures["phases"].items())
    times = ", ".join(f"{name} {duration(measures[name])}" for name in ("detect", "switch", "recover"))
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in measures["total"]["failed"].items())
    failed = f"{measures['failed']:,} of {measures['total']['requests']:,} failed{f' ({kinds})' if kinds else ''}"
    return f"{failed}; {times}; p99 {p99}"


def _repeated(scenario: Mapping[str, Any]) -> str:
    runs, spreads = scenario["runs"], scenario["spread"]
    passed = sum(run["passed"] for run in runs)
    total = sum(run["measures"]["total"]["requests"] for run in runs)
    times = ", ".join(f"{name} {spread(spreads[name])}" for name in ("detect", "switch", "recover"))
    failed = f"{amount(sum(run['measures']['failed'] for run in runs), 'requests')} of {count(total)} failed"
    return f"{passed} of {len(runs)} runs passed; {failed}; medians: {times}"
