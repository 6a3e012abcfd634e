"""Three clusters and three tiers, as in Pulumi.three.yaml: blue, then green and yellow 3 to 1, then red, and back. No request is lost on the way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from drill.load import Load, Request
from drill.probe import Probe
from tests.e2e.conftest import LiveStack, processes_of, until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStack]:
    live = LiveStack(name="three", state=tmp_path_factory.mktemp("three") / "root")
    up = live.cli("up")
    try:
        assert up.returncode == 0, f"up failed:\n{up.stdout[-6000:]}\n{up.stderr[-3000:]}"
        yield live
    finally:
        down = live.cli("down")
        assert down.returncode == 0, f"down failed:\n{down.stdout[-3000:]}\n{down.stderr[-3000:]}"
        assert processes_of(live.state) == [], "no process of the three clusters is left"


def test_each_tier_takes_over_in_its_turn_and_nothing_is_lost(three: LiveStack) -> None:
    steps = [
        ("fail", "blue", {"green-pod", "yellow-pod"}),
        ("fail", "green", {"yellow-pod"}),
        ("fail", "yellow", {"red-pod"}),
        ("heal", "yellow", {"yellow-pod"}),
        ("heal", "green", {"green-pod", "yellow-pod"}),
        ("heal", "blue", {"blue-pod"}),
    ]
    shares: dict[str, Counter[str]] = {}
    with Probe(Load(requests=(Request(url=three.url),), rate=100, seconds=120)) as traffic:
        time.sleep(1)
        for command, color, servers in steps:
            done = three.cli(command, "--color", color)
            assert done.returncode == 0, f"{command} {color}: {done.stderr}"
            until(f"{servers} serve after {command} {color}", lambda servers=servers: servers_since(traffic, time.monotonic() - 0.5) == servers)
            began = time.monotonic()
            time.sleep(3)
            shares[f"{command} {color}"] = Counter(result.server for result in traffic.results if result.scheduled >= began)
    summary = traffic.summary()
    assert summary.failed == 0, f"nothing is lost, whichever tier fails or comes back: {summary}"
    first = shares["fail blue"]
    assert set(first) == {"green-pod", "yellow-pod"}, f"the second tier serves, both clusters of it: {first}"
    assert 0.65 < first["green-pod"] / first.total() < 0.85, f"green has three parts of four: {first}"
    for step, server in (("fail green", "yellow-pod"), ("fail yellow", "red-pod"), ("heal yellow", "yellow-pod"), ("heal blue", "blue-pod")):
        assert set(shares[step]) == {server}, f"after {step}: {shares[step]}"


def servers_since(traffic: Probe, since: float) -> set[str]:
    """Who answered what was sent since then."""
    return {result.server for result in traffic.results if result.scheduled >= since}


def test_the_scheme_has_the_tiers_of_the_config(three: LiveStack) -> None:
    scheme = three.get("local", "failoverscheme", "-n", "gloo-fed", "failover-scheme")
    groups = [[(each["cluster"], each.get("localityWeight")) for each in group["priorityGroup"]] for group in scheme["spec"]["failoverGroups"]]
    assert groups == [[("east", 3), ("west", 1)], [("local", None)]], "the order of the config is the order of failover"
    assert scheme["status"]["state"] == "ACCEPTED", "the last tier is in the primary's own cluster"


def test_the_config_is_the_one_that_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "Pulumi.three.yaml").read_text()
    assert "make up STACK=three" in text, "it says how to use it"
