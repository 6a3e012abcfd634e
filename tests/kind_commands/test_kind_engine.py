"""The `dev` stack in Pulumi's real engine, with a recording `kind` and `docker`: what a preview shows, and what it refuses before anything is made.

An update needs a cluster that answers; the tier `kind` has real ones.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from recording_tools import Tools, install

import toolchain
from cli.stack import PROJECT, Stack
from cli.workspace import Workspace

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A state directory with the plugins, and an empty stack `dev`. The stack's config file is left as it was."""
    made = Workspace(root=tmp_path_factory.mktemp("state"))
    config = PROJECT / "Pulumi.dev.yaml"
    before = config.read_bytes()
    Stack(name="dev", workspace=made).initialise()
    yield made
    config.write_bytes(before)


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return install(tmp_path / "tools")


def preview(workspace: Workspace, tools: Tools) -> subprocess.CompletedProcess[str]:
    environment = {**tools.environment, **workspace.environment()}
    # The plugins are started by name of their interpreter; what is after the recording tools is for them.
    environment["PATH"] += os.pathsep + os.pathsep.join(("/usr/bin", "/bin"))
    return subprocess.run(
        [str(toolchain.find("pulumi")), "preview", "-s", "dev", "--non-interactive", "--color", "never"],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=180,
    )


def test_a_preview_shows_the_whole_stack_and_makes_nothing(workspace: Workspace, tools: Tools) -> None:
    done = preview(workspace, tools)
    assert done.returncode == 0, done.stdout[-3000:]
    for resource in ("KindCluster local create", "KindCluster remote create", "local:Command local-cluster create", "FailoverScheme failover create"):
        assert resource in done.stdout, f"{resource} is missing in: {done.stdout[-3000:]}"
    assert tools.containers == {}
    verbs = {tuple(call.split()[:2]) for call in tools.calls}
    assert verbs <= {("docker", "info"), ("docker", "context"), ("docker", "ps"), ("kind", "version"), ("docker", "image")}, (
        f"a preview only looks: {verbs}"
    )
    assert len(tools.calls) <= 12, f"and it is quick about it: {tools.calls}"


def test_a_preview_says_all_that_is_missing(workspace: Workspace, tools: Tools) -> None:
    (tools.root / "bin" / "kind").write_text("#!/bin/sh\necho kind v0.20.0\n")
    tools.when("daemon-down")
    done = preview(workspace, tools)
    assert done.returncode != 0
    for said in (
        "This machine cannot have the kind clusters of stack dev; nothing was changed.",
        "- kind is 0.20.0, which is too old: install 0.33 or later",
        "- docker cannot be reached: Cannot connect to the Docker daemon",
    ):
        assert said in done.stdout, done.stdout
    assert "Traceback" not in done.stdout, "a missing tool is no crash"


def test_a_cluster_of_somebody_else_is_refused_in_a_preview(workspace: Workspace, tools: Tools) -> None:
    tools.make_foreign("failover-dev-remote")
    done = preview(workspace, tools)
    assert done.returncode != 0
    assert "The kind cluster failover-dev-remote was made by somebody else, not by this project; it is left alone" in done.stdout
    assert list(tools.containers) == ["failover-dev-remote-control-plane"]
