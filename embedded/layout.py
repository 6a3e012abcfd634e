"""Where things are in the state directory of a cluster, and how they are written: whole or not at all, readable by their owner only."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.errors import EmbeddedError

TEMPORARY = ".new-"
"""What the name of a file begins with while it is being written."""


@dataclass(frozen=True)
class StateDir:
    """The state directory of one cluster. Its path is part of every command line below it, which is how a process is known to belong to it."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def cluster(self) -> Path:
        """Spec, octet and registry of the cluster: a directory with this file holds a cluster, whatever else is missing."""
        return self.root / "cluster.json"

    @property
    def parts(self) -> Path:
        """The command lines that the supervisor runs, as the launcher planned them."""
        return self.root / "parts.json"

    @property
    def node_agent_config(self) -> Path:
        return self.root / "node-agent.json"

    @property
    def egress_selector(self) -> Path:
        """The API server's way into the cluster."""
        return self.root / "egress-selector.json"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def etcd(self) -> Path:
        return self.root / "etcd"

    @property
    def node(self) -> Path:
        """The node agent's own directory: pods, their logs and kubeconfigs."""
        return self.root / "node"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def desired(self) -> Path:
        """There when the cluster is meant to run. The watcher and a new supervisor end at once without it, so a stop cannot be undone by healing."""
        return self.run / "desired"

    @property
    def supervisor_lock(self) -> Path:
        return self.run / "supervisor.lock"

    def record(self, name: str) -> Path:
        """Process record of a part."""
        return self.run / f"{name}.json"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def kubeconfig(self, user: str) -> Path:
        return self.pki / f"{user}.kubeconfig"

    @property
    def directories(self) -> tuple[Path, ...]:
        return (self.pki, self.etcd, self.node, self.run, self.logs)

    @property
    def files(self) -> tuple[Path, ...]:
        """Files directly in the state directory but the lock; the cluster's record first, for without it there is no cluster."""
        return (self.cluster, self.parts, self.node_agent_config, self.egress_selector)

    def make(self) -> None:
        """Makes the directories below the state directory, 0700. Raises OSError when one cannot be made."""
        for directory in self.directories:
            directory.mkdir(mode=0o700, exist_ok=True)

    def foreign_entries(self) -> list[str]:
        """Names in the state directory that no cluster puts there; empty also when the directory is not there."""
        if not self.root.is_dir():
            return []
        own = {path.name for path in (*self.directories, *self.files, self.lock)}
        return sorted(name for name in os.listdir(self.root) if name not in own and not name.startswith(TEMPORARY))  # noqa: PTH208 -- names, not paths

    def temporaries(self) -> list[Path]:
        """Files that an interrupted write left directly in the state directory."""
        return list(self.root.glob(f"{TEMPORARY}*"))


def unwritable(directory: Path, error: OSError) -> EmbeddedError:
    return EmbeddedError(
        f"The state directory {directory} cannot be written: {error.strerror} ({error.filename}). Pass another with --state-dir, or make it yours."
    )


def write_private(path: Path, text: str) -> bool:
    """Writes `text` to `path` with mode 0600, atomically; True when that changed the file. A reader sees the old text or the new one, never half."""
    if read_text(path) == text:
        return False
    temporary = path.with_name(f"{TEMPORARY}{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
    return True


def write_json(path: Path, document: Any) -> bool:
    return write_private(path, json.dumps(document, indent=1) + "\n")


def read_text(path: Path) -> str | None:
    """The file's text; None when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_json(path: Path) -> Any:
    """The file's JSON document; None when there is no such file or it holds no JSON (a crash of the machine can leave an empty file)."""
    text = read_text(path)
    try:
        return None if text is None else json.loads(text)
    except json.JSONDecodeError:
        return None
