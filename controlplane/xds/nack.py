"""Reading a NACK: which of the resources sent does Envoy complain about?

Envoy refuses a whole response and explains itself in prose, for instance `Error adding/updating cluster(s) blue: ..., green: ...`. Names are
looked for as whole words; where none is found, only a response with a single new resource leaves no doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from controlplane.log import redact
from controlplane.xds.resources import ResourceType

_LONGEST = 1000
_NOT_IN_NAME = r"[\w.~:/-]"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A configuration that an Envoy refused, in Envoy's own words. `name` is None when the message names no resource."""

    type: ResourceType
    name: str | None
    message: str


def offenders(message: str, candidates: Iterable[str]) -> frozenset[str]:
    """The names of `candidates` (what is new in the refused response) that `message` speaks of; empty when that cannot be told."""
    names = frozenset(candidates)
    if len(names) == 1:
        return names
    return frozenset(name for name in names if _mentions(message, name))


def readable(message: str) -> str:
    """Envoy's reason on one line of bounded length.

    When a rule of the protocol is broken, Envoy prints the whole resource before the reason. That is left out: it is long, and of a Secret it would
    be the key.
    """
    reason = message.rpartition("\n: ")[2] if "goo.gle/debug" in message else message
    text = redact(" ".join(reason.split()))
    # The reason stands at the end, behind what it is about.
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"


def _mentions(message: str, name: str) -> bool:
    # A trailing colon or full stop ends a word in Envoy's prose: "blue: reason", "blue.".
    pattern = rf"(?<!{_NOT_IN_NAME}){re.escape(name)}(?![\w~/-]|[.:]\w)"
    return re.search(pattern, message) is not None
