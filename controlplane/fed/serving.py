"""What a FailoverScheme says of who serves, out of what gloo says in the status of its primary. Pure.

Priorities of the primary are tiers of the scheme: 0 is the primary itself, then the failover groups in order.
"""

from __future__ import annotations

from typing import Any

from gloo_api.failover_scheme import FailoverScheme
from gloo_api.serving import FailoverStatus, PriorityStatus, SchemeServing, TierStatus

Body = dict[str, Any]
Place = tuple[tuple[str, ...], tuple[str, ...]]
"""The clusters of a tier, and its Upstreams as cluster/namespace/name."""


def scheme_serving(scheme: FailoverScheme, observed: FailoverStatus | None, *, trouble: str) -> Body:
    """The fields of the scheme's status: serving, standbyProven, tiers. `trouble`: why the primary's cluster cannot be read, if it cannot."""
    if observed is None:
        return {}
    known = places(scheme)
    tiers = [
        TierStatus(**_set(each), clusters=known[each.priority][0], upstreams=known[each.priority][1])
        for each in observed.priorities
        if each.priority < len(known)  # Another one belongs to a scheme that has just changed.
    ]
    body: Body = {"standbyProven": observed.standby_proven, "tiers": [tier.to_object() for tier in tiers]}
    if observed.serving is not None:
        body["serving"] = _serving(scheme, observed, known=known, trouble=trouble).to_object()
    return body


def tier_name(priority: int | None, clusters: tuple[str, ...]) -> str:
    """As `kubectl get failoverscheme` shows it."""
    if priority is None:
        return "nobody"
    return f"{'primary' if priority == 0 else f'tier {priority}'} ({', '.join(clusters)})"


def _serving(scheme: FailoverScheme, observed: FailoverStatus, *, known: list[Place], trouble: str) -> SchemeServing:
    serving, proxies = observed.serving, observed.proxies
    assert serving is not None, "asked before"  # noqa: S101
    priority = serving.priority
    clusters = known[priority][0] if priority is not None and priority < len(known) else ()
    stale = [f"cluster {scheme.spec.primary.cluster_name}: {trouble}"] if trouble else []
    if proxies is not None and proxies.stale_since:
        stale.append(f"since {proxies.stale_since} no proxy of {scheme.spec.primary.cluster_name} says how its endpoints are: {proxies.message}")
    elif proxies is not None and proxies.message:
        serving = serving.model_copy(update={"message": f"{serving.message}; {proxies.message}"})
    return SchemeServing(**_set(serving), name=tier_name(priority, clusters), clusters=clusters, **({"stale": "; ".join(stale)} if stale else {}))


def _set(model: PriorityStatus | Any) -> dict[str, Any]:
    """The fields that were set, so that what is absent stays absent."""
    return {name: getattr(model, name) for name in model.model_fields_set if name in type(model).model_fields}


def places(scheme: FailoverScheme) -> list[Place]:
    """The tiers of a scheme, by priority."""
    primary = scheme.spec.primary
    found: list[Place] = [((primary.cluster_name,), (f"{primary.cluster_name}/{primary.namespace}/{primary.name}",))]
    for group in scheme.spec.failover_groups:
        clusters = tuple(dict.fromkeys(member.cluster for member in group.priority_group))
        upstreams = tuple(f"{member.cluster}/{each.namespace}/{each.name}" for member in group.priority_group for each in member.upstreams)
        found.append((clusters, upstreams))
    return found
