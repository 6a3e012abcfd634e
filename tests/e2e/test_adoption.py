"""What somebody has made by kubectl, and serves, comes under the program: docs/import.md, followed under traffic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.objects import Object, objects
from bench.up import Script
from cli.stack import first_answer
from drill.load import Load, Request
from drill.probe import Probe
from drill.results import Kind
from tests.e2e.conftest import PROJECT, LiveStack
from tests.e2e.test_existing import CONFIG, Outside, outside

pytestmark = pytest.mark.e2e

__all__ = ["outside"]
NAME = "e2e-adopt"
FORCE = "PULUMI_K8S_ENABLE_PATCH_FORCE"


def without_our_labels(manifest: Object) -> Object:
    """As somebody who follows the guide writes it. The labels of pods are in the templates, and stay."""
    metadata = manifest["metadata"]
    labels = {key: value for key, value in metadata.get("labels", {}).items() if not key.startswith("app.kubernetes.io/")}
    return manifest | {"metadata": metadata | {"labels": labels}}


def made_by_a_stack(stack: LiveStack) -> dict[str, list[Object]]:
    """The objects that the program makes on these clusters. They are removed again."""
    up = stack.cli("up")
    assert up.returncode == 0, f"up failed: {up.stdout[-6000:]}{up.stderr[-3000:]}"
    found = objects(json.loads(stack.pulumi("stack", "export", "--show-secrets", "-s", NAME).stdout))
    down = stack.cli("down")
    assert down.returncode == 0, f"down failed: {down.stdout[-3000:]}{down.stderr[-3000:]}"
    return {cluster: [without_our_labels(each) for each in manifests] for cluster, manifests in found.items()}


def test_what_was_made_by_kubectl_is_adopted_under_traffic(outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", outside.kubeconfig)
    stack_file = PROJECT / f"Pulumi.{NAME}.yaml"
    stack_file.write_text(CONFIG)
    stack = LiveStack(name=NAME, state=tmp_path / "root")
    try:
        by_hand = made_by_a_stack(stack)
        url = Script(kubeconfigs={"local": outside.folder / "home.yaml", "remote": outside.folder / "far.yaml"}).run(by_hand)
        assert first_answer(url) == '"blue-pod"', "it serves, and no program knows of it"
        with monkeypatch.context() as once, Probe(Load(requests=(Request(url=url),), rate=50, seconds=600)) as traffic:
            refused = stack.cli("up")
            assert refused.returncode != 0, "without a word what somebody else made is not overwritten"
            assert "conflict" in refused.stdout + refused.stderr, "and the error says why"
            once.setenv(FORCE, "true")
            adopted = stack.cli("up")
        assert adopted.returncode == 0, f"with it, it is adopted: {adopted.stdout[-6000:]}{adopted.stderr[-3000:]}"
        assert set(traffic.summary().kinds) == {Kind.OK}, f"no connection is refused or cut, no answer is an error: {traffic.summary()}"
        again = stack.pulumi("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes", "-s", NAME)
        assert again.returncode == 0, f"and from now on nothing differs: {again.stdout[-3000:]}{again.stderr[-2000:]}"
    finally:
        stack.cli("down")
        stack_file.unlink(missing_ok=True)
