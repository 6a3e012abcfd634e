"""Runs a component alone in a cluster, or the whole program, and gives back the record. In a module of its own, as there are several conftest.py."""

from __future__ import annotations

import copy
import runpy
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
import yaml
from program_recorder import Recorder

from service_failover import definitions, early

CHECKOUT = Path(__file__).resolve().parents[2]

Build = Callable[[pulumi.ResourceOptions], object]
InCluster = Callable[..., Recorder]


def default_config() -> dict[str, Any]:
    """The configuration of a stack that sets nothing: the defaults in Pulumi.yaml."""
    return copy.deepcopy(_defaults())


@cache
def _defaults() -> dict[str, Any]:
    project = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())
    return {key: declared["default"] for key, declared in project["config"].items() if "default" in declared}


def run_program(*, preview: bool = False, changes: Mapping[str, Any] | None = None, secrets: Collection[str] = (), schemas: bool = False) -> Recorder:
    """`__main__.py` with the default configuration and `changes` to it, of which those named in `secrets` are stored as secrets.

    `schemas`: whether the definitions have theirs, which are a third of the work.
    """
    recorder = Recorder(preview=preview)
    config = default_config() | dict(changes or {})
    with nullcontext() if schemas else _no_schemas(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(early, "HAND_OVER", 0.0)  # there is no engine that could begin meanwhile
        return recorder.run(lambda: runpy.run_path(str(CHECKOUT / "__main__.py"), run_name="__main__"), config=config, secrets=secrets)


def run_in_cluster(build: Build, *, preview: bool = False, schemas: bool = False) -> Recorder:
    """`build(options)`, where the options put a component into a cluster."""
    with nullcontext() if schemas else _no_schemas():
        return Recorder(preview=preview).run(lambda: build(pulumi.ResourceOptions(provider=kubernetes.Provider("cluster", kubeconfig="{}"))) and None)


@contextmanager
def _no_schemas() -> Iterator[None]:
    """The same definitions without what the fields of their objects are."""
    full = definitions.shared_definitions()
    brief = [{**each, "spec": {**each["spec"], "versions": [{**of, "schema": {}} for of in each["spec"]["versions"]]}} for each in full]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(definitions, "shared_definitions", lambda: brief)
        yield
