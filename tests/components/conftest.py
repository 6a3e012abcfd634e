"""The whole program, run once as an update and once as the first preview; and a cluster's provider for components that are tested alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from program_recorder import Recorder
from program_runs import InCluster, run_in_cluster, run_program

import toolchain
from toolchain.tools import tool


@contextmanager
def programs() -> Iterator[None]:
    """The programs of embedded clusters are there, as far as a recorded program can tell. Nothing starts them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in toolchain.OF_EMBEDDED_CLUSTERS:
            patch.setenv(tool(name).variable, sys.executable)
        yield


@pytest.fixture(scope="module", autouse=True)
def _programs(request: pytest.FixtureRequest) -> Iterator[None]:
    """For modules that start none of them; those of other tiers start the real ones."""
    if request.node.get_closest_marker("unit") is None:
        yield
    else:
        with programs():
            yield


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What a test's failed program leaves does not complain during the next test: Python 3.11 then fails to parse what it is just parsing."""
    yield
    Recorder.collect()


@pytest.fixture(scope="session")
def update() -> Recorder:
    with programs():
        return run_program(schemas=True)


@pytest.fixture(scope="session")
def preview() -> Recorder:
    """A preview of a stack that is not there yet: no kubeconfig, no certificate, no address is known."""
    with programs():
        return run_program(preview=True, schemas=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, those tests run together that read the recordings of the program, so that each is made once."""
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and {"program", "update", "preview"} & set(item.fixturenames)
            and item.path.is_relative_to(Path(__file__).parent)
        ):
            item.add_marker(pytest.mark.xdist_group("program"))


@pytest.fixture(scope="session", params=[False, True], ids=["update", "preview"])
def in_cluster(request: pytest.FixtureRequest) -> InCluster:
    """Runs `build(options)`, where the options put a component into a cluster. Each test runs as an update and as a preview."""
    return partial(run_in_cluster, preview=request.param)
