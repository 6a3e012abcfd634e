"""The whole program, run once as an update and once as the first preview; and a cluster's provider for components that are tested alone."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
import yaml
from program_recorder import Recorder

CHECKOUT = Path(__file__).resolve().parents[2]

InCluster = Callable[[Callable[[pulumi.ResourceOptions], object]], Recorder]


def default_config() -> dict[str, Any]:
    """The configuration of a stack that sets nothing: the defaults in Pulumi.yaml."""
    project = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())
    return {key: declared["default"] for key, declared in project["config"].items()}


def run_program(*, preview: bool = False, changes: Mapping[str, Any] | None = None) -> Recorder:
    """`__main__.py` with the default configuration and `changes` to it."""
    recorder = Recorder(preview=preview)
    return recorder.run(lambda: runpy.run_path(str(CHECKOUT / "__main__.py"), run_name="__main__"), config=default_config() | dict(changes or {}))


@pytest.fixture(scope="session")
def update() -> Recorder:
    return run_program()


@pytest.fixture(scope="session")
def preview() -> Recorder:
    """A preview of a stack that is not there yet: no kubeconfig, no certificate, no address is known."""
    return run_program(preview=True)


@pytest.fixture(scope="session", params=[False, True], ids=["update", "preview"])
def in_cluster(request: pytest.FixtureRequest) -> InCluster:
    """Runs `build(options)`, where the options put a component into a cluster. Each test runs as an update and as a preview."""

    def run(build: Callable[[pulumi.ResourceOptions], object]) -> Recorder:
        return Recorder(preview=request.param).run(
            lambda: build(pulumi.ResourceOptions(provider=kubernetes.Provider("cluster", kubeconfig="{}"))) and None
        )

    return run
