"""Who may lead, decided from a Lease (coordination.k8s.io/v1) and the local clock. Pure.

The rules are client-go's, so that its tools read our Leases. Whether a Lease has expired is measured from the moment at which this process first saw
its present version, by this process's own monotonic clock: `renewTime` is for people, so clocks that differ between replicas do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from controlplane.kube.objects import Kind, Object, resource_version

LEASE = Kind(group="coordination.k8s.io", version="v1", kind="Lease", plural="leases")


@dataclass(frozen=True)
class Timing:
    """Seconds. Another takes over `lease` after the last sign of a leader; a leader without a renewal for `renew` stops; it renews every `retry`.

    The defaults are for failover: a dead leader is replaced within 10 s, and a leader survives three failed renewals. Between `renew` and `lease`
    nobody leads: that is the time in which what the old leader has in flight must end.
    """

    lease: int = 10
    renew: float = 7.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not self.lease > self.renew > self.retry > 0:
            raise ValueError(f"leader election: lease {self.lease} s > renew {self.renew} s > retry {self.retry} s > 0 must hold")


class Action(Enum):
    """What a replica does next."""

    CREATE = "create"
    """There is no Lease: make it, as ours."""
    TAKE = "take"
    """Nobody holds it any more."""
    RENEW = "renew"
    """It is ours."""
    WAIT = "wait"
    """Somebody else leads."""


@dataclass(frozen=True)
class Sighting:
    """A version of the Lease, and when it was first seen (monotonic seconds)."""

    version: str
    at: float


def see(lease: Object | None, last: Sighting | None, *, now: float) -> Sighting | None:
    """The sighting of what is there now: a version that was seen before keeps its time."""
    if lease is None:
        return None
    version = resource_version(lease)
    return last if last is not None and last.version == version else Sighting(version=version, at=now)


def holder(lease: Object | None) -> str:
    """Identity of who holds the Lease; empty when it has been released or is not there."""
    return str((_spec(lease).get("holderIdentity")) or "")


def expires_in(lease: Object, sighting: Sighting, *, timing: Timing, now: float) -> float:
    """Seconds until others may take the Lease; negative when they may. A Lease without a duration (edited by hand) has ours."""
    seconds = _spec(lease).get("leaseDurationSeconds")
    return sighting.at + (seconds if isinstance(seconds, int) and seconds > 0 else timing.lease) - now


def decide(lease: Object | None, sighting: Sighting | None, *, identity: str, timing: Timing, now: float) -> Action:
    """What to do about `lease`. Identities are unique among running replicas, so a Lease in our name is ours, also after a restart."""
    if lease is None or sighting is None:
        return Action.CREATE
    if (leads := holder(lease)) == identity:
        return Action.RENEW
    return Action.WAIT if leads and expires_in(lease, sighting, timing=timing, now=now) > 0 else Action.TAKE


def held(lease: Object | None, *, identity: str, timing: Timing, time: str) -> dict[str, Any]:
    """The spec that says that `identity` holds the Lease from `time` on (RFC 3339 with microseconds)."""
    before = _spec(lease)
    new = {"holderIdentity": identity, "leaseDurationSeconds": timing.lease, "renewTime": time}
    if lease is None:
        return {**new, "acquireTime": time, "leaseTransitions": 0}
    if holder(lease) == identity:
        return new
    return {**new, "acquireTime": time, "leaseTransitions": int(before.get("leaseTransitions") or 0) + 1}


def released(*, time: str) -> dict[str, Any]:
    """The spec that says that nobody holds the Lease any more. One second is the shortest duration there is."""
    return {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": time}


def _spec(lease: Object | None) -> dict[str, Any]:
    return dict((lease or {}).get("spec") or {})
