"""What a drill refuses before it breaks anything, and the words in which it does; and how it remembers what it broke."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any

import pytest
from drill_scenarios import KNOWN, scenario

from cli.workspace import CommandFailed
from drill import guards
from drill.broken import Broken, heal_all
from drill.folder import Folder, write_private
from service_failover.cluster_settings import ClusterKind

pytestmark = pytest.mark.unit


def test_scenarios_are_chosen_by_name_or_by_what_can_be_done() -> None:
    chosen = guards.chosen(["both-down", "unhealthy"], scenarios=KNOWN, default=("frozen",), kind=ClusterKind.EMBEDDED)
    assert [each.name for each in chosen] == ["both-down", "unhealthy"], "in the order in which they were named"
    by_default = guards.chosen([], scenarios=KNOWN, default=("frozen", "unhealthy"), kind=ClusterKind.EXISTING)
    assert [each.name for each in by_default] == ["unhealthy"], "the default set leaves out what cannot be done there"


def test_a_scenario_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(CommandFailed, match="'forzen' is not known; known: unhealthy, frozen, both-down"):
        guards.chosen(["forzen"], scenarios=KNOWN, default=(), kind=ClusterKind.EMBEDDED)


def test_a_scenario_that_cannot_be_done_there_says_why() -> None:
    with pytest.raises(CommandFailed, match="frozen cannot be done on existing clusters: no signal reaches a process there"):
        guards.chosen(["frozen"], scenarios=KNOWN, default=(), kind=ClusterKind.EXISTING)


def test_an_unhealthy_stack_is_refused_with_what_is_wrong_unless_that_is_to_be_overlooked() -> None:
    with pytest.raises(CommandFailed, match=r"standby not proven\nSee more: make status") as refused:
        guards.overlooked("standby not proven", despite=False, next_command="make status")
    assert "--despite-unhealthy" in str(refused.value), "what overlooks it"
    assert guards.overlooked("standby not proven", despite=True, next_command="") == "standby not proven", "the report gets to know it"
    assert guards.overlooked("", despite=True, next_command="") == "", "there is nothing to overlook"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ask(answer: str, **changes: Any) -> None:
    settings: dict[str, Any] = {
        "contexts": ["local: prod-1"],
        "titles": ["the app is killed"],
        "command": "make drill SCENARIO=--yes",
        "yes": False,
        "stdin": Terminal(),
        **changes,
    }
    guards.agreed(settings.pop("kind", ClusterKind.EXISTING), ask=lambda _: answer, **settings)


def test_clusters_of_others_are_touched_only_after_a_yes() -> None:
    ask("yes")
    ask("", yes=True)
    with pytest.raises(CommandFailed, match="not agreed"):
        ask("y")
    with pytest.raises(CommandFailed, match=r"local: prod-1.*without a terminal:\n  - the app is killed\nTo agree: --yes, as in: make drill"):
        ask("yes", stdin=io.StringIO("yes\n"))


@pytest.mark.parametrize("kind", [ClusterKind.EMBEDDED, ClusterKind.KIND])
def test_the_stacks_own_clusters_are_broken_without_a_question(kind: ClusterKind) -> None:
    ask("no", kind=kind, stdin=io.StringIO())


def test_what_is_broken_is_noted_privately_until_it_is_healed(tmp_path: Path) -> None:
    broken = Broken(tmp_path / "broken.json")
    broken.add("frozen")
    broken.add("unhealthy")
    assert Broken(tmp_path / "broken.json").names() == ["frozen", "unhealthy"], "any process reads it"
    assert stat.S_IMODE((tmp_path / "broken.json").stat().st_mode) == 0o600, "only its owner"
    with pytest.raises(CommandFailed, match=r"frozen, unhealthy\. Heal it: make drill SCENARIO=heal"):
        guards.nothing_left_broken(broken, command="make drill SCENARIO=heal")
    broken.remove("frozen")
    broken.remove("unhealthy")
    guards.nothing_left_broken(broken, command="")
    assert list(tmp_path.iterdir()) == [], "nothing is left of it"


def test_healing_goes_on_after_what_cannot_be_healed(tmp_path: Path) -> None:
    def fails(_: object) -> None:
        raise CommandFailed("no answer. See why: make status")

    healed: list[str] = []
    known = {
        "first": scenario("first", heal=lambda _: healed.append("first")),
        "second": scenario("second", heal=fails),
    }
    broken, said = Broken(tmp_path / "broken.json"), list[str]()
    for name in ("unknown", "first", "second"):
        broken.add(name)
    assert not heal_all(None, broken, known, say=said.append), "something is left"  # type: ignore[arg-type]
    assert healed == ["first"], "in spite of the second"
    assert said == [
        "second: not healed: no answer. See why: make status",
        "first: healed",
        "unknown: this version has no such scenario, so it cannot heal it",
    ], "each is said, the last one that was broken first"
    assert broken.names() == ["unknown", "second"], "and stays noted"


def test_one_drill_at_a_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "drills")
    with folder.locked():
        assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700, "only its owner looks into it"
        with pytest.raises(CommandFailed, match="another drill"), folder.locked():
            raise AssertionError("two at a time")
    with folder.locked():
        pass


def test_reports_are_private(tmp_path: Path) -> None:
    write_private(tmp_path / "report", "text")
    assert stat.S_IMODE((tmp_path / "report").stat().st_mode) == 0o600, "only its owner reads it"
