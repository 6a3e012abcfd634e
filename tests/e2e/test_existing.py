"""Two clusters that were made outside of any stack: the program works on them by their kubeconfig, and leaves them as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PROJECT, LiveStack
from tests.e2e.outside import Outside, clusters_outside

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


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with clusters_outside(tmp_path / "clusters") as clusters:
        yield clusters


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
