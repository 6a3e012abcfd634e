"""Which network belongs to which state directory, for all embedded clusters of this user.

A small JSON file in the cache, changed under a file lock. It holds no more than is needed to hand out octets: the cluster itself remembers its octet
and the registry it came from (`cluster.json`), so a lost registry or another cache setting loses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.layout import StateDir, read_json, write_json
from embedded.lock import exclusive
from embedded.network import OCTETS


def default_directory() -> Path:
    """The registry's directory in the cache: $SERVICE_FAILOVER_CACHE, else $XDG_CACHE_HOME/service-failover, else ~/.cache/service-failover."""
    own = os.environ.get("SERVICE_FAILOVER_CACHE")
    if own:
        return Path(own).absolute() / "networks"
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "service-failover" / "networks"


@dataclass(frozen=True)
class Registry:
    """The registry in one directory."""

    directory: Path

    def entries(self) -> dict[int, Path]:
        """Octet to state directory, stale entries left out."""
        document = read_json(self.directory / "registry.json")
        found = {int(octet): Path(root) for octet, root in document.items()} if isinstance(document, dict) else {}
        return {octet: root for octet, root in found.items() if StateDir(root).cluster.exists()}

    def claim(self, root: Path, *, wanted: int | None, in_use: Callable[[int], bool], commit: Callable[[int], object]) -> int:
        """Gives the cluster in `root` an octet: `wanted` (what it had before) if given, else its entry, else the first free one that is not `in_use`.

        `commit` is called with the octet under the registry's lock and must make the cluster visible (write its cluster.json): an entry counts
        only with that file, so that a claim interrupted half way is free again. Raises EmbeddedError: another has `wanted`, or none is free.
        """
        with self._locked():
            entries = self.entries()
            octet = wanted if wanted is not None else next((octet for octet, owner in entries.items() if owner == root), None)
            if octet is None:
                octet = next((octet for octet in OCTETS if octet not in entries and not in_use(octet)), None)
            if octet is None:
                raise EmbeddedError(
                    f"All networks 10.{OCTETS[0]}.0.0/16 to 10.{OCTETS[-1]}.0.0/16 are in use. `python -m embedded list` shows by whom."
                )
            owner = entries.get(octet, root)
            if owner != root:
                raise EmbeddedError(
                    f"The network 10.{octet}.0.0/16 of the cluster in {root} has been given to the one in {owner}. "
                    f"Delete one of the two: python -m embedded delete --state-dir DIR"
                )
            commit(octet)
            self._write(entries | {octet: root})
            return octet

    def release(self, root: Path) -> None:
        """Forgets the cluster in `root`; fine when it is not known, or the registry is gone."""
        if not self.directory.is_dir():
            return
        with self._locked():
            self._write({octet: owner for octet, owner in self.entries().items() if owner != root})

    def _write(self, entries: dict[int, Path]) -> None:
        write_json(self.directory / "registry.json", {str(octet): str(root) for octet, root in sorted(entries.items())})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with exclusive(self.directory / "lock"):
                yield
        except OSError as error:
            raise EmbeddedError(
                f"The network registry {self.directory} cannot be written: {error.strerror}. Set SERVICE_FAILOVER_CACHE to a directory of yours."
            ) from error
