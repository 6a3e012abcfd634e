"""Finds fields without effect: another value changes neither what Envoy gets nor what any status says.

A field may be without effect in one object (the weight of the only endpoint of a cluster that has none) and have one in another. So for each field
objects are drawn, in surroundings in which they are used, until one shows an effect.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from object_sets import MODELS, NAMESPACE, ObjectSet, small_objects, valid_objects
from support_schemas import Field, Path, bad_values, fields, leaves, path_text, remove, schemas, values
from translation_support import kube

from gloo_api.meta import InvalidResource

KINDS = tuple(MODELS)
NAME = "blue"
_FOR_PEOPLE = {"spec.displayName", "spec.virtualHost.routes[0].name", "spec.routes[0].name"}
"""Names that are for people to read, by their description."""
_IN_COMPANY = {
    f"{routes}[0].{field}"
    for routes in ("spec.routes", "spec.virtualHost.routes")
    for field in ("routeAction.multi.destinations[0].weight", "inheritableMatchers", "inheritablePathMatchers")
}
"""What one object cannot show: of a single destination any weight is all of it, and matchers are inherited between a parent and a child."""
_SEARCH = settings(max_examples=25, derandomize=True, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
_UPSTREAM_REF = {"single": {"upstream": {"name": NAME, "namespace": NAMESPACE}}}


def _object(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _labelled(name: str, *, label: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": label, "a": label}}, "spec": spec}


_TO_TABLE = {"delegateAction": {"ref": {"name": NAME, "namespace": NAMESPACE}}}
_TO_TABLES = {"delegateAction": {"selector": {"namespaces": ["*"]}}}
_SURROUNDINGS = {
    ("VirtualService", "to-table"): _object(
        "to-table",
        {"virtualHost": {"domains": ["to-table"], "routes": [{"matchers": [{"prefix": "/"}], **_TO_TABLE}]}},
    ),
    ("VirtualService", "to-tables"): _object(
        "to-tables",
        {"virtualHost": {"domains": ["to-tables"], "routes": [{"matchers": [{"prefix": "/"}], **_TO_TABLES}]}},
    ),
    ("RouteTable", "teal"): _labelled(
        "teal", label="one", spec={"weight": 5, "routes": [{"matchers": [{"prefix": "/a"}], "routeAction": _UPSTREAM_REF}]}
    ),
    ("Upstream", NAME): _object(NAME, {"kube": kube("blue")}),
    ("Upstream", "green"): _object("green", {"kube": kube("green")}),
    ("Upstream", "teal"): _object("teal", {"static": {"hosts": [{"addr": "10.77.0.14", "port": 80}]}}),
    ("Gateway", "http"): _object("http", {"bindAddress": "::", "bindPort": 8081, "httpGateway": {}}),
    ("Gateway", "https"): _object("https", {"bindAddress": "::", "bindPort": 8444, "ssl": True, "httpGateway": {}}),
    ("VirtualService", "one"): _labelled(
        "one", label="one", spec={"virtualHost": {"domains": ["one"], "routes": [{"matchers": [{"prefix": "/"}], "routeAction": _UPSTREAM_REF}]}}
    ),
}


def silent_fields(kind: str) -> list[str]:
    """Paths of the fields of a kind that nothing shows an effect of."""
    left = {field.path: field for field in fields(schemas()[kind]) if _is_leaf(field) and field.text not in _FOR_PEOPLE | _IN_COMPANY}
    # Most fields show their effect in one of a few objects that hold many. Only what is left is worth objects of its own.
    for obj in _drawn(valid_objects(kind, NAME), count=30):
        for path, _ in leaves(obj):
            field = left.get(_general(path, left))
            if field is not None and _differs(kind, obj, path, _others(field)):
                del left[field.path]
    return [field.text for field in left.values() if not _has_effect(kind, field)]


def _is_leaf(field: Field) -> bool:
    return field.schema["type"] not in ("object", "array")


def _general(path: Path, known: Mapping[Path, Field]) -> Path:
    """The path of the field: 0 for any item of a list, and `key` for any key of a map."""
    first = tuple(0 if isinstance(part, int) else part for part in path)
    return first if first in known else (*first[:-1], "key")


def _drawn(strategy: st.SearchStrategy[Any], *, count: int) -> list[Any]:
    """Values of a strategy, the same in every run."""
    found: list[Any] = []

    @settings(_SEARCH, max_examples=count)
    @given(strategy)
    def draw(value: Any) -> None:
        found.append(value)

    draw()
    return [value for value in found if value is not None]


def _others(field: Field) -> list[Any]:
    """Two values of a field: a usual one and any."""
    *parents, name = (part for part in field.path if isinstance(part, str))
    usual = values(field.schema, name, within=parents[-1])
    return [*_drawn(usual, count=3), *_drawn(values(field.schema), count=2)[1:]]


def _has_effect(kind: str, field: Field) -> bool:
    others = [*_others(field), *field.schema.get("enum", ()), *(value for what, value in bad_values(field.schema) if "wrong type" not in what)]
    return any(_differs(kind, obj, field.path, others) for obj in small_objects(kind, NAME, force=field.path[1:]))


def _differs(kind: str, obj: dict[str, Any] | None, path: Path, others: Sequence[Any]) -> bool:
    """True when `obj` gives another result with one of the values `others` at `path`, or without the field."""
    if obj is None:
        return False
    as_it_is = _result(kind, obj)
    return _is_said_to_be_idle(as_it_is[-1], path) or any(
        as_it_is != _result(kind, changed) for changed in _changed(obj, path, others) if _is_valid(kind, changed)
    )


def _is_said_to_be_idle(reasons: Mapping[Any, str], path: Path) -> bool:
    """True when a status says of the field, or of a whole that it is in, that it has no effect."""
    wholes = {path_text(path[:end]) for end in range(3, len(path) + 1)}
    return any(f"{whole}: has no effect" in reason for whole in wholes for reason in reasons.values())


def _changed(obj: dict[str, Any], path: Path, others: Sequence[Any]) -> Iterator[dict[str, Any]]:
    for other in others:
        changed = copy.deepcopy(obj)
        if _put(changed, path, other) and changed != obj:
            yield changed
    without = copy.deepcopy(obj)
    remove(without, path)
    if without != obj:
        yield without


def _is_valid(kind: str, obj: dict[str, Any]) -> bool:
    try:
        MODELS[kind].parse(obj)
    except InvalidResource:
        return False
    return True


def _result(kind: str, obj: dict[str, Any]) -> tuple[Any, ...]:
    translation = ObjectSet({**_SURROUNDINGS, (kind, NAME): obj}).translation()
    messages = (translation.clusters, translation.endpoints, translation.listeners, translation.routes, translation.secrets)
    return *(dict(each) for each in messages), {ref: report.reason for ref, report in translation.reports.items()}


def _put(obj: Any, path: Path, value: Any) -> bool:
    """Put `value` at `path`; false when the object has no such place. `key` in a path is any key of a map."""
    *parents, last = path
    for part in parents:
        obj = _child(obj, part)
        if obj is None:
            return False
    if isinstance(obj, list) and isinstance(last, int) and last < len(obj):
        obj[last] = value
    elif isinstance(obj, dict) and (last in obj or last == "key"):
        obj[next(iter(obj), "key") if last not in obj else last] = value
    else:
        return False
    return True


def _child(obj: Any, part: str | int) -> Any:
    if isinstance(obj, list):
        return obj[part] if isinstance(part, int) and part < len(obj) else None
    if isinstance(obj, dict):
        return obj.get(part, next(iter(obj.values()), None) if part == "key" else None)
    return None
