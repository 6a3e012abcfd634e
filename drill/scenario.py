"""One way to break a running stack, with what is promised meanwhile. The list of them is in drill.scenarios. No I/O.

A scenario neither probes nor judges: it breaks, heals, and says what is to be expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from drill.record import Objective
from service_failover.cluster_settings import ClusterKind

if TYPE_CHECKING:
    from drill.target import Target

EVERYWHERE = frozenset(ClusterKind)


def nothing(_: Target) -> None:
    """What a scenario does to prepare that needs no preparation."""


class Expected(Enum):
    """Who serves while it is broken. Before and after it is always blue."""

    BLUE = "blue-pod"
    GREEN = "green-pod"
    NOBODY = None
    """Nobody can: requests fail, at once and with a clean answer."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One way to break a stack."""

    name: str
    """As it is typed: "app-unhealthy"."""
    title: str
    text: str
    """What it does, what clients may notice, and why."""
    objective: Objective
    expected_during: Expected
    hold: float
    """Seconds between break and heal."""
    settle: float
    """Seconds after the heal for which clients go on."""
    break_: Callable[[Target], None]
    """Returns when it is broken. Idempotent. Raises CommandFailed when it cannot."""
    heal: Callable[[Target], None]
    """Idempotent, and needs nothing in memory: another process may call it at any time, also when `break_` never ran or was cut half-way."""
    kinds: frozenset[ClusterKind] = EVERYWHERE
    """Where it can be done."""
    why_not: Mapping[ClusterKind, str] = field(default_factory=dict)
    """For every other kind: why not."""
    prepare: Callable[[Target], None] = nothing
    """What has to be true before the clients begin, such as a pod that Kubernetes restarts without a back-off. The stack is to be settled again
    after it; `heal` has nothing to undo of it."""
    warm_up: bool = True
    """Whether clients call before it breaks. False: the first request comes after it."""
