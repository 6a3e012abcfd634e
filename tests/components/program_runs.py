"""Runs a component alone in a cluster, or the whole program, and gives back the record. In a module of its own, as there are several conftest.py."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import yaml
from program_recorder import Recorder

CHECKOUT = Path(__file__).resolve().parents[2]

Build = Callable[[pulumi.ResourceOptions], object]
InCluster = Callable[[Build], Recorder]


def default_config() -> dict[str, Any]:
    """The configuration of a stack that sets nothing: the defaults in Pulumi.yaml."""
    project = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())
    return {key: declared["default"] for key, declared in project["config"].items() if "default" in declared}


def run_program(*, preview: bool = False, changes: Mapping[str, Any] | None = None, secrets: Collection[str] = ()) -> Recorder:
    """`__main__.py` with the default configuration and `changes` to it, of which those named in `secrets` are stored as secrets."""
    recorder = Recorder(preview=preview)
    config = default_config() | dict(changes or {})
    return recorder.run(lambda: runpy.run_path(str(CHECKOUT / "__main__.py"), run_name="__main__"), config=config, secrets=secrets)


def run_in_cluster(build: Build, *, preview: bool = False) -> Recorder:
    """`build(options)`, where the options put a component into a cluster."""
    return Recorder(preview=preview).run(lambda: build(pulumi.ResourceOptions(provider=kubernetes.Provider("cluster", kubeconfig="{}"))) and None)
