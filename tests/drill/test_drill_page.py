"""The page of a drill says what the document says, needs nothing but itself, and lets nothing from outside become markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from recordings import BLUE, EVENTS, GREEN, STARTED, Stretch, recording

from drill.axis import LEFT, RIGHT, Axis
from drill.chart import chart, strip, styles
from drill.document import Outcome, document
from drill.html import page
from drill.marks import lanes, marks, steps
from drill.record import Event, EventKind
from drill.results import Kind

pytestmark = pytest.mark.unit

CLEAN: tuple[Stretch, ...] = ((2.0, BLUE, 0.002), (3.2, GREEN, 0.004), (2.8, BLUE, 0.002))
HOSTILE = '<script>alert("x")</script>&\'"><img src=x onerror=y>'
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Parsed(HTMLParser):
    """Elements in order, with their text; fails on tags that do not close as they opened."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes what was opened last"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def report(*stretches: tuple[Stretch, ...], **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(document([Outcome.of(recording(each, **values)) for each in stretches])))
    return made


def only_run(**values: Any) -> dict[str, Any]:
    run: dict[str, Any] = report(values.pop("stretches", CLEAN), **values)["scenarios"][0]["runs"][0]
    return run


@pytest.mark.parametrize("stretches", [CLEAN, ((0.005, BLUE, 0.001),), ((8.0, Kind.REFUSED, 0.0),), ((2.0, BLUE, 0.0), (6.0, Kind.UNSENT, 0.0))])
def test_a_page_is_whole_whatever_happened(stretches: tuple[Stretch, ...]) -> None:
    parsed = Parsed(page(report(stretches)))
    assert len([each for each in parsed.named("svg") if each.get("role") == "img"]) == 1, "one timeline"
    for attributes in parsed.named("path"):
        assert re.fullmatch(r"[MLHVZlv\d .-]*", str(attributes["d"])), "a path is letters and numbers, no nan"


@pytest.mark.parametrize("events", [(), EVENTS[:3], (Event(STARTED - 3, EventKind.BREAK, "b"), EVENTS[4])])
def test_a_run_without_a_heal_or_a_break_is_drawn(events: tuple[Event, ...]) -> None:
    assert "Timeline" in Parsed(page(report(CLEAN, events=events))).words


def test_a_page_needs_nothing_but_itself() -> None:
    source = page(report(CLEAN))
    parsed = Parsed(source)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in parsed.elements}, "nothing is loaded, nothing runs"
    assert not re.search(r"@import|url\((?!#)", source), "nor by the style"
    for _, attributes in parsed.elements:
        assert not any(name.startswith("on") for name in attributes), "no handler"
        assert str(attributes.get("href", "#")).startswith("#"), "and no link leads away"
    policies = [each["content"] for each in parsed.named("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"], "a browser is told so"


def test_what_comes_from_outside_stays_text() -> None:
    hostile = ((2.0, HOSTILE, 0.002), (1.0, Kind.STATUS, 0.002), (5.0, GREEN, 0.002))
    values = dict.fromkeys(("scenario", "title", "text", "stack", "started_at", "request", "despite"), HOSTILE)
    parsed = Parsed(page(report(hostile, **values, causes=(HOSTILE,), events=(*EVENTS, Event(STARTED + 3, EventKind.NOTE, HOSTILE)))))
    assert not {"script", "img"} & {tag for tag, _ in parsed.elements}, "no element of theirs"
    assert parsed.words.count('<script>alert("x")') >= 10, "it is to be read as it came"


def test_the_page_tells_verdict_misses_and_causes() -> None:
    failed = Parsed(
        page(report(((2.0, BLUE, 0.002), (0.05, Kind.STATUS, 0.002), (2.95, GREEN, 0.002), (3.0, BLUE, 0.002)), causes=("It has no retries.",)))
    )
    assert "Missed 10 requests failed; allowed: 0. Cause It has no retries." in failed.words
    assert "0 of 1 scenario kept what they promise 10 of 1,600 requests failed" in failed.words
    assert "(status 503) no healthy upstream 10" in failed.words, "what failed, in whose words"
    passed = Parsed(page(report(CLEAN))).words
    assert "Missed" not in passed
    assert "the probe's own delay 0.10 ms" in passed, "a reader sees how exact it is"
    assert "Who served when from to who answered requests 0.00 s" in passed
    assert "green-pod 640 5.20 s" in passed, "when, who, how many"
    assert "time to switch 4.0 ms 5.00 s pass" in passed, "each objective, measured and allowed"
    assert "Nothing was found in the stack that explains it." in Parsed(page(report(((8.0, BLUE, 0.002),)))).words


def test_every_run_of_a_repeated_scenario_is_shown_with_the_spread() -> None:
    parsed = Parsed(page(report(CLEAN, CLEAN, CLEAN)))
    assert "Run 3 of 3: pass, 0 failed" in parsed.words
    assert "time to switch 4.0 ms 4.0 ms 4.0 ms 0 ms 3" in parsed.words, "median, least, most, deviation, number of runs"
    identifiers = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers)), "each identifier is there once"


def test_every_table_is_named_and_every_drawing_is_described() -> None:
    source = page(report(CLEAN))
    parsed = Parsed(source)
    assert len(parsed.named("caption")) == len(parsed.named("table")), "a screen reader can list them"
    (drawing,) = [each for each in parsed.named("svg") if each.get("role") == "img"]
    for identifier in str(drawing["aria-labelledby"]).split():
        assert source.count(f'id="{identifier}"') == 1, "its title and its description"
    assert all(each.get("aria-hidden") for each in parsed.named("svg") if each is not drawing), "the others only decorate what is said in words"


def test_no_server_looks_like_another_and_failures_look_like_none() -> None:
    (scenario,) = report(((2.0, BLUE, 0.002), (3.0, GREEN, 0.002), (3.0, "amber", 0.002)))["scenarios"]
    assert styles(scenario) == {BLUE: "s1", GREEN: "s2", "amber": "s3"}, "who is expected comes first"
    found = strip(only_run(stretches=((2.0, BLUE, 0.002), (2.0, Kind.STATUS, 0.002), (4.0, GREEN, 0.002))), styles={BLUE: "s1", GREEN: "s2"})
    assert [(x, style) for x, _, style in found] == [(0.0, "s1"), (50.0, "bad"), (100.0, "s2")], "a strip of 200 for 8 seconds"


def test_what_was_measured_is_drawn_where_it_happened() -> None:
    axis = Axis(begin=0.0, end=8.0)
    assert (axis.x(0), axis.x(4), axis.x(8), axis.x(-1), axis.x(9)) == (LEFT, (LEFT + RIGHT) / 2, RIGHT, LEFT, RIGHT)
    run = only_run()
    drawn = chart(run, styles={BLUE: "s1", GREEN: "s2"})
    assert drawn.broken == (axis.x(2), axis.x(5))
    assert {mark.label: mark.x for mark in drawn.marks} == {"break": axis.x(2), "heal": axis.x(5)}
    assert {step.text: step.x for step in drawn.steps} == {"detect 750 ms": axis.x(2), "switch 4.0 ms": axis.x(2), "recover 202 ms": axis.x(5)}
    requests, latency = drawn.panels
    assert requests.shapes[1].path.startswith(f"M{axis.x(2):g} "), "green begins where it answered first"
    assert f"L{axis.x(5.2):g} " in requests.shapes[1].path, "and ends where it answered last"
    assert [label for _, label in latency.grid] == ["1 ms", "10 ms"], "whole decades around 2 to 4 ms"
    assert [label for _, label in requests.grid] == ["0", "100", "200"], "per second"


def test_one_failure_among_many_can_be_seen() -> None:
    drawn = chart(only_run(stretches=((2.0, BLUE, 0.002), (0.005, Kind.STATUS, 0.002), (6.0, GREEN, 0.002))), styles={BLUE: "s1", GREEN: "s2"})
    (row,) = [panel for panel in drawn.panels if panel.title == "Failed requests, by kind"]
    heights = [float(number) for number in re.findall(r" ([\d.]+)", row.shapes[0].path)]
    assert max(heights) - min(heights) >= 5, "a bar of some height"
    assert row.grid[0][1] == "1 status", "and its number"


def test_marks_that_are_close_share_a_label() -> None:
    events = [{"at": at, "kind": "note", "text": f"at {at}", "priority": None, "healthy": None} for at in (1.0, 1.05, 1.1, 4.0)]
    found = list(marks(events, axis=Axis(begin=0.0, end=8.0)))
    assert [mark.label for mark in found] == ["1–3", "4"]
    assert found[0].text.splitlines()[2] == "3: 1.10 s, note: at 1.1", "which tells them all"


def test_lanes_say_what_the_gateway_said_of_each_priority() -> None:
    axis = Axis(begin=0.0, end=8.0)
    found = list(lanes(only_run()["events"], axis=axis, top=100))
    assert [(lane.title, lane.y) for lane in found] == [("priority 0", 100), ("priority 1", 120)]
    assert [(segment.state, segment.x) for segment in found[0].segments] == [("ok", axis.x(0)), ("bad", axis.x(2.75)), ("ok", axis.x(5.25))]
    assert found[0].segments[-1].width == pytest.approx(RIGHT - axis.x(5.25)), "the last state lasts to the end"
    assert list(lanes([], axis=axis, top=0)) == [], "of what was not watched nothing is drawn"


def test_a_label_has_room_at_the_edge() -> None:
    measures = {"broken": 7.9, "healed": None, "detect": 0.05, "switch": None, "recover": None}
    (step,) = steps(measures, axis=Axis(begin=0.0, end=8.0), top=0)
    assert step.left, "it stands on the other side there"


def test_ticks_are_round_and_few() -> None:
    assert [label for _, label in Axis(begin=-2.0, end=8.0).ticks()] == ["-2 s", "-1 s", "0 s", *(f"{number} s" for number in range(1, 9))]
    assert [label for _, label in Axis(begin=0.0, end=100.0).ticks()][:3] == ["0 s", "10 s", "20 s"]
    assert len(Axis(begin=0.0, end=3600.0).ticks()) <= 13
