"""A report is what its schema says, small, and read back only when it is one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from recordings import BLUE, FAILOVER, GREEN, RATE, STARTED, recording, results

from drill.buckets import buckets
from drill.document import MOST_FAILURES, DocumentError, Outcome, document, load, validator
from drill.measures import MOST_SERVERS, OTHERS, Measures
from drill.record import Objective
from drill.repeat import MEASURES, spread
from drill.results import Kind, Result

pytestmark = pytest.mark.unit


def made(*outcomes: Outcome) -> dict[str, Any]:
    """A document as it comes out of a file."""
    values: dict[str, Any] = json.loads(json.dumps(document(outcomes or [Outcome.of(recording())], made_at="2026-11-26T03:00:00+00:00")))
    validator().validate(values)
    return values


def test_a_document_is_what_its_schema_says() -> None:
    values = made()
    assert values["passed"] is False, "200 failed"
    (scenario,) = values["scenarios"]
    (run,) = scenario["runs"]
    assert {check["objective"] for check in run["checks"] if not check["met"]} == {"failed"}
    assert run["measures"]["phases"]["during"]["failed"] == {"status": 200}
    assert run["measures"]["switch"] == pytest.approx(1.004)
    assert [event["at"] for event in run["events"]] == [0.0, 0.0, 2.0, 2.75, 5.0, 5.25], "since the first request"
    assert run["failures"][0] == {
        **{"number": 400, "scheduled": 2.0, "sent": 2.0001, "took": 0.003},
        **{"kind": "status", "status": 503, "answer": "no healthy upstream", "error": ""},
    }
    assert run["errors"] == [{"label": "(status 503)", "text": "no healthy upstream", "requests": 200}]


def test_each_measure_and_each_objective_is_in_the_document() -> None:
    (scenario,) = made()["scenarios"]
    assert scenario["objective"].keys() == Objective.__dataclass_fields__.keys(), "nothing that is judged is left out"
    fields = Measures.__dataclass_fields__.keys() - {"whole", "expected", "served", "served_before"}
    assert fields <= scenario["runs"][0]["measures"].keys(), "nor is anything that is measured"
    assert scenario["spread"].keys() == MEASURES.keys()


def test_every_field_of_the_schema_has_a_type_and_no_other_field_is_allowed() -> None:
    def look(schema: Any, path: str) -> None:
        if schema.get("type") == "object" and "properties" in schema:
            assert schema["additionalProperties"] is False, path
            assert set(schema["required"]) == set(schema["properties"]), path
        for name, each in schema.get("properties", {}).items():
            assert {"type", "$ref", "enum", "const"} & each.keys(), f"{path}.{name}"
            look(each, f"{path}.{name}")

    look(validator().schema, "$")
    for name, each in validator().schema["$defs"].items():
        look(each, name)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda values: values.update(version=2), r"\$\.version: 1 was expected"),
        (lambda values: values.update(kind="bench"), r"\$\.kind: 'service-failover-drill' was expected"),
        (lambda values: values["scenarios"][0].pop("rate"), r"\$\.scenarios\[0\]: 'rate' is a required property"),
        (lambda values: values["scenarios"][0]["runs"][0].update(extra=1), r"runs\[0\].*'extra'"),
        (lambda values: values["scenarios"][0]["runs"][0]["measures"].update(switch="soon"), r"measures\.switch: 'soon' is not of type"),
    ],
)
def test_a_file_that_is_no_report_is_refused_by_its_field(tmp_path: Path, change: Any, named: str) -> None:
    path, values = tmp_path / "a.json", made(Outcome.of(recording(((1.0, BLUE, 0.002),))))
    path.write_text(json.dumps(values))
    assert load(path) == values, "it was one"
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(DocumentError, match=named):
        load(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"nowhere\.json: cannot be read"):
        load(tmp_path / "nowhere.json")
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(DocumentError, match=r"b\.json: is no JSON"):
        load(tmp_path / "b.json")
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(DocumentError, match=r"c\.json: \$: \[\] is not of type 'object'"):
        load(tmp_path / "c.json")


def test_a_drill_that_ended_early_has_not_passed() -> None:
    clean = Outcome.of(recording(((2.0, BLUE, 0.002), (3.0, GREEN, 0.002), (3.0, BLUE, 0.002))))
    assert document([clean])["passed"], "as far as it went"
    values = document([clean], ended="not done within 200 s")
    assert (values["passed"], values["interrupted"], values["ended"]) == (False, True, "not done within 200 s")


def test_nothing_run_is_no_drill() -> None:
    with pytest.raises(ValueError, match="no scenario was run"):
        document([])


def test_repeats_of_a_scenario_stand_together_with_their_spread() -> None:
    quick = recording(((2.0, BLUE, 0.002), (0.5, Kind.STATUS, 0.002), (2.5, GREEN, 0.002), (3.0, BLUE, 0.002)), scenario="app-killed")
    other, slow = recording(), recording(scenario="app-killed")
    values = made(Outcome.of(quick), Outcome.of(other), Outcome.of(slow))
    assert [(each["name"], len(each["runs"])) for each in values["scenarios"]] == [("app-killed", 2), ("app-unhealthy", 1)]
    failed = values["scenarios"][0]["spread"]["failed"]
    assert failed == {"unit": "requests", "count": 2, "median": 150, "min": 100, "max": 200, "stdev": pytest.approx(70.71, abs=0.01)}
    assert values["scenarios"][1]["spread"]["failed"]["stdev"] is None, "one run has no spread"


def test_a_measure_that_is_known_of_some_runs_says_of_how_many() -> None:
    never = recording(((8.0, BLUE, 0.002),))
    runs = [run["measures"] for run in made(Outcome.of(recording()), Outcome.of(never))["scenarios"][0]["runs"]]
    assert (spread(runs)["switch"]["count"], spread(runs)["switch"]["median"]) == (1, pytest.approx(1.004))
    assert spread(runs[1:])["switch"] == {"unit": "s", "count": 0, "median": None, "min": None, "max": None, "stdev": None}


def test_a_document_stays_small_though_everything_failed() -> None:
    values = made(Outcome.of(recording(((120.0, Kind.REFUSED, 0.001),))))
    run = values["scenarios"][0]["runs"][0]
    assert len(run["failures"]) == MOST_FAILURES, "of 24,000"
    assert run["failures_left_out"] == 24_000 - MOST_FAILURES, "and the rest are counted"
    assert (run["failures"][0]["number"], run["failures"][-1]["number"]) == (0, 23_999), "the first and the last are there"
    assert len(json.dumps(values)) < 250_000


def test_a_document_stays_small_though_every_answer_is_another_one() -> None:
    each = tuple(result._replace(server=f"{result.number:0200}") for result in results(((8.0, BLUE, 0.002),)))
    values = made(Outcome.of(recording(results=each)))
    assert values["scenarios"][0]["runs"][0]["measures"]["total"]["answered"][OTHERS] == 1600 - MOST_SERVERS
    assert len(json.dumps(values)) < 150_000


def test_buckets_count_every_request_where_it_was_to_be_sent() -> None:
    columns = buckets(results(FAILOVER), started=STARTED)
    assert columns["width"] == 0.1
    assert len(columns["p50"]) == 80, "eight seconds"
    assert columns["answered"][BLUE] == [20] * 20 + [0] * 35 + [20] * 25, "not one request slips over a boundary"
    assert columns["failed"] == {"status": [0] * 20 + [20] * 10 + [0] * 50}
    assert (columns["p50"][0], columns["max"][25], columns["p99"][40], columns["lag"][0]) == (0.002, 0.003, 0.004, 0.0001)


def test_buckets_of_a_long_run_are_wider() -> None:
    columns = buckets([Result(number, STARTED + number, STARTED + number, 0.001, Kind.OK, 200, BLUE, "") for number in range(600)], started=STARTED)
    assert columns["width"] == 0.5
    assert sum(columns["answered"][BLUE]) == 600, "none is lost by that"
    assert columns["p50"][1] is None, "nothing was to be sent in it"


def test_buckets_of_many_servers_are_few() -> None:
    columns = buckets(
        [Result(number, STARTED + number / RATE, STARTED, 0.001, Kind.OK, 200, f"pod-{number}", "") for number in range(50)], started=STARTED
    )
    assert len(columns["answered"]) == MOST_SERVERS + 1
    assert sum(columns["answered"][OTHERS]) == 50 - MOST_SERVERS
