"""Two clusters that were made outside of any stack: the program works on them by their kubeconfig, and leaves them as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import toolchain
from tests.e2e.conftest import PROJECT, LiveStack, processes_of

pytestmark = pytest.mark.e2e

CONFIG = """config:
  pulumi:disable-default-providers:
    - kubernetes
  service-failover:clusterKind: existing
  service-failover:clusters:
    - name: local
      context: embedded-home
      management: true
    - name: remote
      context: embedded-far
  service-failover:replicas: 2
"""


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
        command = [str(toolchain.find("kubectl")), "--kubeconfig", str(self.folder / f"{name}.yaml"), "get", kinds, "-A", "-o", "name"]
        return set(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split())


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    clusters = Outside(folder=tmp_path / "clusters")
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


def test_a_stack_comes_to_clusters_that_exist_and_goes_again(outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", outside.kubeconfig)
    before = {name: outside.objects(name) for name in ("home", "far")}
    stack = LiveStack(name="e2e-existing", state=tmp_path / "root")
    stack_file = PROJECT / f"Pulumi.{stack.name}.yaml"
    stack_file.write_text(CONFIG)
    try:
        up = stack.cli("up")
        assert up.returncode == 0, f"up failed:\n{up.stdout[-6000:]}\n{up.stderr[-3000:]}"
        assert "blue-pod" in up.stdout, "`up` ends with the first answer"
        again = stack.cli("up")
        assert "unchanged" in again.stdout, "nothing is new"
        for change in (" created", " updated", " replaced"):
            assert change not in again.stdout, f"a second `up` does nothing: {again.stdout[-3000:]}"
        pods = [pod["metadata"]["name"].rsplit("-", 2)[0] for pod in stack.get("local", "pods", "-A")["items"]]
        assert [pods.count(name) for name in ("gloo", "gateway-proxy", "gloo-fed")] == [2, 2, 2], f"two of each: {pods}"
        down = stack.cli("down")
        assert down.returncode == 0, f"down failed:\n{down.stdout[-3000:]}\n{down.stderr[-3000:]}"
        assert {name: outside.objects(name) for name in before} == before, "the clusters are there, and as they were"
    finally:
        stack.cli("down")
        stack_file.unlink(missing_ok=True)
