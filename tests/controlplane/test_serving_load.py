"""Envoy's rule for the load of priorities, against the figures of Envoy's own documentation."""

from __future__ import annotations

import pytest

from controlplane.gloo.serving.load import Counts, load

pytestmark = pytest.mark.unit


def percent(*healthy: int) -> list[Counts]:
    """Priorities of 100 endpoints each, so many of them healthy."""
    return [Counts(healthy=each, total=100) for each in healthy]


@pytest.mark.parametrize(
    ("healthy", "shares"),
    [
        ((100, 100), (100, 0)),
        ((72, 72), (100, 0)),
        ((71, 71), (99, 1)),
        ((50, 50), (70, 30)),
        ((25, 100), (35, 65)),
        ((0, 100), (0, 100)),
        ((50, 0), (100, 0)),
        ((100, 0), (100, 0)),
        ((0, 0, 72), (0, 0, 100)),
        ((50, 0, 100), (70, 0, 30)),
    ],
)
def test_load_spills_as_envoys_documentation_says(healthy: tuple[int, ...], shares: tuple[int, ...]) -> None:
    assert load(percent(*healthy), panic_percent=0).shares == shares, "overprovisioning 1.4, priority by priority"


def test_when_all_together_are_not_enough_the_load_is_scaled() -> None:
    assert load(percent(25, 25, 20), panic_percent=0).shares == (37, 35, 28), "35, 35 and 28 of 98, and what rounding leaves goes to the first"


def test_a_priority_of_one_endpoint_is_all_or_nothing() -> None:
    one, none = Counts(healthy=1, total=1), Counts(healthy=0, total=1)
    assert load([none, one]).shares == (0, 100), "blue down, green serves"
    assert load([one, none]).shares == (100, 0), "and the other way round"


def test_an_overprovisioning_factor_of_one_hundred_spills_at_once() -> None:
    assert load(percent(90, 100), factor=100).shares == (90, 10), "as the scheme's policy says"


def test_excluded_endpoints_do_not_count() -> None:
    excluded = Counts(healthy=1, excluded=2, total=3)
    assert load([excluded, Counts(healthy=1, total=1)]).shares == (100, 0), "one healthy of one that counts"
    assert load([Counts(excluded=1, total=1), Counts(healthy=1, total=1)]).shares == (0, 100), "a priority of excluded endpoints is as good as empty"


def test_degraded_endpoints_serve_when_no_priority_has_enough_healthy_ones() -> None:
    degraded = Counts(degraded=1, total=1)
    assert load([degraded, Counts(healthy=1, total=1)]).shares == (0, 100), "a healthy standby comes before a degraded primary"
    assert load([degraded, Counts(total=1)]).shares == (100, 0), "a degraded one before none"


def test_in_total_panic_requests_go_to_every_endpoint_by_number() -> None:
    both = load([Counts(total=2), Counts(total=2)])
    assert both.panic, "nothing is healthy and the threshold is not zero"
    assert both.shares == (50, 50), "by the number of endpoints"
    assert load([Counts(total=3), Counts(total=1)]).shares == (75, 25), "by the number of endpoints"


def test_without_panic_nothing_healthy_means_nobody_serves() -> None:
    dead = load([Counts(total=1), Counts(total=1)], panic_percent=0)
    assert (dead.shares, dead.panic) == ((0, 0), False), "Envoy answers 503 by itself"


def test_panic_is_ignored_while_another_priority_can_take_everything() -> None:
    assert not load([Counts(total=4), Counts(healthy=1, total=1)]).panic, "total health is 100 %"
