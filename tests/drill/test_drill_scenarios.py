"""The scenarios: what the list promises, and that each heals whatever it has broken, from another process, wherever it was cut off."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded_stack import Cut, RecordedStack, recorded, target_of

from cli.workspace import CommandFailed
from drill.notes import Notes
from drill.scenario import Expected, Scenario
from drill.scenarios import DEFAULT, SCENARIOS, app
from drill.settled import unsettled
from drill.target import Target
from service_failover.cluster_settings import ClusterKind

__all__ = ["recorded"]  # the fixture
pytestmark = pytest.mark.unit

EACH = [pytest.param(scenario, id=name) for name, scenario in SCENARIOS.items()]
EVERYWHERE = [
    pytest.param(scenario, kind, id=f"{name}-{kind}")
    for kind in (ClusterKind.EMBEDDED, ClusterKind.EXISTING)
    for name, scenario in SCENARIOS.items()
    if kind in scenario.kinds
]
"""By signals, and by the Kubernetes API alone."""
HARMLESS = re.compile(r"POST \S+/(healthcheck/ok|runtime_modify\?sick\.percent=0)|SIGCONT \d+|delete \w+ secret \S+ \S+-before-drill")
"""What healing may do to a stack that nobody has broken."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flapping takes no time."""
    monkeypatch.setattr(app, "FLAPS", 0)


def test_the_names_are_what_is_typed() -> None:
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) and scenario.name == name for name, scenario in SCENARIOS.items())
    assert set(DEFAULT) <= set(SCENARIOS), "the default set runs what there is"
    assert len({scenario.title for scenario in SCENARIOS.values()}) == len(SCENARIOS), "no two are told apart by their name alone"


@pytest.mark.parametrize("scenario", EACH)
def test_an_objective_that_allows_a_loss_says_why(scenario: Scenario) -> None:
    objective = scenario.objective
    lossless = objective.failed == 0 and objective.failed_beyond_in_flight is None
    assert lossless != bool(objective.failed_reason), "a reason where something may be lost, and only there"
    assert re.fullmatch(r"[A-Zk].{60,400}\.", scenario.text), "what it does, in sentences"


@pytest.mark.parametrize("scenario", EACH)
def test_where_it_cannot_be_done_is_said_with_the_reason(scenario: Scenario) -> None:
    assert set(scenario.why_not) == set(ClusterKind) - scenario.kinds
    assert ClusterKind.EMBEDDED in scenario.kinds, "on an embedded stack all of them run"


def test_the_kubernetes_api_is_enough_for_most_of_them() -> None:
    elsewhere = {name for name, scenario in SCENARIOS.items() if scenario.kinds != {ClusterKind.EMBEDDED}}
    assert set(SCENARIOS) - elsewhere == {"app-frozen", "primary-api-gone", "standby-api-gone"}


def test_the_default_set_leaves_time_for_what_is_between_its_scenarios() -> None:
    seconds = sum(SCENARIOS[name].hold + SCENARIOS[name].settle for name in DEFAULT) + app.FLAPS
    assert seconds <= 160, "of 240: each also settles, warms up and breaks"


@pytest.mark.parametrize(("scenario", "kind"), EVERYWHERE)
def test_healing_changes_nothing_in_a_stack_that_is_whole(scenario: Scenario, kind: ClusterKind, recorded: RecordedStack, tmp_path: Path) -> None:
    before, target = recorded.state(), target_of(recorded, tmp_path, kind=kind)
    scenario.heal(target)
    scenario.heal(target)
    assert recorded.state() == before
    assert [write for write in recorded.writes if not HARMLESS.fullmatch(write)] == [], "a healer may be called at any time"


@pytest.mark.parametrize(("scenario", "kind"), EVERYWHERE)
def test_what_is_broken_is_healed_by_another_process(scenario: Scenario, kind: ClusterKind, recorded: RecordedStack, tmp_path: Path) -> None:
    before = recorded.state()
    scenario.break_(target_of(recorded, tmp_path, kind=kind))
    broken = recorded.state()
    scenario.break_(target_of(recorded, tmp_path, kind=kind))
    scenario.heal(target_of(recorded, tmp_path, kind=kind))
    assert recorded.state() == before, "also when it was broken twice"
    scenario.heal(target_of(recorded, tmp_path, kind=kind))
    assert recorded.state() == before, "and healed twice"
    assert Notes(path=tmp_path / "drill.notes.json").read() == {}, "nothing is left to heal"
    assert unsettled(target_of(recorded, tmp_path)) == ""
    if scenario.expected_during is not Expected.BLUE:
        assert broken != before, "it does break something that lasts"


def cut_off_everywhere(
    scenario: Scenario, recorded: RecordedStack, new: Callable[[], Target], *, before: Callable[[Target], None], act: Callable[[Target], None]
) -> int:
    """Do `act` anew until it gets through, cut off at one write later each time, and heal from another process after each. Returns how many cuts."""
    sound, cuts = recorded.state(), 0
    while True:
        before(new())
        recorded.writes.clear()
        recorded.cut_at = cuts
        try:
            act(new())
        except Cut:
            cuts += 1
        else:
            return cuts
        finally:
            recorded.cut_at = None
            scenario.heal(new())
            assert recorded.state() == sound, f"cut off after {recorded.writes[:cuts]}"


@pytest.mark.parametrize(("scenario", "kind"), EVERYWHERE)
def test_it_is_healed_wherever_the_breaking_was_cut_off(scenario: Scenario, kind: ClusterKind, recorded: RecordedStack, tmp_path: Path) -> None:
    cuts = cut_off_everywhere(scenario, recorded, lambda: target_of(recorded, tmp_path, kind=kind), before=lambda _: None, act=scenario.break_)
    assert cuts > 0, "it writes something"


@pytest.mark.parametrize(("scenario", "kind"), EVERYWHERE)
def test_healing_goes_on_wherever_it_was_cut_off(scenario: Scenario, kind: ClusterKind, recorded: RecordedStack, tmp_path: Path) -> None:
    cut_off_everywhere(scenario, recorded, lambda: target_of(recorded, tmp_path, kind=kind), before=scenario.break_, act=scenario.heal)


def test_by_the_kubernetes_api_a_control_plane_goes_as_a_whole(recorded: RecordedStack, tmp_path: Path) -> None:
    """Each part at the same moment, and with all of its pods: one that is left, or comes back before the next one goes, would take over."""
    for part in (("local", "gloo-system", "gloo"), ("remote", "gloo-system", "gloo"), ("local", "gloo-fed", "gloo-fed")):
        recorded.replicas[part] = 2
    together, delete = threading.Barrier(3, timeout=10), recorded.write

    def write(text: str) -> None:
        if text.startswith("delete"):
            together.wait()  # breaks where they come one after the other
        delete(text)

    recorded.write = write  # type: ignore[method-assign]
    SCENARIOS["control-plane-killed"].break_(target_of(recorded, tmp_path, kind=ClusterKind.EXISTING))
    deletions = sorted(text for text in recorded.writes if text.startswith("delete"))
    assert deletions == [
        "delete local pod gloo-fed gloo-fed-1 gloo-fed-1",
        "delete local pod gloo-system gloo-1 gloo-1",
        "delete remote pod gloo-system gloo-1 gloo-1",
    ]
    assert recorded.writes[-1].endswith("/healthcheck/fail"), "and then the app fails"


@pytest.mark.parametrize("name", ["scaled-to-zero", "both-down"])
def test_an_app_without_pods_is_not_scaled_to_zero_for_good(name: str, recorded: RecordedStack, tmp_path: Path) -> None:
    recorded.replicas["local", "default", "echo-blue"] = 0
    with pytest.raises(CommandFailed, match=r"has no pods as it is\. Give it some: make up"):
        SCENARIOS[name].break_(target_of(recorded, tmp_path))
    assert recorded.writes == [], "nothing was changed"


def test_notes_are_private_and_keep_what_was_first(tmp_path: Path) -> None:
    notes = Notes(path=tmp_path / "notes.json")
    notes.keep("replicas", 2)
    notes.keep("replicas", 0)
    assert notes.get("replicas") == 2, "how it was before anything was broken"
    assert notes.path.stat().st_mode & 0o777 == 0o600
    notes.drop("replicas")
    assert list(tmp_path.iterdir()) == [], "nothing is left of them"
