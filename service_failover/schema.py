"""The schema of the component package, which is a contract: `python -m service_failover.schema > plugin/schema.json`.

A test compares the file with what the components say. `changes` tells what breaks programs that exist from what is new. The schema does not say
everything: that an output is secret, or what a value may look like, it does not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service_failover.hosting import Host

Schema = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What another schema changes for programs that were written for an earlier one. Each is one line that names the place."""

    breaking: tuple[str, ...]
    additions: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([*(f"BREAKING  {each}" for each in self.breaking), *(f"addition  {each}" for each in self.additions)])


def schema() -> dict[str, Any]:
    """The schema of the components as they are, in the form in which `pulumi package get-schema` shows it."""
    return dict(_as_shown(json.loads(Host().schema or "{}")))


def document() -> str:
    """The whole of plugin/schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def changes(earlier: Schema, later: Schema) -> Changes:
    """What is different. Descriptions do not count."""
    breaking: list[str] = []
    additions: list[str] = []
    for kind in ("resources", "types"):
        before, after = earlier.get(kind, {}), later.get(kind, {})
        breaking += [f"{name} is gone" for name in before if name not in after]
        additions += [f"{name} is new" for name in after if name not in before]
        for name in before.keys() & after.keys():
            for breaks, text in _differences(name, before[name], after[name]):
                (breaking if breaks else additions).append(text)
    return Changes(breaking=tuple(sorted(breaking)), additions=tuple(sorted(additions)))


def _differences(name: str, before: Schema, after: Schema) -> Iterator[tuple[bool, str]]:
    """Whether a difference breaks programs, and what it is."""
    resource = "inputProperties" in before
    yield from _properties(name, "inputProperties", "requiredInputs", before, after, given=True)
    # Fields of a type are given by programs as well as read by them.
    yield from _properties(name, "properties", "required", before, after, given=not resource)
    old, new = ([member["value"] for member in each.get("enum", ())] for each in (before, after))
    yield from ((True, f"{name}: {value} is gone") for value in old if value not in new)
    yield from ((False, f"{name}: {value} is new") for value in new if value not in old)


def _properties(name: str, key: str, required_key: str, before: Schema, after: Schema, *, given: bool) -> Iterator[tuple[bool, str]]:
    old, new = before.get(key, {}), after.get(key, {})
    needed_before, needed = before.get(required_key, ()), after.get(required_key, ())
    for each in sorted(old.keys() | new.keys()):
        place = f"{name}.{each}"
        if each not in new:
            yield True, f"{place} is gone"
        elif each not in old:
            yield given and each in needed, f"{place} is new" + (" and required" if given and each in needed else "")
        else:
            if (was := _shape(old[each])) != (now := _shape(new[each])):
                yield True, f"{place} was {was} and is {now}"
            if (each in needed) != (each in needed_before):
                # What programs have to give may become optional; what they read may become certain.
                yield (each in needed) is given, f"{place} is {'' if each in needed else 'no longer '}required"


def _shape(definition: Any) -> str:
    """A type in words, without its description."""
    shape = json.dumps(_undescribed(definition), sort_keys=True)
    return shape.replace('"', "")


def _undescribed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _undescribed(each) for key, each in value.items() if key != "description"}
    return [_undescribed(each) for each in value] if isinstance(value, list) else value


def _as_shown(value: Any) -> Any:
    """`value` without nulls and empty containers, which mean the same as their absence, and with one description a property, not one more a level."""
    if isinstance(value, dict):
        kept = {key: _as_shown(each) for key, each in value.items()}
        for inner in (kept.get(key) for key in ("items", "additionalProperties")):
            if isinstance(inner, dict):
                inner.pop("description", None)
        return {key: each for key, each in kept.items() if each not in (None, {}, [])}
    return [_as_shown(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.stdout.write(document())
