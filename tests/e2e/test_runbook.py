"""The commands of docs/alerts.md work on a running stack: whoever needs them has no time for a mistake in them."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

import toolchain
from tests.e2e.conftest import PROJECT, LiveStack

pytestmark = pytest.mark.e2e

OF_THE_OPERATOR = ("podmonitors", "prometheuses")
"""Kinds that embedded clusters do not have."""


def commands() -> list[str]:
    """Each kubectl command, without what its output is piped into: a filter finds nothing on a healthy stack."""
    blocks = re.findall(r"^```console\n(.*?)^```", (PROJECT / "docs" / "alerts.md").read_text(), re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return sorted({re.split(r"\s\||\s+#", line)[0] for line in lines if line.startswith("kubectl")})


def answers(stack: LiveStack, cluster: str, command: str) -> bool:
    kubeconfig = stack.state / stack.name / "kubeconfigs" / f"{cluster}.yaml"
    path = f"{toolchain.find('kubectl').parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0


def test_every_command_of_the_runbook_does_something_in_one_of_the_clusters(stack: LiveStack) -> None:
    asked = [command for command in commands() if not any(kind in command for kind in OF_THE_OPERATOR)]
    assert len(asked) > 10, "the commands were found"
    assert [command for command in asked if not any(answers(stack, cluster, command) for cluster in ("local", "remote"))] == []
