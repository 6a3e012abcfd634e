"""Random sets of valid objects that refer to each other, and to what is not there."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from support_schemas import Path, example, leaves, merged, remove, repaired, schemas, values
from translation_support import NAMESPACE, inputs, kube, realise, tcp_host

from controlplane.translation import translate
from controlplane.translation.types import GlooInputs, Key, ProxyRef, Translation
from gloo_api.gateway import Gateway
from gloo_api.meta import InvalidResource, Resource
from gloo_api.route_table import RouteTable
from gloo_api.upstream import Upstream
from gloo_api.virtual_service import VirtualService

MODELS: dict[str, type[Resource]] = {"Upstream": Upstream, "Gateway": Gateway, "VirtualService": VirtualService, "RouteTable": RouteTable}
_NAMES = {"Upstream": ("blue", "green", "teal"), "Gateway": ("http", "tcp"), "VirtualService": ("one", "two"), "RouteTable": ("blue", "teal")}
_ACTION: dict[str, Any] = {"routeAction": {"single": {"upstream": {"name": "blue", "namespace": NAMESPACE}}}}
_CORES: dict[str, tuple[dict[str, Any], ...]] = {
    "Upstream": (
        {"kube": kube("blue")},
        {"kube": kube("green"), "useHttp2": True},
        {"kube": kube("blue"), "loadBalancerConfig": {"localityWeightedLbConfig": {}}},
        {"static": {"hosts": [{"addr": "10.77.0.12", "port": 80}]}},
        {},
    ),
    "VirtualService": ({"virtualHost": {"domains": ["blue"], "routes": [{"matchers": [{"prefix": "/"}], **_ACTION}]}}, {}),
    "RouteTable": ({"routes": [{"matchers": [{"prefix": "/a"}], **_ACTION}]}, {}),
    "Gateway": ({"httpGateway": {}}, {"tcpGateway": {"tcpHosts": [tcp_host()]}}, {}),
}
"""What an object is nothing without; it is put in where chance has left it out."""
_COMPLETIONS: dict[str, tuple[frozenset[str], dict[str, Any]]] = {
    "healthChecks": (frozenset({"httpHealthCheck", "tcpHealthCheck", "grpcHealthCheck"}), {"httpHealthCheck": {"path": "/health"}}),
    "destination": (frozenset({"single", "multi", "forwardSniClusterName"}), {"forwardSniClusterName": {}}),
    "destinations.destination": (frozenset({"upstream"}), {"upstream": {"name": "blue", "namespace": NAMESPACE}}),
    "destinations": (frozenset({"weight"}), {"weight": 5}),
    "headers": (frozenset({"value"}), {"value": "a.c"}),
    "queryParameters": (frozenset({"value"}), {"value": "a.c"}),
    "expressions": (frozenset({"values"}), {"values": ["one"]}),
    "slowStartConfig": (frozenset({"slowStartWindow"}), {"slowStartWindow": "1s"}),
    "delegateAction": (frozenset({"ref", "selector", "name"}), {"name": "blue"}),
    "sslConfig": (frozenset({"secretRef"}), {"secretRef": {"name": "failover-downstream", "namespace": NAMESPACE}}),
    "upstreamSslConfig": (frozenset({"secretRef"}), {"secretRef": {"name": "failover-upstream", "namespace": NAMESPACE}}),
    "single": (frozenset({"upstream"}), {"upstream": {"name": "blue", "namespace": NAMESPACE}}),
    "routes": (
        frozenset({"routeAction", "redirectAction", "directResponseAction", "delegateAction"}),
        {"routeAction": {"single": {"upstream": {"name": "blue", "namespace": NAMESPACE}}}},
    ),
    "routeAction": (frozenset({"single", "multi"}), {"single": {"upstream": {"name": "blue", "namespace": NAMESPACE}}}),
}
"""Objects that need one of some fields, by the field that holds them, and what is put in where chance has chosen none."""
_SCHEMAS = schemas()


@dataclass(frozen=True)
class ObjectSet:
    """Objects by kind and name, as the API server would give them; each is valid by itself."""

    objects: dict[tuple[str, str], dict[str, Any]]

    def inputs(self) -> GlooInputs:
        parsed = {(kind, name): MODELS[kind].parse(obj) for (kind, name), obj in self.objects.items()}
        tables = {Key(NAMESPACE, name): model for (kind, name), model in parsed.items() if kind == "RouteTable"}
        others = [model for (kind, _), model in parsed.items() if kind != "RouteTable"]
        return inputs(*others, route_tables=tables)

    def translation(self) -> Translation:
        return translate(self.inputs(), proxy=ProxyRef(namespace=NAMESPACE, bind_address="127.77.0.9"), realise=realise)

    def __str__(self) -> str:
        return json.dumps({f"{kind} {name}": obj["spec"] for (kind, name), obj in self.objects.items()}, indent=1)


def valid(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any] | None:
    """The object with this spec, completed, without what its model objects to; None when nothing is left."""
    found = repaired(MODELS[kind], {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": _completed(spec, "spec")})
    return found[1] if found else None


def small_objects(kind: str, name: str, *, force: Path) -> Iterator[dict[str, Any]]:
    """The smallest objects that hold what is at `force`, below `spec`, one for each core of the kind."""
    for core in _CORES.get(kind, ({},)):
        obj = valid(kind, name, merged(core, example(_SCHEMAS[kind], force=force), path=force))
        if obj is not None:
            yield obj


def valid_objects(kind: str, name: str, *, force: Path = ()) -> st.SearchStrategy[dict[str, Any] | None]:
    """Objects that their model accepts; None where nothing was left of one. What is at `force`, below `spec`, is in most of them."""

    cores = _CORES.get(kind, ({},))
    alternatives = {name for core in cores for name in core}
    return st.builds(
        lambda spec, core: valid(kind, name, spec if spec.keys() & alternatives else core | spec),
        values(_SCHEMAS[kind], force=force),
        st.sampled_from(cores),
    )


def _completed(value: Any, name: str, *, within: str = "") -> Any:
    if isinstance(value, list):
        return [_completed(item, name, within=within) for item in value]
    if not isinstance(value, dict):
        return value
    whole = {child: _completed(item, child, within=name) for child, item in value.items()}
    alternatives, completion = _COMPLETIONS.get(f"{within}.{name}") or _COMPLETIONS.get(name, (frozenset(), {}))
    return whole if alternatives & whole.keys() else whole | copy.deepcopy(completion)


def object_sets() -> st.SearchStrategy[ObjectSet]:
    """Up to nine objects; a third of the names is free, so that references also miss."""
    found = {(kind, name): st.none() | valid_objects(kind, name) | valid_objects(kind, name) for kind, names in _NAMES.items() for name in names}
    return st.fixed_dictionaries(found).map(lambda objects: ObjectSet({key: obj for key, obj in objects.items() if obj is not None}))


def reduced(objects: ObjectSet, fails: Callable[[ObjectSet], bool], *, tries: int = 150) -> ObjectSet:
    """`objects` without all that can be left out while it still fails: whole objects first, then fields. `tries` bounds the work."""
    smaller = True
    while smaller and tries > 0:
        smaller = False
        for candidate in _without_one(objects):
            tries -= 1
            if tries > 0 and _is_valid(candidate) and fails(candidate):
                objects, smaller = candidate, True
                break
    return objects


def _without_one(objects: ObjectSet) -> Iterator[ObjectSet]:
    for key in objects.objects:
        yield ObjectSet({each: obj for each, obj in objects.objects.items() if each != key})
    for key, obj in objects.objects.items():
        for path in _places(obj["spec"]):
            changed = copy.deepcopy(obj)
            remove(changed["spec"], path)
            yield ObjectSet({**objects.objects, key: changed})


def _places(spec: dict[str, Any]) -> list[Path]:
    """Every path in a spec, short ones first."""
    places = {leaf[:end] for leaf, _ in leaves(spec) for end in range(1, len(leaf) + 1)}
    return sorted(places, key=lambda path: (len(path), str(path)))


def _is_valid(objects: ObjectSet) -> bool:
    try:
        objects.inputs()
    except InvalidResource:
        return False
    return True
