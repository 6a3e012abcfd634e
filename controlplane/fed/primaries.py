"""The primaries of FailoverSchemes: the one field of theirs that `gloo-fed` owns, put there and taken away by server-side apply."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any, NamedTuple

from controlplane.fed.kinds import FAILOVER_SCHEME, MANAGER, UPSTREAM
from controlplane.fed.member import Member
from controlplane.fed.registry import Registry
from controlplane.kube.errors import ApiError, Conflict, Forbidden, NotFound, Unreachable
from controlplane.kube.objects import Key, Object, covers, deleting, owns, uid_of
from controlplane.kube.view import ClusterView

log = logging.getLogger(__name__)

_ATTEMPTS = 5
"""For a primary that its API server will not have cleaned (a webhook refuses, say): after that, some three seconds, nothing waits for it."""


class Primary(NamedTuple):
    """An Upstream in a cluster."""

    cluster: str
    key: Key

    def __str__(self) -> str:
        return f"Upstream {self.key[0]}/{self.key[1]} in cluster {self.cluster}"


class Primaries:
    """Writes `spec.failover` in registered clusters. `view` is that of the management cluster, where the schemes are."""

    def __init__(self, *, view: ClusterView, registry: Registry) -> None:
        self._view = view
        self._registry = registry
        self._applied: dict[Primary, tuple[str, dict[str, Any]]] = {}
        """The uid and the spec.failover written last."""
        self._refusals: Counter[Primary] = Counter()
        """How often a cluster would not have a primary cleaned."""

    def forget(self) -> None:
        """Take nothing for written: another replica may have written since."""
        self._applied.clear()

    async def apply(self, member: Member, primary: Primary, upstream: Object, failover: dict[str, Any]) -> None:
        """Have `failover` on the primary.

        Raises NotFound, Owned (by somebody else), Conflict (it is another object by now), Forbidden, Unreachable.
        """
        uid = uid_of(upstream)
        observed = (upstream.get("spec") or {}).get("failover")
        if (
            covers(observed, failover)
            and owns(upstream, MANAGER, "spec", "failover")
            and self._applied.get(primary, (uid, failover)) == (uid, failover)
        ):
            return
        # With its uid: an Upstream that has just been deleted must not come back as nothing but a failover.
        body = {"metadata": {"namespace": primary.key[0], "name": primary.key[1], "uid": uid}, "spec": {"failover": failover}}
        await member.writer.apply(UPSTREAM, body, manager=MANAGER)
        self._applied[primary] = (uid, failover)
        log.info("failover written", extra={"upstream": f"{primary.key[0]}/{primary.key[1]}", "cluster": primary.cluster})

    async def clean(self, primary: Primary) -> str | None:
        """Remove spec.failover of a primary that no other scheme has. Returns why that was impossible, or None."""
        member = self._registry.members.get(primary.cluster)
        if member is None:
            return f"cluster {primary.cluster} is not registered"
        if member.lost is not None:
            return f"cluster {primary.cluster}: {member.trouble}"
        if not member.synced:
            raise Unreachable(f"cluster {primary.cluster} is being read")
        try:
            await self.release(member, primary)
        except (Unreachable, Forbidden) as error:
            return f"cluster {primary.cluster}: {error}"
        except ApiError as error:
            self._refusals[primary] += 1
            if self._refusals[primary] < _ATTEMPTS:
                raise
            return f"cluster {primary.cluster}: {error}"
        del self._refusals[primary]
        return None

    async def sweep(self, cluster: str) -> None:
        """Remove every spec.failover of ours that no scheme asks for."""
        member = self._registry.members.get(cluster)
        if member is None or not member.synced or member.lost is not None:
            return
        for key in member.upstreams():
            await self.release(member, Primary(cluster, key))

    async def release(self, member: Member, primary: Primary) -> None:
        """Remove what gloo-fed wrote, unless a scheme asks for it."""
        upstream = member.upstream(primary.key)
        if upstream is None or not owns(upstream, MANAGER, "spec", "failover"):
            return
        if any(primary_of(each) == primary and not deleting(each) for each in self._view.objects(FAILOVER_SCHEME).values()):
            return
        body = {"metadata": {"namespace": primary.key[0], "name": primary.key[1], "uid": uid_of(upstream)}}
        try:
            await member.writer.apply(UPSTREAM, body, manager=MANAGER)
        except (NotFound, Conflict):
            return
        self._applied.pop(primary, None)
        log.info("failover removed", extra={"upstream": f"{primary.key[0]}/{primary.key[1]}", "cluster": primary.cluster})


def primary_of(scheme: Object) -> Primary | None:
    """The primary of a scheme, also of one that is not valid otherwise."""
    primary = (scheme.get("spec") or {}).get("primary") or {}
    if not all(isinstance(primary.get(name), str) for name in ("clusterName", "namespace", "name")):
        return None
    return Primary(primary["clusterName"], (primary["namespace"], primary["name"]))
