"""The sample apps of a stack, where each runs, and which take over from the first: read from the configuration, and checked together.

Pure. A tier is a list of clusters that share its traffic by weight; what takes over in a cluster is every app in it but the primary.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from service_failover.names import sni_of, upstream_of
from service_failover.reading import DNS_LABEL, Section, shown

LONGEST_CLUSTER_NAME = 40
"""Gloo's names add up to 23 characters to it (GlooInstance `<cluster>-gloo-system`, the RBAC objects), and a label holds 63."""
LONGEST_COLOR = 30
"""It is part of the name of a Service, `service-<color>`, and of a label."""
HIGHEST_WEIGHT = 1000


class HealthFilter(StrEnum):
    """Which requests a sample app answers with 503 while it reports itself unhealthy."""

    EVERYTHING = "everything"
    """All of them, as the guide's app does: its health_check filter matches no header."""
    PATH = "path"
    """Only those to /health, as a well-made app does: every other request is still answered, and tells the caller to go elsewhere."""


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """One sample app, and the name of the cluster that it runs in."""

    color: str
    cluster: str
    health_filter: HealthFilter = HealthFilter.EVERYTHING


@dataclass(frozen=True, kw_only=True)
class TierEntry:
    """A cluster of a tier as it is written. `weight` is its share of the tier's traffic, against those of the other clusters; None: equal shares."""

    cluster: str
    weight: int | None = None


@dataclass(frozen=True, kw_only=True)
class TierMember:
    """What takes over in one cluster."""

    cluster: str
    weight: int | None
    colors: tuple[str, ...]

    @property
    def upstreams(self) -> list[str]:
        """Names of the Upstreams that Gloo discovers for its apps."""
        return [upstream_of(color) for color in self.colors]

    @property
    def server_names(self) -> list[str]:
        """The names (SNI) by which the cluster's failover gateway is asked for its apps."""
        return [sni_of(color) for color in self.colors]

    @property
    def share(self) -> dict[str, int]:
        """`{"weight": n}`, or nothing: a weight that nobody gave is not there."""
        return {} if self.weight is None else {"weight": self.weight}


Tier = tuple[TierMember, ...]


def read_app(section: Section) -> AppSettings:
    """An entry of `apps`."""
    return AppSettings(
        color=section.text(
            "color", pattern=DNS_LABEL, longest=LONGEST_COLOR, allowed=f"1 to {LONGEST_COLOR} characters: a-z, 0-9 and inner '-', such as blue"
        ),
        cluster=section.text("cluster", pattern=DNS_LABEL, longest=LONGEST_CLUSTER_NAME, allowed="the name of a cluster"),
        health_filter=section.choice("healthFilter", HealthFilter, absent=HealthFilter.EVERYTHING),
    )


def read_tier_entry(section: Section) -> TierEntry:
    """An entry of one of the `tiers`."""
    return TierEntry(
        cluster=section.text("cluster", pattern=DNS_LABEL, longest=LONGEST_CLUSTER_NAME, allowed="the name of a cluster"),
        weight=section.optional_integer("weight", lowest=1, highest=HIGHEST_WEIGHT),
    )


def plan_tiers(apps: tuple[AppSettings, ...], tiers: tuple[tuple[TierEntry, ...], ...]) -> tuple[Tier, ...]:
    """Who takes over, first tier first. Without `tiers` each cluster that has an app besides the primary is a tier, in the order of `apps`."""
    standby: dict[str, list[str]] = {}
    for app in apps[1:]:
        standby.setdefault(app.cluster, []).append(app.color)
    wanted = tiers or tuple((TierEntry(cluster=cluster),) for cluster in standby)
    return tuple(
        tuple(TierMember(cluster=entry.cluster, weight=entry.weight, colors=tuple(standby[entry.cluster])) for entry in tier) for tier in wanted
    )


def app_problems(apps: tuple[AppSettings, ...], *, names: list[str], sound: bool) -> list[str]:
    """What is wrong with the apps together, and with regard to the clusters' `names` (none: those are wrong themselves).

    Unless each app is `sound` by itself, what would only follow from that is left out.
    """
    problems = [
        f"apps[{index}].cluster: {shown(app.cluster)} is not one of the clusters; allowed: {', '.join(names)}"
        for index, app in enumerate(apps)
        if names and app.cluster and app.cluster not in names
    ]
    if not sound or problems:
        return problems
    if len(apps) == 1:
        return [f"apps: {shown(apps[0].color)} is alone; failover needs a second app"]
    places = [(app.color, app.cluster) for app in apps]
    return [
        f"apps[{index}]: {color} in {cluster} is there already, as apps[{places.index((color, cluster))}]; give it another color or another cluster"
        for index, (color, cluster) in enumerate(places)
        if places.index((color, cluster)) != index
    ]


def tier_problems(tiers: tuple[tuple[TierEntry, ...], ...], apps: tuple[AppSettings, ...]) -> list[str]:
    """What is wrong with the tiers, given apps that are right."""
    problems = []
    standby = list(dict.fromkeys(app.cluster for app in apps[1:]))
    taken: dict[str, str] = {}
    for number, tier in enumerate(tiers):
        for index, entry in enumerate(tier):
            path = f"tiers[{number}][{index}].cluster"
            if entry.cluster not in standby:
                problems.append(f"{path}: {shown(entry.cluster)} has no app that could take over; allowed: {', '.join(standby)}")
            elif taken.setdefault(entry.cluster, path) != path:
                problems.append(f"{path}: {shown(entry.cluster)} is in {taken[entry.cluster]} already; a cluster takes over in one tier")
    left = [cluster for cluster in standby if cluster not in taken]
    if tiers and not problems and left:
        problems.append(f"tiers: the apps in {', '.join(left)} never take over; add these clusters to a tier, or remove the apps")
    return problems
