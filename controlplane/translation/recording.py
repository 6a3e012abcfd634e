"""What each result was made from, so that a change of the inputs makes again exactly the results that depend on it.

A computation reads its inputs through views, which note the keys that it asks for (also those that are not there, and "all of them" when it
iterates). A memo keeps the result with these notes. It is the idea of build systems and of Istio's krt: nobody has to declare a dependency, so nobody
can forget one. Nothing here knows what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Read = tuple[str, Hashable]
"""A mapping's name and the key that was read; None: all of it."""


class Recorder:
    """Notes what is read while a computation runs. Computations nest: each has its own reads and none of those within it."""

    def __init__(self) -> None:
        self._running: list[set[Read]] = []

    def note(self, read: Read) -> None:
        if self._running:
            self._running[-1].add(read)

    @contextmanager
    def recording(self) -> Iterator[set[Read]]:
        """The set fills with what is read in the block."""
        reads: set[Read] = set()
        self._running.append(reads)
        try:
            yield reads
        finally:
            self._running.pop()


class View(Mapping[K, V]):
    """A mapping as a computation sees it. It shows `items` as they are at the time of reading."""

    def __init__(self, name: str, items: Mapping[K, V], recorder: Recorder) -> None:
        self._name = name
        self._items = items
        self._recorder = recorder

    def __getitem__(self, key: K) -> V:
        self._recorder.note((self._name, key))
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        self._recorder.note((self._name, None))
        return iter(self._items)

    def __len__(self) -> int:
        self._recorder.note((self._name, None))
        return len(self._items)


class _Readers(Generic[K]):
    """Who has read one thing."""

    __slots__ = ("keys", "read")

    def __init__(self, read: Read) -> None:
        self.read = read
        self.keys: set[K] = set()


class Memo(Generic[K, V]):
    """Results by key.

    `make` computes one. When it raises, which is a defect, `rescue` gets the key, the last result (or None) and the error, and says what counts
    instead.
    """

    def __init__(self, recorder: Recorder, make: Callable[[K], V], rescue: Callable[[K, V | None, Exception], V]) -> None:
        self._recorder = recorder
        self._make = make
        self._rescue = rescue
        self._results: dict[K, V] = {}
        self._reads: dict[K, tuple[_Readers[K], ...]] = {}
        self._readers: dict[Read, _Readers[K]] = {}
        self._stale: set[K] = set()

    def get(self, key: K) -> V:
        """The result, made (again) if it has to be."""
        if key not in self._results or key in self._stale:
            before = self._results.get(key)
            with self._recorder.recording() as reads:
                try:
                    result = self._make(key)
                except Exception as error:
                    result = self._rescue(key, before, error)
            self._stale.discard(key)
            self._results[key] = result
            self._remember(key, reads)
        return self._results[key]

    def expire(self, changed: Iterable[Read]) -> set[K]:
        """The keys whose results were made from something that has changed; they are made again when they are asked for."""
        expired: set[K] = set()
        for read in changed:
            for each in (read, (read[0], None)):
                if (readers := self._readers.get(each)) is not None:
                    expired |= readers.keys
        self._stale |= expired
        return expired

    def refresh(self, changed: Iterable[Read]) -> set[K]:
        """Make again what depends on what has changed. Returns the keys whose results differ from before."""
        return {key for key in self.expire(changed) if self._results[key] != self.get(key)}

    def forget(self, key: K) -> None:
        self._results.pop(key, None)
        self._stale.discard(key)
        self._remember(key, ())

    def keys(self) -> list[K]:
        return list(self._results)

    def readers(self, read: Read) -> frozenset[K]:
        """The keys whose results were made from `read`."""
        readers = self._readers.get(read)
        return frozenset(readers.keys) if readers else frozenset()

    def _remember(self, key: K, reads: Iterable[Read]) -> None:
        for readers in self._reads.pop(key, ()):
            readers.keys.discard(key)
            if not readers.keys:
                del self._readers[readers.read]
        found = tuple(self._readers.get(read) or self._readers.setdefault(read, _Readers(read)) for read in reads)
        for readers in found:
            readers.keys.add(key)
        if found:
            self._reads[key] = found
