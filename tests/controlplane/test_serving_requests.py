"""Requests by priority out of counters that only grow, or start anew."""

from __future__ import annotations

import pytest
from serving_support import host

from controlplane.gloo.serving.requests import RequestWindow, growth, shares

pytestmark = pytest.mark.unit


def test_growth_is_counted_by_priority() -> None:
    before = {host(0).key: 10, host(0, number=1).key: 5, host(1).key: 0}
    after = {host(0).key: 13, host(0, number=1).key: 6, host(1).key: 2}
    assert growth(before, after) == {0: 4, 1: 2}, "endpoints of one priority together"


def test_a_counter_that_went_down_has_started_at_zero() -> None:
    assert growth({host(0).key: 1000}, {host(0).key: 7}) == {0: 7}, "the proxy restarted, or the cluster was built anew"


def test_an_endpoint_that_is_new_has_started_at_zero() -> None:
    assert growth({}, {host(1).key: 3}) == {1: 3}, "it came between two readings"


def test_an_endpoint_that_is_gone_takes_its_count_along() -> None:
    assert growth({host(0).key: 50, host(0, number=1).key: 1}, {host(0).key: 51}) == {0: 1}, "what it served is not a negative number"


def test_the_first_reading_is_only_a_start() -> None:
    window = RequestWindow()
    window.add([host(0, requests=1000)], at=10.0)
    assert window.since(0) == {}, "the requests of the last year are not those of the last seconds"


def test_requests_leave_the_window_after_its_seconds() -> None:
    window = RequestWindow()
    for at, requests in ((10.0, 0), (11.0, 5), (14.0, 7), (17.0, 7)):
        window.add([host(0, requests=requests)], at=at)
    assert window.since(0) == {0: 2}, "the five of second 11 are gone"
    assert window.since(14.0) == {0: 0}, "nothing came after second 14"


def test_a_window_is_idle_without_requests() -> None:
    window = RequestWindow()
    window.add([host(0, requests=4)], at=1.0)
    window.add([host(0, requests=4)], at=2.0)
    assert window.idle, "the counter stood still"
    window.add([host(0, requests=5)], at=3.0)
    assert not window.idle, "one request"


def test_shares_are_whole_percents_and_absent_without_requests() -> None:
    assert shares({0: 2, 1: 1}, priorities=3) == [67, 33, 0], "of all priorities"
    assert shares({}, priorities=2) == [None, None], "no share of nothing"
    assert shares({0: 0}, priorities=2) == [None, None], "no share of nothing"
