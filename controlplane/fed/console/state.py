"""What the console's page shows, as plain data out of the objects of the federation. Pure.

The lists are bounded and texts are cut, so that the page gets a bounded answer whatever is in the cluster. The objects are not trusted: what has
another type than it should counts as absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controlplane.fed.console.history import Level
from controlplane.fed.serving import places, tier_name
from controlplane.kube.objects import Object, key_of
from gloo_api.failover_scheme import FailoverScheme
from gloo_api.meta import InvalidResource

Body = dict[str, Any]
MOST = 500
"""Rows of a table."""
MOST_EVENTS = 200
TEXT = 1000
"""Characters of a message."""


class Connection(StrEnum):
    """How gloo-fed reaches a registered cluster."""

    CONNECTED = "connected"
    READING = "reading"
    LOST = "lost"
    DENIED = "denied"
    NONE = "not connected"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A registration, and how this replica reaches the cluster. `trouble`: why not, and since when."""

    obj: Object
    connection: Connection
    trouble: str = ""


def state(*, clusters: Iterable[Cluster], instances: Iterable[Object], schemes: Iterable[Object]) -> Body:
    """Tables of clusters, gateways and schemes; `more` counts what is left out of each."""
    found = sorted(instances, key=key_of)
    by_cluster = {_text(_map(each.get("spec")).get("cluster")): each for each in found}
    tables = {
        "clusters": [cluster(each, by_cluster.get(key_of(each.obj)[1])) for each in sorted(clusters, key=lambda each: key_of(each.obj))],
        "gateways": [row for each in found for row in gateways(each)],
        "schemes": sorted((scheme(each) for each in schemes), key=lambda each: (_URGENCY[each["level"]], each["namespace"], each["name"])),
    }
    more = {name: len(rows) - MOST for name, rows in tables.items() if len(rows) > MOST}
    return {**{name: rows[:MOST] for name, rows in tables.items()}, "more": more}


_URGENCY = {Level.BAD: 0, Level.WARN: 1, Level.GOOD: 2}


def cluster(found: Cluster, instance: Object | None) -> Body:
    """A row about a registered cluster, with what its GlooInstance says."""
    namespace, name = key_of(found.obj)
    entries = _list(_map(found.obj.get("status")).get("status"))
    entry = _map(entries[0]) if entries else {}
    spec = _map(instance.get("spec")) if instance is not None else {}
    good = found.connection is Connection.CONNECTED and _text(entry.get("state")) in ("ACCEPTED", "")
    return {
        "namespace": namespace,
        "name": name,
        "connection": found.connection,
        "trouble": _text(found.trouble) or _text(entry.get("message")),
        "level": Level.GOOD if good else Level.WARN if found.connection in (Connection.READING, Connection.CONNECTED) else Level.BAD,
        "state": _text(entry.get("state")) or "PENDING",
        "region": _text(spec.get("region")),
        "version": _text(_map(spec.get("controlPlane")).get("version")),
        "instance": key_of(instance)[1] if instance is not None else "",
    }


def gateways(instance: Object) -> list[Body]:
    """A row for each gateway proxy that was found in a cluster."""
    spec = _map(instance.get("spec"))
    rows = []
    for proxy in map(_map, _list(spec.get("proxies"))):
        ready, wanted = _number(proxy.get("readyReplicas")) or 0, _number(proxy.get("replicas")) or 0
        rows.append(
            {
                "cluster": _text(spec.get("cluster")),
                "namespace": _text(proxy.get("namespace")),
                "name": _text(proxy.get("name")),
                "ready": ready,
                "wanted": wanted,
                "level": Level.GOOD if ready >= wanted > 0 else Level.WARN if ready else Level.BAD,
                "version": _text(proxy.get("version")),
                "zones": _texts(proxy.get("zones")),
                "addresses": [_address(each) for each in map(_map, _list(proxy.get("ingressEndpoints")))][:20],
                "instance": {"namespace": key_of(instance)[0], "name": key_of(instance)[1]},
            }
        )
    return rows


def scheme(obj: Object) -> Body:
    """A FailoverScheme: who serves, and its tiers; those of the spec as long as the status has none."""
    namespace, name = key_of(obj)
    status = _map(obj.get("status"))
    serving = _map(status.get("serving"))
    tiers = [_tier(each) for each in map(_map, _list(status.get("tiers")))] or _planned(obj)
    priority = _number(serving.get("priority"))
    for tier in tiers:
        tier["serves"] = bool(serving) and tier["priority"] == priority
    found = {
        "namespace": namespace,
        "name": name,
        "state": _text(status.get("state")) or "PENDING",
        "message": _text(status.get("message")),
        "standbyProven": status.get("standbyProven") if isinstance(status.get("standbyProven"), bool) else None,
        "serving": {
            "name": _text(serving.get("name")) or tier_name(priority, ()),
            "priority": priority,
            **{each: _text(serving.get(each)) for each in ("since", "reason", "message", "confirmed", "stale")},
        }
        if serving
        else None,
        "tiers": tiers,
    }
    return {**found, "level": _level(found)}


def upstreams(obj: Object) -> set[tuple[str, str, str]]:
    """The Upstreams that a scheme names, as cluster, namespace, name."""
    named = (text for tier in _planned(obj) for text in tier["upstreams"])
    return {(parts[0], parts[1], parts[2]) for text in named if len(parts := text.split("/")) == 3}


def _level(found: Body) -> Level:
    serving = found["serving"]
    if found["state"] in ("INVALID", "FAILED") or (serving is not None and serving["priority"] is None):
        return Level.BAD
    well = found["state"] == "ACCEPTED" and serving is not None and serving["priority"] == 0 and not serving["stale"]
    return Level.GOOD if well and found["standbyProven"] is not False and not found["message"] else Level.WARN


def _tier(found: Mapping[str, Any]) -> Body:
    priority = _number(found.get("priority")) or 0
    clusters = _texts(found.get("clusters"))
    return {
        "name": tier_name(priority, tuple(clusters)),
        "priority": priority,
        "clusters": clusters,
        "upstreams": _texts(found.get("upstreams")),
        **{each: _number(found.get(each)) or 0 for each in ("healthy", "total", "load")},
        "requestShare": _number(found.get("requestShare")),
        "proven": found.get("proven") if isinstance(found.get("proven"), bool) else None,
        "unprovenReason": _text(found.get("unprovenReason")),
        "unprovenSince": _text(found.get("unprovenSince")),
    }


def _planned(obj: Object) -> list[Body]:
    """The tiers as the spec has them: nothing is known of their health."""
    try:
        parsed = FailoverScheme.parse({"metadata": dict(obj["metadata"]), "spec": obj.get("spec") or {}})
    except InvalidResource:
        return []  # `state` and `message` say so.
    unknown = {"healthy": None, "total": None, "load": None, "requestShare": None, "proven": None, "unprovenReason": "", "unprovenSince": ""}
    return [
        {"name": tier_name(priority, clusters), "priority": priority, "clusters": list(clusters), "upstreams": list(named), **unknown}
        for priority, (clusters, named) in enumerate(places(parsed))
    ]


def _address(endpoint: Mapping[str, Any]) -> str:
    """`10.77.192.1, ports http 8080, failover 15443`"""
    ports = [f"{_text(port.get('name'))} {_number(port.get('port'))}".strip() for port in map(_map, _list(endpoint.get("ports")))]
    return _text(endpoint.get("address")) + (f" ({', '.join(ports[:10])})" if ports else "")


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return text if len(text) <= TEXT else f"{text[:TEXT]}…"


def _texts(value: Any) -> list[str]:
    return [_text(each) for each in _list(value)[:50]]


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
