"""The examples, each brought up as its README says: the first answers, fails, the second answers, the first is back; and nothing is left.

The other two are stacks of the checkout's own program: three clusters in test_tiers.py, clusters that exist in test_existing.py.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.traffic import ask
from drill.load import Load, Request
from drill.probe import Probe
from tests.e2e.conftest import PROJECT, LiveStack, processes_of, until
from tests.installing import build, install

pytestmark = pytest.mark.e2e

EXAMPLES = PROJECT / "examples"


@contextmanager
def brought_up(live: LiveStack, *, first: str) -> Iterator[LiveStack]:
    """The stack, with the settings that the example has for its stack `dev`. At the end it is taken down, and then nothing of it may be left."""
    settings = live.project / f"Pulumi.{live.name}.yaml"
    settings.write_text((live.project / "Pulumi.dev.yaml").read_text())
    try:
        up = live.cli("up", timeout=600)
        assert up.returncode == 0, f"up failed:\n{up.stdout[-6000:]}\n{up.stderr[-3000:]}"
        assert first in up.stdout, "`up` ends with the first answer"
        yield live
    finally:
        down = live.cli("down", timeout=600)
        settings.unlink(missing_ok=True)
    assert down.returncode == 0, f"down failed:\n{down.stdout[-3000:]}\n{down.stderr[-3000:]}"
    assert processes_of(live.state) == [], "no process of the stack is left"
    assert not live.state.exists(), "no file of the stack is left"


def fails_over(live: LiveStack, *, first: str, second: str) -> None:
    """Break the primary and heal it, with a client that must not notice."""
    with Probe(Load(requests=(Request(url=live.url),), rate=20, seconds=120)) as traffic:
        for command, server in (("fail", second), ("heal", first)):
            done = live.cli(command, "--color", first.removesuffix("-pod"))
            assert done.returncode == 0, f"{command}: {done.stderr}"
            until(f"{server} answers after {command}", lambda server=server: ask(live.url) == f'"{server}"')
        time.sleep(1)  # until the probe has seen it too
    summary = traffic.summary()
    assert summary.failed == 0, f"nothing is lost: {summary}"
    assert summary.servers[:3] == [first, second, first]


def changes_nothing(live: LiveStack) -> None:
    again = live.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes", "-s", live.name)
    assert again.returncode == 0, f"a second up does nothing: {again.stdout[-3000:]}{again.stderr[-2000:]}"


def test_a_program_in_yaml_uses_the_component_package(tmp_path: Path) -> None:
    live = LiveStack(name="e2e-yaml", state=tmp_path / "root", project=EXAMPLES / "yaml")
    with brought_up(live, first="blue-pod"):
        fails_over(live, first="blue-pod", second="green-pod")
        changes_nothing(live)
        kubeconfigs = live.pulumi("stack", "output", "kubeconfigs", "-s", live.name)
        assert kubeconfigs.stdout.strip() == "[secret]", "what a component marks as secret is secret in YAML"
        labels = live.get("away", "service", "-n", "default", "service-green")["metadata"]["labels"]
        assert labels["team"] == "shop", "labels that the program gives are on the objects"
        state = "".join(file.read_text() for file in live.state.glob("backend/.pulumi/stacks/**/*.json"))
        assert "PRIVATE KEY" not in state, "keys are encrypted in the state"


def test_another_python_project_uses_the_installed_package(tmp_path: Path) -> None:
    project = tmp_path / "shop"
    shutil.copytree(EXAMPLES / "python", project, ignore=shutil.ignore_patterns("venv", ".state", "__pycache__"))
    wheel, _ = build(tmp_path)
    python = install(wheel, project / "venv")
    live = LiveStack(name="e2e-shop", state=tmp_path / "root", project=project, python=python)
    with brought_up(live, first="frankfurt-pod"):
        fails_over(live, first="frankfurt-pod", second="paris-pod")
        changes_nothing(live)
        own = live.get("frankfurt", "deployment", "-n", "gloo-system", "gloo")
        assert own["metadata"]["labels"]["team"] == "shop", "labels that the program gives are on the objects"
        programs = {command.split()[1] for command in processes_of(live.state) if " -m controlplane " in command}
        assert programs == {str(python)}, f"the control plane is the installed one: {programs}"
        assert not (project / ".state").exists() or os.environ.get("SERVICE_FAILOVER_STATE"), "the state is where it was asked to be"
