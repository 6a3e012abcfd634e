"""Embedded clusters that were made outside of any stack, as the clusters that somebody already has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import toolchain
from tests.e2e.conftest import PROJECT, processes_of


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Clusters that belong to somebody else, and the kubeconfig that names them."""

    folder: Path

    def embedded(self, verb: str, name: str, *, stdin: str = "") -> str:
        command = [sys.executable, "-m", "embedded", verb, "--state-dir", str(self.folder / name)]
        return subprocess.run(command, cwd=PROJECT, input=stdin, capture_output=True, text=True, check=True, timeout=120).stdout

    @property
    def kubeconfig(self) -> str:
        return os.pathsep.join(str(self.folder / f"{name}.yaml") for name in ("home", "far"))

    def objects(self, name: str) -> set[str]:
        """What is in a cluster that a stack could have made."""
        kinds = (
            "namespaces,customresourcedefinitions,deployments,services,serviceaccounts,secrets,clusterroles,clusterrolebindings,roles,rolebindings"
        )
        return set(self.kubectl(name, "get", kinds, "-A", "-o", "name").split())

    def kubectl(self, name: str, *arguments: str, stdin: str = "") -> str:
        """Run kubectl on one cluster, and return what it printed."""
        command = [str(toolchain.find("kubectl")), "--kubeconfig", str(self.folder / f"{name}.yaml"), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, timeout=60).stdout


@contextmanager
def clusters_outside(folder: Path) -> Iterator[Outside]:
    """Two clusters, home and far, with their files in `folder`. At the end they are gone."""
    clusters = Outside(folder=folder)
    clusters.folder.mkdir()
    try:
        for name in ("home", "far"):
            text = clusters.embedded("start", name, stdin=f'{{"name": "{name}", "region": "us-east-1", "zone": "us-east-1a"}}')
            file = os.open(clusters.folder / f"{name}.yaml", os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(file, "w") as handle:
                handle.write(text)
        yield clusters
    finally:
        for name in ("home", "far"):
            clusters.embedded("delete", name)
        assert processes_of(clusters.folder) == [], "no process of the clusters is left"
