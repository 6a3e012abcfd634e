"""Reads a configuration document and collects everything that is wrong with it, so that a user sees all of it in one run.

A wrong value is noted, and replaced by a harmless one of the same type: whoever reads must look at `problems` before using any of it.
Pure: it knows neither Pulumi nor which keys there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

IMAGE = re.compile(r"[a-z0-9][\w.\-/:@]*", re.ASCII)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_NAME = re.compile(rf"({DNS_NAME.pattern}/)?{LABEL_VALUE.pattern}")
DURATION = re.compile(r"(?P<number>\d{1,9}(\.\d{1,9})?)(?P<unit>ms|s)")
A_LABEL = "names such as team or example.com/team, and as their values text of 1 to 63 letters, digits and inner '-', '_' or '.'"
LONGEST_DURATION = Decimal(3600)


def duration(value: object) -> str | None:
    """A duration such as `1s`, `0.5s` or `250ms` in the JSON form of protobuf (`0.25s`); None when it is none, zero, or longer than an hour."""
    match = DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    seconds = Decimal(match["number"]) / (1000 if match["unit"] == "ms" else 1)
    if not Decimal("0.001") <= seconds <= LONGEST_DURATION:
        return None
    text = f"{seconds:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "s"


def shown(value: object) -> str:
    """A value as the user wrote it, for a message."""
    return json.dumps(value, ensure_ascii=False, default=str)


class Section:
    """One mapping of the document. Each reader takes a key of it and returns a value of its type; `finish` then refuses the keys that nobody read."""

    def __init__(self, values: Mapping[str, Any], *, problems: list[str], path: str = "", secret_keys: frozenset[str] = frozenset()) -> None:
        self._values, self._path, self._secret_keys = values, path, secret_keys
        self._read: set[str] = set()
        self.problems = problems

    def choice(self, key: str, options: type[E], *, absent: E | None = None) -> E:
        """A member of the enumeration `options`; `absent`, if that is given, when there is no such key."""
        if absent is not None and key not in self._values:
            self._read.add(key)
            return absent
        allowed = [option.value for option in options]
        return options(self._accepted(key, lambda value: value in allowed, ", ".join(allowed)) or allowed[0])

    def text(self, key: str, *, pattern: re.Pattern[str], longest: int, allowed: str) -> str:
        """A string that matches `pattern` as a whole; "" when it does not."""
        return self._accepted(key, lambda value: isinstance(value, str) and len(value) <= longest and bool(pattern.fullmatch(value)), allowed) or ""

    def optional_text(self, key: str, *, pattern: re.Pattern[str], allowed: str, longest: int = 4096) -> str:
        """As `text`; "" when the key is absent."""
        self._read.add(key)
        return self.text(key, pattern=pattern, longest=longest, allowed=allowed) if key in self._values else ""

    def blank_or_text(self, key: str, *, pattern: re.Pattern[str], allowed: str, longest: int = 4096) -> str:
        """As `text`; "" is allowed too, and says that nothing is wanted."""
        blank = key in self._values and self._values[key] == ""
        self._read.add(key)
        return "" if blank else self.text(key, pattern=pattern, longest=longest, allowed=allowed)

    def labels(self, key: str) -> dict[str, str]:
        """A mapping of Kubernetes label names to values, which may be empty."""
        found = self._accepted(key, lambda value: isinstance(value, Mapping), "a mapping of label names to values, which may be {}") or {}
        for name, value in found.items():
            if not LABEL_NAME.fullmatch(str(name)) or not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
                self.problems.append(f"{self._path}{key}.{name}: {shown(value)} is not allowed; allowed: {A_LABEL}")
        return {str(name): str(value) for name, value in found.items()}

    def integer(self, key: str, *, lowest: int, highest: int) -> int:
        """A whole number from `lowest` to `highest`."""
        return (
            self._accepted(key, lambda value: type(value) is int and lowest <= value <= highest, f"a whole number from {lowest} to {highest}")
            or lowest
        )

    def optional_integer(self, key: str, *, lowest: int, highest: int) -> int | None:
        """As `integer`; None when the key is absent."""
        self._read.add(key)
        return self.integer(key, lowest=lowest, highest=highest) if key in self._values else None

    def flag(self, key: str) -> bool:
        """True or false; false when the key is absent."""
        self._read.add(key)
        return key in self._values and bool(self._accepted(key, lambda value: isinstance(value, bool), "true, false"))

    def duration(self, key: str) -> str:
        """A duration in the JSON form of protobuf; "" when it is none."""
        return (
            duration(self._accepted(key, lambda value: duration(value) is not None, "a duration from 1ms to 3600s, such as 1s, 0.5s or 250ms")) or ""
        )

    def section(self, key: str, read: Callable[[Section], T]) -> T | None:
        """What `read` makes of the mapping at `key`; None when there is no mapping."""
        value = self._accepted(key, lambda value: isinstance(value, Mapping), "a mapping of keys to values")
        return None if value is None else self._within(value, f"{self._path}{key}", read)

    def sections(self, key: str, read: Callable[[Section], T]) -> tuple[T, ...]:
        """What `read` makes of each mapping in the list at `key`."""
        entries = self._accepted(key, lambda value: isinstance(value, list) and bool(value), "a list with at least one entry") or []
        return self._entries(entries, f"{self._path}{key}", read)

    def lists(self, key: str, read: Callable[[Section], T]) -> tuple[tuple[T, ...], ...]:
        """What `read` makes of each mapping in each of the lists in the list at `key`, which may be empty."""
        outer = self._accepted(key, lambda value: isinstance(value, list), "a list of lists, or [] for the default") or []
        parsed = []
        for index, inner in enumerate(outer):
            path = f"{self._path}{key}[{index}]"
            if isinstance(inner, list) and inner:
                parsed.append(self._entries(inner, path, read))
            else:
                self.problems.append(f"{path}: {shown(inner)} is not allowed; allowed: a list with at least one entry")
        return tuple(parsed)

    def finish(self) -> None:
        """Refuse every key that was not read: a misspelt one must not be ignored in silence."""
        for key in sorted(self._values.keys() - self._read):
            self.problems.append(f"{self._path}{key}: unknown key (its value is {self._shown(key)}); allowed: {', '.join(sorted(self._read))}")

    def _entries(self, entries: list[Any], path: str, read: Callable[[Section], T]) -> tuple[T, ...]:
        parsed = []
        for index, entry in enumerate(entries):
            if isinstance(entry, Mapping):
                parsed.append(self._within(entry, f"{path}[{index}]", read))
            else:
                self.problems.append(f"{path}[{index}]: {shown(entry)} is not allowed; allowed: a mapping of keys to values")
        return tuple(parsed)

    def _within(self, values: Mapping[str, Any], path: str, read: Callable[[Section], T]) -> T:
        inner = Section(values, problems=self.problems, path=f"{path}.")
        result = read(inner)
        inner.finish()
        return result

    def _accepted(self, key: str, accepts: Callable[[Any], bool], allowed: str) -> Any:
        """The value at `key`, or None with the reason noted."""
        self._read.add(key)
        if key not in self._values:
            self.problems.append(f"{self._path}{key}: missing; allowed: {allowed}")
        elif not accepts(self._values[key]):
            self.problems.append(f"{self._path}{key}: {self._shown(key)} is not allowed; allowed: {allowed}")
        else:
            return self._values[key]
        return None

    def _shown(self, key: str) -> str:
        return "[secret]" if key in self._secret_keys else shown(self._values[key])
