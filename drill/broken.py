"""What drills have broken and not healed yet, in a file: so that any process can heal it, also when the one that broke it is gone.

Who breaks something notes it here before, and takes it out when it is healed. How something is healed is in the scenarios.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cli.workspace import CommandFailed
from drill.scenario import Scenario
from drill.target import Target


class Broken:
    """The names of the scenarios whose break may be in force."""

    def __init__(self, file: Path) -> None:
        """`file`: in a private directory that exists."""
        self._file = file

    def names(self) -> list[str]:
        """In the order in which they were broken."""
        return list(json.loads(self._file.read_text())) if self._file.exists() else []

    def add(self, name: str) -> None:
        """Before it is broken. On the disk when this returns."""
        self._write([*(each for each in self.names() if each != name), name])

    def remove(self, name: str) -> None:
        """After it is healed. Safe to repeat."""
        self._write([each for each in self.names() if each != name])

    def _write(self, names: list[str]) -> None:
        if not names:
            self._file.unlink(missing_ok=True)
            return
        new = self._file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(names, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)


def heal_all(target: Target, broken: Broken, scenarios: Mapping[str, Scenario], *, say: Callable[[str], None]) -> bool:
    """Heal all that is noted as broken, the last one first. `say` is told what became of each. Whether nothing is left."""
    for name in reversed(broken.names()):
        try:
            scenarios[name].heal(target)
        except KeyError:
            say(f"{name}: this version has no such scenario, so it cannot heal it")
        except (CommandFailed, OSError) as error:
            say(f"{name}: not healed: {error}")
        else:
            broken.remove(name)
            say(f"{name}: healed")
    return not broken.names()
