"""What a resource's inputs may be, and what a change of one means; pure.

Used by the stand-in providers, which exist only for machines that cannot reach the official plugins. One table of fields per resource gives both
the engine's Check (wrong inputs are refused by name before anything runs) and its Diff (which changes replace).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from toolchain.plugins.values import UNKNOWN, Properties, Secret, contains_unknown, plain


class Kind(Enum):
    """Types of inputs, by the word used in messages."""

    STRING = "a string"
    INTEGER = "a whole number"
    BOOLEAN = "true or false"
    STRINGS = "a list of strings"
    VALUES = "a list"
    STRING_MAP = "a map of strings"
    OBJECT = "an object"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One input. `rule` gets a known, well-typed value (for STRINGS: each element) and says what it must be, or None."""

    kind: Kind
    required: bool = False
    replaces: bool = False
    secret: bool = False
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    default: Any = None
    refused: str = ""
    rule: Callable[[Any], str | None] | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A wrong input: its path ("subject.country", "allowedUses[1]"), what is wrong, and its value as text, "" where that is secret."""

    path: str
    reason: str
    value: str = ""

    @property
    def name(self) -> str:
        """The input that the path begins with."""
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]

    @property
    def detail(self) -> str:
        """Reason and value."""
        return f"{self.reason}, not {self.value}" if self.value else self.reason

    @property
    def sentence(self) -> str:
        """Path, reason and value."""
        return f"{self.path} {self.detail}"


class ChangeKind(Enum):
    """How an input differs from the last deployment's."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A property that differs, and whether that needs a new resource. `of_input` is False when the resource itself asks for it (early renewal)."""

    path: str
    kind: ChangeKind
    replaces: bool
    of_input: bool = True


def with_defaults(fields: Mapping[str, Field], inputs: Properties) -> Properties:
    """The inputs without nulls, secret where the schema says so, with the defaults that the official provider writes into the inputs."""
    given = {name: value for name, value in inputs.items() if value is not None}
    for name, declared in fields.items():
        if name not in given and declared.default is not None:
            given[name] = declared.default
        elif declared.secret and name in given and not isinstance(given[name], Secret):
            given[name] = Secret(given[name])
    return given


def failures(fields: Mapping[str, Field], inputs: Properties, *, prefix: str = "") -> Iterator[Failure]:
    """Every wrong input. Values that are not known yet pass: the engine checks again when they are."""
    for name, value in inputs.items():
        path = f"{prefix}{name}"
        if name.startswith("__"):  # bookkeeping of the engine and of bridged providers
            continue
        declared = fields.get(name)
        if declared is None:
            yield Failure(path=path, reason=f"is not an input; allowed are {', '.join(sorted(fields))}")
        elif value is not None and declared.refused:
            yield Failure(path=path, reason=declared.refused)
        elif value is not None:
            yield from _value_failures(declared, plain(value), path=path, hidden=declared.secret or isinstance(value, Secret))
    for name, declared in fields.items():
        if declared.required and inputs.get(name) is None:
            yield Failure(path=f"{prefix}{name}", reason=f"is missing; it must be {_allowed(declared)}")


def changes(fields: Mapping[str, Field], *, old: Properties, new: Properties) -> list[Change]:
    """The inputs that differ. A value that is not known yet counts as different."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = plain(old.get(name)), plain(new.get(name))
        if name.startswith("__") or (before == after and not contains_unknown(after)):
            continue
        kind = ChangeKind.ADD if before is None else ChangeKind.DELETE if after is None else ChangeKind.UPDATE
        found.append(Change(path=name, kind=kind, replaces=name in fields and fields[name].replaces))
    return found


def _value_failures(declared: Field, value: Any, *, path: str, hidden: bool) -> Iterator[Failure]:
    if value is UNKNOWN:
        return
    if not _has_kind(declared.kind, value):
        yield Failure(path=path, reason=f"must be {_allowed(declared)}", value="" if hidden else _shown(value))
    elif declared.kind is Kind.OBJECT:
        yield from failures(declared.fields, value, prefix=f"{path}.")
    else:
        parts = [(f"{path}[{index}]", item) for index, item in enumerate(value)] if declared.kind is Kind.STRINGS else [(path, value)]
        for place, part in parts:
            if part is not UNKNOWN and (reason := _wrong(declared, part)):
                yield Failure(path=place, reason=reason, value="" if hidden else _shown(part))


def _wrong(declared: Field, value: Any) -> str | None:
    if declared.choices and value not in declared.choices:
        return f"must be one of {', '.join(declared.choices)}"
    if declared.minimum is not None and value < declared.minimum:
        return f"must be at least {declared.minimum}"
    return declared.rule(value) if declared.rule else None


def _has_kind(kind: Kind, value: Any) -> bool:
    match kind:
        case Kind.STRING:
            return isinstance(value, str)
        case Kind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.STRINGS:
            return isinstance(value, list) and all(item is UNKNOWN or isinstance(item, str) for item in value)
        case Kind.VALUES:
            return isinstance(value, list)
        case Kind.STRING_MAP:
            return isinstance(value, dict) and all(item is UNKNOWN or isinstance(item, str) for item in value.values())
        case Kind.OBJECT:
            return isinstance(value, dict)


def _allowed(declared: Field) -> str:
    return f"one of {', '.join(declared.choices)}" if declared.choices and declared.kind is Kind.STRING else declared.kind.value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
