"""Objects of one kind as a translation reads them: parsed, the last valid version of each.

An object that is not valid does not reach the translation. The last valid version of it, if this process has seen one, stays in its place: an edit
that cannot be understood must not take away what serves.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from controlplane.kube.objects import Object
from controlplane.translation.types import Key
from gloo_api.meta import InvalidResource, ObjectMeta, Problem, Resource

log = logging.getLogger(__name__)

M = TypeVar("M")
P = TypeVar("P", bound=Resource)

_RECENT = 512
"""Parsed objects that are kept for a moment: what has come is translated soon after."""

_METADATA = frozenset(ObjectMeta.model_fields) - {"generation"} | {"creationTimestamp"}


class Table(Mapping[Key, M]):
    """`parse` makes a model of an object, or raises InvalidResource. `keep` says what is stored of the two, `read` makes the model of that again."""

    def __init__(
        self, parse: Callable[[Object], M], *, keep: Callable[[Object, M], Any] = lambda _, model: model, read: Callable[[Any], M] = lambda kept: kept
    ) -> None:
        self.problems: dict[Key, tuple[Problem, ...]] = {}
        """Of the objects whose newest version is not valid."""
        self._parse = parse
        self._keep = keep
        self._read = read
        self._kept: dict[Key, Any] = {}

    def __getitem__(self, key: Key) -> M:
        return self._read(self._kept[key])

    def __iter__(self) -> Iterator[Key]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: object) -> bool:
        return key in self._kept

    def put(self, key: Key, obj: Object | None) -> bool:
        """Take the newest version of an object, None when it is gone. True when what is here differs from before."""
        self.problems.pop(key, None)
        if obj is None:
            return self._kept.pop(key, None) is not None
        try:
            kept = self._keep(obj, self._parse(obj))
        except InvalidResource as error:
            self.problems[key] = error.problems
            return False
        except Exception as error:  # A defect in the reading of one object must cost that object only.
            log.exception("an object cannot be read", extra={"object": f"{key.namespace}/{key.name}"})
            self.problems[key] = (Problem("object", f"internal error of gloo ({type(error).__name__}); its log has the details"),)
            return False
        before, self._kept[key] = self._kept.get(key), kept
        return bool(before != kept)


def packed(model: type[P]) -> Table[P]:
    """A table that keeps text and parses it when it is read: a model is ten times larger, and of thousands hardly one is read again."""
    recent: dict[str, P] = {}

    def remember(text: str, found: P) -> P:
        if len(recent) >= _RECENT:
            del recent[next(iter(recent))]
        recent[text] = found
        return found

    def keep(obj: Object, found: P) -> str:
        text = _text(obj)
        remember(text, found)
        return text

    def read(text: str) -> P:
        return recent.get(text) or remember(text, model.parse(json.loads(text)))

    return Table(lambda obj: model.parse(dict(obj)), keep=keep, read=read)


def _text(obj: Object) -> str:
    """All that a translation may depend on, and no more."""
    metadata = {name: value for name, value in obj["metadata"].items() if name in _METADATA}
    return json.dumps({"metadata": metadata, "spec": obj.get("spec")}, separators=(",", ":"), sort_keys=True)
