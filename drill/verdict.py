"""Did a run keep what its scenario promises? Pure: numbers against an objective.

Every objective that is judged is a check, met or not, with what was measured and what is allowed. What explains a miss is found by drill.causes and
only passed on here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drill.measures import Measures, Phase
from drill.record import Objective
from drill.results import Kind
from drill.words import duration

LATE = 0.02
"""Seconds of the probe's own delay (p99) from which on a reader has to know of it."""
EFFECT = 0.1
"""Share of the requests sent while nobody can answer that has to go without a good answer until the heal."""
_MOST_NAMED = 5
"""Servers in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One objective, judged."""

    objective: str
    """The field of Objective; or `whole`, `served_before`, `effect`, which every run has to keep."""
    title: str
    measured: float | str | None
    """Requests, or seconds; None: it did not happen."""
    allowed: float | str
    unit: str
    """"requests", "s", or "" for words."""
    met: bool
    text: str
    """The same as a sentence."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Pass or fail, and why."""

    checks: tuple[Check, ...]
    causes: tuple[str, ...]
    """What is wrong with the stack, by drill.causes; also of a run that passed."""
    doubts: tuple[str, ...]
    """What makes the measurement less exact than it should be."""

    @property
    def misses(self) -> tuple[Check, ...]:
        """The checks that were not met."""
        return tuple(check for check in self.checks if not check.met)

    @property
    def passed(self) -> bool:
        return not self.misses


def judge(measures: Measures, objective: Objective, causes: Sequence[str] = ()) -> Verdict:
    """The verdict on a run."""
    checks = (*_sound(measures), *_lost(measures, objective), *_in_time(measures, objective))
    return Verdict(checks=checks, causes=tuple(causes), doubts=tuple(_doubts(measures)))


def _sound(measures: Measures) -> Iterator[Check]:
    """What a run has to be to say anything."""
    steps = [name for name, at in (("broken", measures.broken), ("healed", measures.healed)) if at is not None]
    yield Check(
        objective="whole",
        title="the run is whole",
        measured=" and ".join(steps) + ("" if measures.whole or len(steps) < 2 else ", then interrupted") or "not broken",
        allowed="broken and healed",
        unit="",
        met=measures.whole,
        text="It was broken, healed, and watched to the end."
        if measures.whole
        else "The run was interrupted: it says nothing about what came after.",
    )
    before = measures.served_before
    if before and measures.broken is not None:
        servers, expected = ", ".join(before[:_MOST_NAMED]), measures.expected[0]
        yield Check(
            objective="served_before",
            title="who served before the break",
            measured=servers,
            allowed=expected,
            unit="",
            met=before == (expected,),
            text=f"Before the break {servers} answered; expected: {expected} alone.",
        )
    if measures.expected[1] is None:
        # A gateway that tries for long may have each of them answered after the heal. A few are on their way at the heal in any case.
        sent, unanswered = measures.phases[Phase.DURING].requests, measures.unanswered
        yield Check(
            objective="effect",
            title="without a good answer until the heal",
            measured=unanswered,
            allowed=f"{math.ceil(sent * EFFECT):,} or more",
            unit="requests",
            met=unanswered >= max(1, sent * EFFECT),
            text=f"{unanswered:,} of {_requests(sent)} had no good answer while nobody could answer; below a tenth the break had no effect.",
        )


def _lost(measures: Measures, objective: Objective) -> Iterator[Check]:
    """Objectives that count requests."""
    if objective.failed_beyond_in_flight is not None:
        beyond = measures.failed_beyond_in_flight
        yield _count(
            "failed_beyond_in_flight",
            "failed, beyond what was in flight",
            beyond,
            objective.failed_beyond_in_flight,
            "failed that were not in flight",
        )
    elif objective.failed is not None:
        yield _count("failed", "failed", measures.total.lost, objective.failed, "failed")
    if objective.failback_failed is not None:
        yield _count(
            "failback_failed", "failed, sent after the heal", measures.failback_failed, objective.failback_failed, "sent after the heal failed"
        )
    if objective.only_status:
        yield _count("only_status", "failed without a complete answer", measures.failed_without_status, 0, "failed without a complete answer")
    if (until := objective.failed_only_until) is not None:
        last = measures.last_failed
        yield Check(
            objective="failed_only_until",
            title="last failed request, after the break",
            measured=last,
            allowed=until,
            unit="s",
            met=last is None or last <= until,
            text="No request failed."
            if last is None
            else f"The last request that failed was sent {_seconds(last)} after the break; allowed: {_seconds(until)}.",
        )


def _in_time(measures: Measures, objective: Objective) -> Iterator[Check]:
    """Objectives that are times."""
    before, during, after = measures.expected
    if objective.detect_within is not None and measures.broken is not None:
        yield _time("detect_within", "time to detect", measures.detect, objective.detect_within, "the gateway or the status noticed it", "the break")
    if during is not None and objective.switch_within is not None and measures.broken is not None:
        title = "time until it served again for good" if during == before else "time to switch"
        yield _time("switch_within", title, measures.switch, objective.switch_within, f"{during} answered alone", "the break")
    if objective.recover_within is not None and measures.healed is not None:
        yield _time("recover_within", "time to recover", measures.recover, objective.recover_within, f"{after} answered alone", "the heal")
    if (within := objective.answered_within) is not None:
        slowest = measures.slowest
        yield Check(
            objective="answered_within",
            title="slowest request",
            measured=slowest,
            allowed=within,
            unit="s",
            met=slowest <= within,
            text=f"The slowest request took {_seconds(slowest)}; allowed: {_seconds(within)}.",
        )


def _doubts(measures: Measures) -> Iterator[str]:
    if measures.lag is not None and measures.lag.p99 > LATE:
        late = f"{duration(measures.lag.p99)} late (p99; at most {duration(measures.lag.max)})"
        yield f"The probe itself was {late}: the machine was busy, and the times are no more exact than that."
    if unsent := measures.total.failed.get(Kind.UNSENT, 0):
        yield f"{_requests(unsent)} could not be sent, as too many were in flight; what would have become of them is not known."


def _count(objective: str, title: str, measured: int, allowed: int, what: str) -> Check:
    text = f"{_requests(measured)} {what}; allowed: {allowed}."
    return Check(objective=objective, title=title, measured=measured, allowed=allowed, unit="requests", met=measured <= allowed, text=text)


def _time(objective: str, title: str, measured: float | None, allowed: float, what: str, since: str) -> Check:
    took = f"It took {_seconds(measured)} from {since} until {what}" if measured is not None else f"After {since} it never happened that {what}"
    met = measured is not None and measured <= allowed
    return Check(
        objective=objective, title=title, measured=measured, allowed=allowed, unit="s", met=met, text=f"{took}; allowed: {_seconds(allowed)}."
    )


def _requests(count: int) -> str:
    return f"{count:,} request{'' if count == 1 else 's'}"


def _seconds(value: float) -> str:
    return f"{value:.3f} s" if value < 10 else f"{value:.1f} s"
