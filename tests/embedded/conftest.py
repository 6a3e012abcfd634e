"""One pair of real clusters for the whole run: starting them is the slowest step, and side by side is how they are used."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from embedded_support import Driven


@dataclass(frozen=True)
class Pair:
    """Two running clusters, what their starts printed, the seconds both took together, and how busy the machine was before (processes a core)."""

    local: Driven
    remote: Driven
    kubeconfigs: tuple[str, str]
    seconds: float
    load: float


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    root = tmp_path_factory.mktemp("clusters")
    clusters = Driven("local", root / "local"), Driven("remote", root / "remote")
    began, load = time.monotonic(), os.getloadavg()[0] / (os.cpu_count() or 1)
    try:
        starts = [cluster.begin("start") for cluster in clusters]
        for cluster, start in zip(clusters, starts, strict=True):
            assert start.stdin is not None
            start.stdin.write(cluster.spec())
            start.stdin.close()
            start.stdin = None  # communicate() must not flush a closed pipe
        outputs = [start.communicate(timeout=120) for start in starts]
        seconds = time.monotonic() - began
        for start, (_, errors) in zip(starts, outputs, strict=True):
            assert start.returncode == 0, errors
        yield Pair(*clusters, kubeconfigs=(outputs[0][0], outputs[1][0]), seconds=seconds, load=load)
    finally:
        for cluster in clusters:
            cluster.run("delete")


@pytest.fixture
def driven(tmp_path: Path) -> Iterator[Driven]:
    """A cluster that is not made yet, and is gone afterwards whatever the test did."""
    cluster = Driven("single", tmp_path / "with a space" / "single")
    yield cluster
    cluster.run("delete")
