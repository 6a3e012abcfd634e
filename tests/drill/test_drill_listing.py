"""What `--list` says, and how long it all takes by its plan."""

from __future__ import annotations

import pytest
from drill_scenarios import KNOWN, scenario

from drill.listing import listed, promised
from drill.record import Objective
from drill.run import limit_of, scheduled
from drill.scenario import Expected
from drill.scenarios import DEFAULT, SCENARIOS
from service_failover.cluster_settings import ClusterKind

pytestmark = pytest.mark.unit


def test_a_scenario_promises_in_words() -> None:
    assert promised(KNOWN["unhealthy"]) == "no request fails, switched within 5 s, recovered within 10 s"
    reason = Objective(failed=None, failed_beyond_in_flight=2, failed_reason="an answer that has begun cannot be taken back", switch_within=None)
    assert promised(scenario("cut", objective=reason)).startswith(
        "only what is in flight at the break fails and 2 more (an answer that has begun cannot be taken back)"
    )
    blue = "no request fails, the primary alone serves again within 5 s, recovered within 10 s"
    assert promised(scenario("blue", expected_during=Expected.BLUE)) == blue, "nobody takes over"
    few = scenario("few", objective=Objective(failed=2, failed_reason="it ends", failed_only_until=3, switch_within=None, recover_within=None))
    assert promised(few) == "2 requests may fail (it ends), and none that is sent 3 s after"
    clean = Objective(failed=None, only_status=True, answered_within=16, recover_within=20)
    nobody = "requests fail while it lasts, each with a complete answer, answered within 16 s, recovered within 20 s"
    assert promised(scenario("down", objective=clean, expected_during=Expected.NOBODY)) == nobody


def test_the_list_says_what_cannot_be_done_and_why() -> None:
    text = listed(KNOWN, default=("unhealthy",), kind=ClusterKind.EXISTING)
    assert "On existing clusters (* in the default set, which takes 11 s)" in text, "how long it takes"
    assert "unhealthy * title of unhealthy" in text, "what is in it"
    assert text.splitlines()[-2:] == ["Not on existing clusters:", "  frozen      no signal reaches a process there"], "what is not, and why"


def test_the_time_limit_leaves_room_and_is_finite() -> None:
    assert limit_of((scenario("one"), scenario("two"))) == 3 * (11 + 11) + 60, "three times the plan, and a minute"
    assert scheduled(scenario("cold", warm_up=False)) == 9, "no warm-up where the first request meets the failure"


def test_the_default_set_takes_less_than_four_minutes_by_its_plan() -> None:
    between = 4.0  # to prepare, to break and to settle
    assert DEFAULT, "there is a default set"
    assert sum(scheduled(SCENARIOS[name]) + between for name in DEFAULT) < 240, "make drill is something to do while one waits"


@pytest.mark.parametrize("kind", ClusterKind)
def test_every_scenario_can_be_done_or_says_why_not(kind: ClusterKind) -> None:
    text = listed(SCENARIOS, default=DEFAULT, kind=kind)
    for name in SCENARIOS:
        assert f"  {name} " in text, "each is in the list"
