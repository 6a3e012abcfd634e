"""`python -m drill --list`: the scenarios, what each promises, and why some cannot be done on a stack. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from drill.record import Objective
from drill.run import scheduled
from drill.scenario import Expected, Scenario
from service_failover.cluster_settings import ClusterKind


def listed(scenarios: Mapping[str, Scenario], *, default: Collection[str], kind: ClusterKind) -> str:
    """The scenarios that can be done on clusters of this kind, with their promises; then the others, each with its reason."""
    here = [scenario for scenario in scenarios.values() if kind in scenario.kinds]
    width = max(map(len, scenarios))
    lines = [f"On {kind} clusters (* in the default set, which takes {clock(sum(scheduled(each) for each in here if each.name in default))}):"]
    for scenario in here:
        lines += [
            f"  {scenario.name:{width}} {'*' if scenario.name in default else ' '} {scenario.title}",
            f"  {'':{width}}   {promised(scenario)}; {scheduled(scenario):g} s",
        ]
    if elsewhere := [scenario for scenario in scenarios.values() if kind not in scenario.kinds]:
        lines.append(f"Not on {kind} clusters:")
        lines += [f"  {scenario.name:{width}}   {scenario.why_not[kind]}" for scenario in elsewhere]
    return "\n".join(lines)


def promised(scenario: Scenario) -> str:
    """What a scenario promises, in a line."""
    objective = scenario.objective
    parts = [_failures(objective)]
    if objective.only_status:
        parts.append("each with a complete answer")
    if objective.answered_within is not None:
        parts.append(f"answered within {objective.answered_within:g} s")
    if objective.detect_within is not None:
        parts.append(f"noticed within {objective.detect_within:g} s")
    if objective.switch_within is not None and scenario.expected_during is not Expected.NOBODY:
        words = "the primary alone serves again" if scenario.expected_during is Expected.BLUE else "switched"
        parts.append(f"{words} within {objective.switch_within:g} s")
    if objective.recover_within is not None:
        parts.append(f"recovered within {objective.recover_within:g} s")
    return ", ".join(parts)


def _failures(objective: Objective) -> str:
    because = f" ({objective.failed_reason})" if objective.failed_reason else ""
    if objective.failed_beyond_in_flight is not None:
        beyond = f" and {objective.failed_beyond_in_flight} more" if objective.failed_beyond_in_flight else ""
        return f"only what is in flight at the break fails{beyond}{because}"
    if objective.failed is not None:
        only = f", and none that is sent {objective.failed_only_until:g} s after" if objective.failed_only_until is not None else ""
        number = f"{objective.failed} request{'' if objective.failed == 1 else 's'} may fail"
        return f"{number}{because}{only}" if objective.failed else "no request fails"
    if objective.failed_only_until is not None:
        return f"requests fail for {objective.failed_only_until:g} s at the most{because}"
    return f"requests fail while it lasts{because}"


def clock(seconds: float) -> str:
    """Such as `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
