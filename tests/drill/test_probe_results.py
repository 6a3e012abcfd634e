"""A load is bounded and survives its way to the probe's process; a summary counts what is in the results and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from drill.load import Load, Request
from drill.results import Kind, Result, percentiles, summarise

pytestmark = pytest.mark.unit

REQUEST = Request(url="http://127.0.0.1:1/", method="PUT", headers={"a": "b"}, body=b"\x00\xff")


def result(index: int, *, server: str = "blue", kind: Kind = Kind.OK, took: float = 0.001, status: int = 200) -> Result:
    at = 100 + index / 10
    return Result(index, at, at + 0.0005, took, kind, status, server, "")


def test_a_load_survives_its_way_to_the_probes_process() -> None:
    load = Load(requests=(REQUEST, Request(url="https://example.test/")), rate=300, seconds=2.5, timeout=3)
    assert Load.from_json(load.to_json()) == load, "bytes and all"
    assert "\n" not in load.to_json(), "it is sent as one line"
    assert load.count == 750, "rate times seconds"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"rate": 0}, "rate: 0"),
        ({"rate": 5001}, "rate: 5001"),
        ({"seconds": -1}, "seconds: -1"),
        ({"seconds": 3601}, "seconds: 3601"),
        ({"timeout": 0}, "timeout: 0"),
        ({"most_in_flight": 0}, "most_in_flight: 0"),
        ({"requests": ()}, "requests"),
    ],
)
def test_a_load_without_bounds_is_refused(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Load(**{"requests": (REQUEST,), "rate": 1, "seconds": 1, **values})


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="ftp://x"):
        Request(url="ftp://x")


@pytest.mark.parametrize(
    "values", [{"method": "GET / HTTP/1.1\r\nx: y\r\n"}, {"headers": {"a": "b\r\nc: d"}}, {"headers": {"a\n": "b"}}, {"url": "http://x/\n"}]
)
def test_a_request_is_never_more_than_one(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one line of printable ASCII"):
        Request(**{"url": "http://127.0.0.1:1/", **values})


def test_a_summary_tells_who_answered_in_the_order_of_the_schedule() -> None:
    results = [result(4), result(0), result(1), result(2, server="green"), result(3, server="", kind=Kind.STATUS, status=503)]
    summary = summarise(results)
    assert [(run.server, run.count) for run in summary.runs] == [("blue", 2), ("green", 1), ("(status 503)", 1), ("blue", 1)]
    assert summary.servers == ["blue", "green", "blue"], "failures are not servers"
    assert (summary.total, summary.failed) == (5, 1), "each is counted once"
    assert summary.first_failed == results[4], "the first in the schedule, not in time of arrival"


def test_a_failure_between_two_answers_of_one_server_is_no_change_of_server() -> None:
    results = [result(0), result(1, server="", kind=Kind.CLOSED, status=0), result(2)]
    assert summarise(results).servers == ["blue"]


def test_requests_that_were_not_sent_have_no_latency() -> None:
    summary = summarise([result(0, took=0.5), result(1, kind=Kind.UNSENT, took=0.0, status=0, server="")])
    assert summary.latency[50.0] == pytest.approx(0.5, rel=0.01), "only of what was sent"
    assert summary.failed == 1, "but it is no success either"


def test_no_results_are_no_clean_run() -> None:
    with pytest.raises(ValueError, match="no result"):
        summarise([])


def test_percentiles_are_those_of_the_values() -> None:
    found = percentiles([value / 1000 for value in range(1, 1001)])
    assert found == pytest.approx({50.0: 0.5, 90.0: 0.9, 99.0: 0.99, 99.9: 0.999}, rel=0.002), "to three digits"


def test_a_summary_reads_as_a_line() -> None:
    text = str(summarise([result(0), result(1, server="", kind=Kind.TIMEOUT, took=2.0, status=0)]))
    assert text.startswith("2 requests: 1 ok, 1 timeout; latency p50 1.0 ms"), "counts by kind, then time"
    assert "max 2000.0 ms" in text, "the slowest"
