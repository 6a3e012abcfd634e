"""`python -m drill` without a stack: what it refuses, what it writes, and its exit code."""

from __future__ import annotations

import argparse
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from recordings import FAILOVER, recording

from drill.__main__ import main
from drill.__main__ import report as report_to
from drill.document import load
from drill.folder import Folder
from drill.options import parser
from drill.run import Seen

pytestmark = pytest.mark.unit

KEPT = ((2.0, "blue-pod", 0.002), (3.0, "green-pod", 0.002), (3.0, "blue-pod", 0.002))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "drills").mkdir()
    return Folder(tmp_path / "drills")


def report(seen: Seen, folder: Folder, chosen: argparse.Namespace) -> int:
    return report_to(seen, folder, chosen, heal_command="make drill SCENARIO=heal")


def options(*arguments: str) -> argparse.Namespace:
    return parser().parse_args(arguments)


def test_a_drill_that_kept_what_it_promises_ends_with_0_and_a_private_report(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(Seen(recordings=(recording(KEPT),)), folder, options()) == 0
    written = {file.suffix: file for file in folder.path.iterdir()}
    assert set(written) == {".json", ".html"}, "as JSON and as a page"
    assert {stat.S_IMODE(file.stat().st_mode) for file in written.values()} == {0o600}, "only its owner reads it"
    assert load(written[".json"])["passed"], "it can be read again"
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2:] == [f"Report: {written['.html'].as_uri()}", f"As JSON: {written['.json']}"], "the last lines say where"


def test_a_missed_objective_ends_with_1(folder: Folder) -> None:
    assert report(Seen(recordings=(recording(KEPT), recording(FAILOVER))), folder, options()) == 1


def test_the_report_goes_where_it_is_wanted(folder: Folder, tmp_path: Path) -> None:
    wanted = options("--json", str(tmp_path / "a.json"), "--html", str(tmp_path / "a.html"))
    report(Seen(recordings=(recording(KEPT),)), folder, wanted)
    assert load(tmp_path / "a.json")["passed"], "as JSON"
    assert (tmp_path / "a.html").read_text().lower().startswith("<!doctype html>"), "as a page"
    assert list(folder.path.iterdir()) == [], "and nowhere else"


@pytest.mark.parametrize(("interrupted", "code"), [(True, 130), (False, 2)], ids=["Ctrl-C", "the time limit"])
def test_an_early_end_is_no_verdict(folder: Folder, capsys: pytest.CaptureFixture[str], interrupted: bool, code: int) -> None:
    cut = replace(recording(KEPT), interrupted=True)
    assert report(Seen(recordings=(recording(KEPT), cut), ended="the reason", interrupted=interrupted), folder, options()) == code
    assert "ended early: the reason. Everything is healed" in capsys.readouterr().err, "why, and that nothing is left"
    (kept,) = folder.path.glob("*.json")
    assert json.loads(kept.read_text())["interrupted"], "what was measured so far is marked"


def test_what_is_left_broken_is_named_with_the_command_that_heals_it(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen(recordings=(), ended="interrupted", interrupted=True, left_broken=("app-frozen",))
    assert report(seen, folder, options()) == 2, "it is worse than an interruption"
    assert "Not healed: app-frozen. Once more: make drill SCENARIO=heal" in capsys.readouterr().err


def test_an_early_end_before_anything_broke_leaves_no_report(folder: Folder) -> None:
    assert report(Seen(recordings=(), ended="interrupted", interrupted=True), folder, options()) == 130
    assert list(folder.path.iterdir()) == [], "there is nothing to report"


def test_two_reports_are_compared_without_a_stack(folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, stretches in (("good", KEPT), ("bad", FAILOVER)):
        wanted = options("--json", str(tmp_path / f"{name}.json"), "--html", str(tmp_path / f"{name}.html"))
        report(Seen(recordings=(recording(stretches),)), folder, wanted)
    capsys.readouterr()
    assert main(["--compare", str(tmp_path / "good.json"), str(tmp_path / "bad.json")]) == 1, "it has become worse"
    assert "failed" in capsys.readouterr().out, "in what"
    assert main(["--compare", str(tmp_path / "bad.json"), str(tmp_path / "good.json")]) == 0, "it has become better"
    assert main(["--compare", str(tmp_path / "good.json"), str(tmp_path / "none.json")]) == 2, "there is no such file"
    assert "none.json" in capsys.readouterr().err, "which one"


@pytest.mark.parametrize("arguments", [(), ("--list",), ("heal",), ("run", "app-killed")])
def test_a_stack_that_is_not_up_is_refused_with_the_command_that_brings_it_up(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERVICE_FAILOVER_STATE", str(tmp_path / "state"))
    assert main([*arguments, "--stack", "nowhere"]) == 2
    assert "stack 'nowhere' is not up. Bring it up first: make up STACK=nowhere" in capsys.readouterr().err
    assert not (tmp_path / "state").exists(), "nothing was made"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "0"), "'0' is not allowed: a number above 0, up to 5000"),
        (("--rate", "many"), "'many' is not allowed: a number above 0"),
        (("--repeat", "0"), "'0' is not allowed: 1 to 100"),
        (("--time-limit", "inf"), "'inf' is not allowed: a number above 0, up to 86400"),
        (("--json", "nowhere/report.json"), "'nowhere/report.json' is not allowed: a file in a directory that exists"),
        (("--stak", "embedded"), "unrecognized arguments: --stak"),
    ],
)
def test_a_bad_argument_is_refused_with_what_is_allowed(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(list(arguments))
    assert refused.value.code == 2, "it could not be done"
    assert said in capsys.readouterr().err
