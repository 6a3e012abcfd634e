"""The events of the console: each is a difference between what was and what is, at the time that the object states."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from console_support import scheme

from controlplane.fed.console import state
from controlplane.fed.console.history import KEPT, History

pytestmark = pytest.mark.unit

NOON = datetime.datetime(2026, 3, 1, 12, 0, tzinfo=datetime.UTC)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime.datetime:
        return self.at

    def pass_(self, **duration: float) -> None:
        self.at += datetime.timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(clock: Clock) -> History:
    """One that has seen the scheme and its clusters before it began."""
    history = History(now=clock)
    tell(history, scheme())
    history.cluster("local", "reading")
    history.begin()
    return history


def tell(history: History, obj: dict[str, Any]) -> None:
    history.scheme("failover-scheme", state.scheme(obj))


def texts(history: History) -> list[str]:
    return [event.text for event in history.recent()]


def test_what_is_there_at_the_beginning_is_no_event(history: History, clock: Clock):
    assert history.recent() == [], "a start is not something that has happened"
    assert history.since == "2026-03-01T12:00:00.000Z", "and it says since when it watches"


def test_the_same_again_is_no_event(history: History):
    tell(history, scheme())
    assert history.recent() == []


def test_a_switch_is_an_event_at_the_time_of_the_switch(history: History, clock: Clock):
    clock.pass_(seconds=30)
    obj = scheme(priority=1)
    obj["status"]["serving"] |= {"since": "2026-03-01T12:00:29.250Z", "message": "10.77.0.11:10000 failed its health check"}
    tell(history, obj)
    switch = next(event for event in history.recent() if event.kind == "switch")
    assert switch.at == "2026-03-01T12:00:29.250Z", "when gloo saw it, not when it came here"
    assert switch.text == "tier 1 (remote) serves, before it primary (local). HealthCheckFailed: 10.77.0.11:10000 failed its health check"
    assert switch.level == "warn", "a standby serves"
    assert [event.text for event in history.recent() if event.kind == "health"] == ["primary (local): 0 of 1 endpoints healthy, before 1 of 1"]


@pytest.mark.parametrize(("priority", "level"), [(0, "good"), (1, "warn"), (None, "bad")])
def test_a_switch_is_as_bad_as_who_serves_then(clock: Clock, priority: int | None, level: str):
    history = History(now=clock)
    tell(history, scheme(priority=0 if priority else 1))
    history.begin()
    obj = scheme(priority=priority)
    obj["status"]["serving"]["since"] = "2026-03-01T11:59:59.000Z"
    tell(history, obj)
    assert next(event.level for event in history.recent() if event.kind == "switch") == level


def test_a_share_of_requests_that_moves_is_no_event(history: History):
    obj = scheme()
    obj["status"]["tiers"][0]["requestShare"] = 97
    tell(history, obj)
    assert history.recent() == [], "it moves all the time"


def test_a_standby_that_is_not_proven_any_more_is_an_event(history: History):
    obj = scheme(standbyProven=False)
    obj["status"]["tiers"][1] |= {"proven": False, "unprovenReason": "10.78.192.1:15443 failed its health check"}
    tell(history, obj)
    assert texts(history) == ["tier 1 (remote): the standby is not proven: 10.78.192.1:15443 failed its health check"]
    tell(history, scheme())
    assert texts(history)[0] == "tier 1 (remote): the standby is proven"


def test_a_state_a_staleness_and_an_end_are_events(history: History):
    tell(history, scheme(state="FAILED", message="cluster local: refused"))
    tell(history, scheme(serving=scheme()["status"]["serving"] | {"stale": "cluster local does not answer"}))
    history.scheme("failover-scheme", None)
    history.scheme("failover-scheme", None)
    assert texts(history)[::-1] == [
        "its state is FAILED: cluster local: refused",
        "its state is ACCEPTED",
        "what it says of who serves is old: cluster local does not answer",
        "the FailoverScheme is deleted",
    ]


def test_a_lost_cluster_is_an_event_and_so_is_its_return(history: History):
    history.cluster("local", "connected")
    history.cluster("local", "lost", "its API server does not answer since 12:00")
    history.cluster("local", "lost", "its API server does not answer since 12:00: another reason")
    history.cluster("local", "connected")
    history.cluster("new", "reading")
    history.cluster("local", None)
    assert [f"{event.subject}: {event.text}" for event in history.recent()][::-1] == [
        "local: the cluster is read",
        "local: its API server does not answer since 12:00",
        "local: the cluster is connected again",
        "new: the cluster is registered",
        "local: the cluster is no longer registered",
    ], "another reason for the same loss is not another loss"


def test_events_end_after_an_hour(history: History, clock: Clock):
    history.cluster("local", "lost", "gone")
    clock.pass_(minutes=59)
    assert texts(history) == ["gone"]
    clock.pass_(minutes=2)
    assert texts(history) == [], "the page says: of the last hour"


def test_events_are_bounded(history: History):
    for number in range(KEPT + 10):
        history.cluster("local", ("lost", "denied")[number % 2], f"{number}")
    assert len(history.recent()) == KEPT, "a cluster that flaps all day does not fill the memory"
    assert texts(history)[0] == str(KEPT + 9), "the newest are kept"


def test_a_time_that_is_none_is_replaced_by_that_of_the_observation(history: History):
    obj = scheme(priority=1)
    obj["status"]["serving"]["since"] = "<script>"
    tell(history, obj)
    assert {event.at for event in history.recent()} == {"2026-03-01T12:00:00.000Z"}
