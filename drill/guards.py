"""What has to be so before a drill breaks anything: the scenarios can be done there, the stack is whole, and its owner has agreed.

Each guard raises CommandFailed with what is wrong and the next command to run. None changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from cli.workspace import CommandFailed
from drill.broken import Broken
from drill.scenario import Scenario
from service_failover.cluster_settings import ClusterKind


def chosen(names: Sequence[str], *, scenarios: Mapping[str, Scenario], default: Sequence[str], kind: ClusterKind) -> tuple[Scenario, ...]:
    """The scenarios of these names; for none, those of `default` that can be done on clusters of this kind. Errors: unknown, not possible there."""
    if unknown := [name for name in names if name not in scenarios]:
        raise CommandFailed(f"scenario {unknown[0]!r} is not known; known: {', '.join(scenarios)}. What each does: python -m drill --list")
    if impossible := [name for name in names if kind not in scenarios[name].kinds]:
        (first, *_) = impossible
        raise CommandFailed(f"{first} cannot be done on {kind} clusters: {scenarios[first].why_not[kind]}. What can be done: python -m drill --list")
    picked = tuple(scenarios[name] for name in names or default)
    return tuple(scenario for scenario in picked if kind in scenario.kinds)


def nothing_left_broken(broken: Broken, *, command: str) -> None:
    """Errors: a former drill could not heal what it broke. `command` heals it."""
    if names := broken.names():
        raise CommandFailed(f"a former drill has left something broken: {', '.join(names)}. Heal it: {command}")


def overlooked(wrong: str, *, despite: bool, next_command: str) -> str:
    """What is wrong with the stack and overlooked `despite` it; "" when nothing is. Errors: something is, and is not to be overlooked."""
    if wrong and not despite:
        raise CommandFailed(
            f"the stack is not healthy, so a drill would measure that: {wrong}\n"
            f"See more: {next_command}. To drill it as it is, which the report will say: --despite-unhealthy"
        )
    return wrong


def agreed(
    kind: ClusterKind, *, contexts: Sequence[str], titles: Sequence[str], yes: bool, command: str, stdin: TextIO, ask: Callable[[str], str] = input
) -> None:
    """Ask before clusters are touched that are not the stack's own. Errors: the answer is no, or nobody can be asked; `command` agrees beforehand."""
    if kind is not ClusterKind.EXISTING or yes:
        return
    what = "".join(f"\n  - {title}" for title in titles)
    if not stdin.isatty():
        raise CommandFailed(
            f"this breaks things in your clusters ({', '.join(contexts)}), and nobody can be asked without a terminal:{what}\n"
            f"To agree: --yes, as in: {command}"
        )
    if ask(f"This breaks things in your clusters ({', '.join(contexts)}), and heals them:{what}\nType yes to go on: ").strip() != "yes":
        raise CommandFailed(f"not agreed to, so nothing was done. To agree: type yes, or --yes, as in: {command}")
