"""Two reports side by side: what got better and what got worse, scenario by scenario. Pure.

A measure has changed when the runs of one report lie wholly beyond those of the other, by more than the drill is exact to. Of every measure less is
better. Only a verdict that turned from pass to fail counts as a regression: a measure within its objective may be slower for a hundred reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drill.summary import printable
from drill.words import TITLES, spread

EXACT_TO = 0.005
"""Seconds below which a difference says nothing."""
SHARE = 0.1
"""The same as a share of the first value."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What changed."""

    text: str
    regressed: bool
    """A scenario that passed before fails now."""


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    """The second document against the first."""
    old, new = ({scenario["name"]: scenario for scenario in document["scenarios"]} for document in (before, after))
    lines = [f"{document['made_at']}  stack {document['stack']}, {_verdict(document)}" for document in (before, after)]
    for name in dict.fromkeys((*old, *new)):
        if name not in new or name not in old:
            lines += ["", f"{name}: only in the {'first' if name in old else 'second'} report ({_verdict((old | new)[name])})"]
            continue
        lines += ["", f"{name}: {_verdict(old[name])} -> {_verdict(new[name])}"]
        lines += [f"    {line}" for line in _differences(old[name], new[name])]
    regressed = [name for name in old.keys() & new.keys() if old[name]["passed"] and not new[name]["passed"]]
    lines += ["", f"regressed: {', '.join(sorted(regressed))}" if regressed else "no scenario that passed fails now"]
    return Comparison(text="\n".join(printable(line) for line in lines), regressed=bool(regressed))


def _verdict(values: Mapping[str, Any]) -> str:
    return "pass" if values["passed"] else "FAIL"


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"other conditions: {name}: {old[name]} -> {new[name]}" for name in ("rate", "request") if old[name] != new[name])
    promised, promises = old["objective"], new["objective"]
    judged_by = [name for name in promises if name != "failed_reason"]
    yield from (f"other objective: {name}: {promised[name]} -> {promises[name]}" for name in judged_by if promised[name] != promises[name])
    missed = [check["text"] for run in new["runs"] for check in run["checks"] if not check["met"]]
    yield from (f"missed now: {text}" for text in dict.fromkeys(missed))
    changes = [(name, change) for name in TITLES if (change := judged(old["spread"][name], new["spread"][name]))]
    for name, change in changes:
        yield f"{change:7} {TITLES[name]:24} {spread(old['spread'][name])} -> {spread(new['spread'][name])}"
    if not changes:
        yield "no measure changed"


def judged(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """`better`, `worse`, `happens`, `never` (in no run any more), or "" for no change that says anything. Takes two spreads of a document."""
    if not old["count"] or not new["count"]:
        return "" if old["count"] == new["count"] else "happens" if new["count"] else "never"
    exact = 0.0 if old["unit"] == "requests" else max(EXACT_TO, SHARE * old["median"])
    if new["min"] > old["max"] + exact:
        return "worse"
    return "better" if new["max"] < old["min"] - exact else ""
