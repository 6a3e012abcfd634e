"""Whether a stack is in the state in which a drill may begin: both apps healthy in the gateway's eyes, the scheme in force, the standby proven."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cli.workspace import CommandFailed
from drill.gateway import healths, hosts
from drill.waiting import wait_for

if TYPE_CHECKING:
    from drill.target import Target

SETTLED_WITHIN = 60.0
ASKED_FOR = 5.0
"""Seconds for one answer of the primary."""


def unsettled(target: Target) -> str:
    """What is not as it has to be, in a sentence; "" when all is. One look: nothing is waited for, and nothing is raised."""
    try:
        return (
            unsettled_scheme(target.scheme())
            or (unsettled_hosts(healths(hosts(target))) if target.embedded else "")
            or _unsettled_answer(target.url, wanted=target.primary.answer)
        )
    except CommandFailed as error:
        return str(error)


def settle(target: Target, *, seconds: float = SETTLED_WITHIN) -> None:
    """Wait for it. Errors: CommandFailed with what is still wrong, and where to look."""
    problems = [""]

    def is_settled() -> bool:
        problems.append(unsettled(target))
        return not problems[-1]

    try:
        wait_for("the stack is as it was", is_settled, seconds=seconds)
    except CommandFailed as error:
        raise CommandFailed(f"not within {seconds:g} s: {problems[-1]} See why: {target.stack.command('status')}") from error


def unsettled_scheme(scheme: Mapping[str, Any]) -> str:
    """The same of a FailoverScheme."""
    name, status = scheme["metadata"]["name"], scheme.get("status") or {}
    if status.get("state") != "ACCEPTED":
        return f"FailoverScheme {name!r} is {status.get('state', 'PENDING')}, not ACCEPTED: {status.get('message') or 'it says no more'}."
    serving = status.get("serving") or {}
    if stale := serving.get("stale"):
        return f"FailoverScheme {name!r} does not know who serves: {stale}."
    if serving.get("priority") != 0:
        return f"{serving.get('name', 'nobody')} serves, not the primary: {serving.get('message', '')}."
    for tier in status.get("tiers", []):
        if not 0 < tier.get("total", 0) == tier.get("healthy", 0):
            return f"priority {tier['priority']} has {tier.get('healthy', 0)} healthy endpoints of {tier.get('total', 0)}."
        if tier.get("proven") is False:
            return f"the standby with priority {tier['priority']} is not proven: {tier.get('unprovenReason', '')}."
    return "" if status.get("standbyProven") else "no standby is proven."


def unsettled_hosts(healthy: Mapping[int, bool]) -> str:
    """The same of the health of each priority at the gateway, which is nearer than the scheme's status."""
    missing = [priority for priority in (0, 1) if not healthy.get(priority)]
    return f"the gateway has no healthy endpoint with priority {missing[0]}." if missing else ""


def _unsettled_answer(url: str, *, wanted: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=ASKED_FOR) as response:  # noqa: S310 -- the stack's own http URL
            answer = response.read(200).decode(errors="replace").strip().strip('"')
    except (urllib.error.URLError, OSError) as error:
        return f"{url} does not answer: {error}."
    return "" if answer == wanted else f"{url} is answered by {answer!r}, not by {wanted!r}."
