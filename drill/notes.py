"""What a drill has to remember of a stack while it is broken, so that another process can heal it: a private file in the stack's state directory."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Notes:
    """Plain values by name, on disk at once (0600). No secret belongs in them."""

    path: Path

    def read(self) -> dict[str, Any]:
        """All of them; {} when there are none."""
        try:
            return dict(json.loads(self.path.read_text()))
        except FileNotFoundError:
            return {}

    def get(self, name: str) -> Any:
        """One of them, or None."""
        return self.read().get(name)

    def keep(self, name: str, value: Any) -> None:
        """Note it, unless it is noted already: what was first noted is how it was before anything was broken."""
        notes = self.read()
        if name not in notes:
            self._write({**notes, name: value})

    def put(self, name: str, value: Any) -> None:
        """Note it in any case."""
        notes = self.read()
        if notes.get(name) != value:
            self._write({**notes, name: value})

    def drop(self, name: str) -> None:
        """Forget it. With the last one goes the file."""
        notes = self.read()
        if notes.pop(name, None) is not None:
            self._write(notes)

    def _write(self, notes: dict[str, Any]) -> None:
        """As a whole or not at all: a reader never sees half of it, also after a kill -9."""
        if not notes:
            self.path.unlink(missing_ok=True)
            return
        fresh = self.path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(notes, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
