"""Walks the schemas that the resource definitions carry: every field with its path, and strategies for values of them.

They come from the models, so a new field is covered by every test that uses this file without anybody naming it. What a schema does not say (exactly
one of two, more than zero) is put right by `repaired`, which takes away what the model objects to.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from gloo_api.crds import shared_definitions
from gloo_api.meta import DURATION_PATTERN, InvalidResource, Resource

Schema = dict[str, Any]
Path = tuple[str | int, ...]

DURATIONS = ("0s", "0.000001s", "0.001s", "0.25s", "1s", "2.5s", "60s", "3600s", "315576000000s")
_WORDS = (
    "a",
    "x-header",
    "/path",
    "example.com",
    "*.example.com",
    "*",
    "",
    "a b",
    "日本",
    "é",
    "%",
    "%REQ(x)%",
    "{}",
    "line\nbreak",
    "\x00",
    "\\",
    "(",
    "x" * 300,
)
_HINTS: dict[str, tuple[str, ...]] = {
    "addr": ("10.77.0.12", "10.78.192.1", "2001:db8::1", "host.example.com"),
    "address": ("10.77.0.12", "10.78.192.1", "2001:db8::1", "host.example.com"),
    "bindAddress": ("::", "0.0.0.0", "10.77.0.9", "127.0.0.1"),  # noqa: S104
    "name": ("blue", "green", "teal", "missing"),
    "secretRef.name": ("failover-upstream", "failover-downstream", "failover-upstream", "missing"),
    "send.text": ("50696e67", "00"),
    "receive.text": ("506f6e67", "00"),
    "method": ("HEAD", "POST", "GET"),
    "virtualServices.name": ("one", "missing"),
    "virtualServiceSelector": ("one", "other"),
    "expressions.key": ("app", "a", "other"),
    "expressions.values": ("one", "other"),
    "namespace": ("gloo-system", "gloo-system", "", "default"),
    "serviceName": ("service-blue", "service-green", "missing"),
    "serviceNamespace": ("default", "default", "elsewhere"),
    "proxyNames": ("gateway-proxy",),
    "domains": ("*", "a.example.com", "*.example.com", "b.example.com:8080"),
    "sniDomains": ("a.example.com", "*.example.com", "default-service-green-10000_gloo-system"),
    "prefix": ("/", "/a", "/a/b"),
    "path": ("/health", "/"),
    "regex": ("/a.*", "[0-9]+", "("),
    "retryOn": ("5xx", "connect-failure,reset", "gateway-error,retriable-status-codes", "nonsense"),
}  # fmt: skip
_FITTING: dict[str, tuple[int, ...]] = {"servicePort": (10000,), "bindPort": (8080, 15443, 8443)}


@functools.cache
def schemas() -> dict[str, Schema]:
    """`spec` of every kind."""
    versions = {each["spec"]["names"]["kind"]: each["spec"]["versions"][0] for each in shared_definitions()}
    return {kind: version["schema"]["openAPIV3Schema"]["properties"]["spec"] for kind, version in versions.items()}


@dataclass(frozen=True)
class Field:
    """A field of a kind; `path` has 0 for the items of a list and `key` for those of a map."""

    path: Path
    schema: Schema

    @property
    def text(self) -> str:
        return path_text(self.path)


def fields(schema: Schema, path: Path = ("spec",)) -> Iterator[Field]:
    """Every field below `schema`, parents before their children."""
    for name, child in schema.get("properties", {}).items():
        yield from _field(Field((*path, name), child))


def _field(field: Field) -> Iterator[Field]:
    yield field
    if field.schema["type"] == "object":
        yield from fields(field.schema, field.path)
        if isinstance(values := field.schema.get("additionalProperties"), dict):
            yield from _field(Field((*field.path, "key"), values))
    elif field.schema["type"] == "array":
        yield from _field(Field((*field.path, 0), field.schema["items"]))


def path_text(path: Path) -> str:
    """`spec.hosts[0].port`, as reports write it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def values(schema: Schema, name: str = "", *, within: str = "", depth: int = 0, force: Path = ()) -> st.SearchStrategy[Any]:
    """Values that the schema allows; what is at the path `force` is in all of them.

    Texts are such as the field called `name` (of an object called `within`) usually holds, and others.
    """
    if force:
        return _values(schema, name, within=within, depth=depth, force=force)
    key = (id(schema), name, within, depth)
    if key not in _MADE:  # Hypothesis looks at each new strategy for milliseconds.
        _MADE[key] = _values(schema, name, within=within, depth=depth, force=())
    return _MADE[key]


_MADE: dict[tuple[int, str, str, int], st.SearchStrategy[Any]] = {}
"""Strategies of schemas, which all live as long as this module (see `schemas`)."""


def _values(schema: Schema, name: str, *, within: str, depth: int, force: Path) -> st.SearchStrategy[Any]:
    kind = schema["type"]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if kind == "string":
        return _texts(schema, _HINTS.get(f"{within}.{name}") or _HINTS.get(name) or _WORDS)
    if kind == "boolean":
        return st.booleans()
    if kind in ("integer", "number"):
        return _numbers(schema, name)
    if kind == "array":
        least = max(schema.get("minItems", 0), len(force[:1]))
        return st.lists(values(schema["items"], name, within=within, depth=depth + 1, force=force[1:]), min_size=least, max_size=max(least, 2))
    return _objects(schema, name, depth=depth, force=force)


def _texts(schema: Schema, hints: tuple[str, ...]) -> st.SearchStrategy[str]:
    pattern = schema.get("pattern")
    if pattern == DURATION_PATTERN:
        return st.sampled_from(DURATIONS)
    free = st.from_regex(pattern) if pattern else st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    usual = [text for text in hints if len(text) >= schema.get("minLength", 0) and (not pattern or re.search(pattern, text))]
    odd = free.filter(lambda text: len(text) >= schema.get("minLength", 0))
    return st.one_of(st.sampled_from(usual), st.sampled_from(usual), odd) if usual else odd


def _numbers(schema: Schema, name: str) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum", 0), schema.get("maximum", 2**31 - 1)
    if schema["type"] == "number":
        return st.floats(low, high, allow_nan=False)
    near = [value for value in (low, low + 1, 2, 3, 100, 200, high) if low <= value <= high]
    return st.sampled_from(_FITTING[name]) if name in _FITTING else st.one_of(st.sampled_from(near), st.integers(low, high))


def _objects(schema: Schema, name: str, *, depth: int, force: Path) -> st.SearchStrategy[dict[str, Any]]:
    if isinstance(each := schema.get("additionalProperties"), dict):
        inner = values(each, name, depth=depth + 1, force=force[1:])
        return st.dictionaries(st.sampled_from(("a", "app", "x-key")), inner, min_size=len(force[:1]), max_size=2)
    children = {
        each: values(child, each, within=name, depth=depth + 1, force=force[1:] if force[:1] == (each,) else ())
        for each, child in schema.get("properties", {}).items()
    }
    needed = set(schema.get("required", ())) | (set(force[:1]) & children.keys())
    required = {each: children.pop(each) for each in sorted(needed)}
    # A few fields of each object: all of all would be a huge object in which one fault hides the others.
    few = st.lists(st.sampled_from(sorted(children)), unique=True, max_size=4 if depth < 2 else 3) if children else st.just([])
    return few.flatmap(lambda chosen: st.fixed_dictionaries(required | {each: children[each] for each in chosen}))


def repaired(model: type[Resource], obj: dict[str, Any]) -> tuple[Resource, dict[str, Any]] | None:
    """The model of `obj` without what the model objects to, and that object; None when nothing is left of it."""
    obj = copy.deepcopy(obj)
    for _ in range(30):
        try:
            return model.parse(obj), obj
        except InvalidResource as error:
            for problem in error.problems:
                path = parsed_path(problem.path)
                remove(obj, path[:-1] if problem.message == "is required" else path)
            if "spec" not in obj:
                return None
    return None


def parsed_path(text: str) -> Path:
    """The inverse of `path_text`."""
    return tuple(int(index) if index else name for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", text))


def remove(obj: Any, path: Path) -> None:
    """Take away what is at `path`, or what of the path there is."""
    *parents, last = path
    for part in parents:
        if (isinstance(obj, dict) and part in obj) or (isinstance(obj, list) and isinstance(part, int) and part < len(obj)):
            obj = obj[part]
        else:
            return
    if (isinstance(obj, list) and isinstance(last, int) and last < len(obj)) or (isinstance(obj, dict) and last in obj):
        del obj[last]


def leaves(obj: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar in an object with its path."""
    if isinstance(obj, dict):
        for name, value in obj.items():
            yield from leaves(value, (*path, name))
    elif isinstance(obj, list):
        for index, value in enumerate(obj):
            yield from leaves(value, (*path, index))
    else:
        yield path, obj


def example(schema: Schema, name: str = "", *, within: str = "", force: Path = ()) -> Any:
    """One small value that the schema allows: what is required, and what is at the path `force`."""
    kind = schema["type"]
    if kind == "object":
        if isinstance(each := schema.get("additionalProperties"), dict):
            return {"key": example(each, name, force=force[1:])} if force else {}
        needed = [*schema.get("required", ()), *force[:1]]
        properties = schema.get("properties", {})
        return {
            each: example(properties[each], each, within=name, force=force[1:] if force[:1] == (each,) else ())
            for each in needed
            if each in properties
        }
    if kind == "array":
        return [example(schema["items"], name, within=within, force=force[1:])] if force or schema.get("minItems") else []
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "string":
        texts = (
            DURATIONS[4:] if schema.get("pattern") == DURATION_PATTERN else (*_HINTS.get(f"{within}.{name}", ()), *_HINTS.get(name, ()), "x", "/", "")
        )
        return next((text for text in texts if re.search(schema.get("pattern", ""), text) and len(text) >= schema.get("minLength", 0)), texts[0])
    return False if kind == "boolean" else _FITTING.get(name, (schema.get("minimum", 1),))[0]


def bad_values(schema: Schema) -> Iterator[tuple[str, Any]]:
    """Values that no object should get away with, and extremes that may be allowed; each with its name, which says `wrong type` of the former."""
    kind = schema["type"]
    wrong = {"string": (7, True, ["x"], {"x": "y"}), "boolean": ("yes", 1, {}), "object": ("x", 7, ["x"]), "array": ("x", 7, {"x": "y"})}
    for value in wrong.get(kind, ("x", {}, [1])):
        yield f"wrong type {json.dumps(value)}", value
    if "enum" in schema:
        yield "wrong enum", "NO-SUCH-VALUE"
    elif kind == "string" and schema.get("pattern") == DURATION_PATTERN:
        yield from ((f"duration {text}", text) for text in ("", "0s", "-1s", "1", "1ns", "0.0000000001s", "1e9s", "9" * 40 + "s"))
    elif kind == "string":
        yield from (
            ("empty", ""),
            ("huge", "x" * 50_000),
            ("unicode", "\u202e\U0001f642\u0301é"),
            ("control", "a\r\n\x01b"),
            ("format", "%REQ(:path)%%s{}"),
        )
    elif kind in ("integer", "number"):
        yield from ((f"number {value}", value) for value in (0, -1, 1.5, 2**31, 2**32, 2**63, -(2**63), 1e308))
    elif kind == "array":
        yield from (("empty", []), ("many", [example(schema["items"])] * 300), ("nulls", [None]))
    elif kind == "object":
        yield from (("empty", {}), ("deep", functools.reduce(lambda inner, _: {"x": inner}, range(100), {})))


def merged(core: Any, other: Any, *, path: Path) -> Any:
    """`other` where `path` goes, and `core` beside it."""
    if not path or core is None:
        return other
    if isinstance(core, list) and isinstance(other, list):
        return [merged(core[0], other[0], path=path[1:]), *core[1:]] if core else other
    if isinstance(core, dict) and isinstance(other, dict):
        name = str(path[0])
        return {**other, **core, **({name: merged(core.get(name), other[name], path=path[1:])} if name in other else {})}
    return other
