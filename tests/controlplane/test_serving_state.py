"""Who serves, situation by situation: what the proxies say and what was said before, and what is said then."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from serving_support import NOW, SAID_NOW, host, upstream

from controlplane.gloo.serving.hosts import CHECK_TIMEOUT, EJECTED, EXCLUDED_BY_HEADER, FAILED_CHECK, PENDING_CHECK, Host
from controlplane.gloo.serving.state import Observation, Silence, judge
from controlplane.gloo.serving.watched import Watched
from gloo_api.serving import Confirmation, FailoverStatus, Reason, Serving

pytestmark = pytest.mark.unit

BLUE_SERVES = FailoverStatus(serving=Serving(priority=0, since="2026-01-01T00:00:00.000Z", reason=Reason.FIRST_SEEN))
GREEN_SERVES = FailoverStatus(serving=Serving(priority=1, since="2026-01-01T00:00:00.000Z", reason=Reason.HEALTH_CHECK_FAILED))


def say(
    *hosts: Host, previous: FailoverStatus | None = BLUE_SERVES, of: Watched | None = None, recent: dict[int, int] | None = None,
    settled: dict[int, int] | None = None,
) -> FailoverStatus:  # fmt: skip
    """What is said when the only proxy shows these endpoints."""
    observation = Observation(proxy="gateway-proxy-a", hosts=hosts, recent=recent or {}, settled=settled or {})
    return judge(of or upstream(), [observation], previous=previous, now=NOW)


def serving(status: FailoverStatus) -> Serving:
    assert status.serving is not None, "a proxy answered, so somebody or nobody serves"
    return status.serving


SITUATIONS: list[tuple[str, Sequence[Host], int | None, Reason, str]] = [
    ("the health check failed", [host(0, FAILED_CHECK), host(1)], 1, Reason.HEALTH_CHECK_FAILED, "priority 0: 10.0.0.0:80 failed its health check"),
    (
        "the health check timed out", [host(0, FAILED_CHECK, CHECK_TIMEOUT), host(1)], 1, Reason.HEALTH_CHECK_FAILED,
        "priority 0: 10.0.0.0:80 did not answer its health check in time",
    ),
    (
        "the app says that it fails", [host(0, EXCLUDED_BY_HEADER), host(1)], 1, Reason.HEALTH_CHECK_FAILED,
        "priority 0: 10.0.0.0:80 says that it is failing (x-envoy-immediate-health-check-fail)",
    ),
    (
        "ejected as an outlier", [host(0, EJECTED), host(1)], 1, Reason.OUTLIER_EJECTED, "priority 0: 10.0.0.0:80 was ejected by outlier detection",
    ),
    ("no endpoint is left", [host(1)], 1, Reason.NO_ENDPOINTS, "priority 0 has no endpoints"),
    ("the primary is degraded", [host(0, "failed_active_degraded_check"), host(1)], 1, Reason.DEGRADED, "priority 0: 10.0.0.0:80 is degraded"),
    (
        "most of the primary is down", [host(0), *(host(0, FAILED_CHECK, number=each) for each in (1, 2, 3)), host(1)], 1, Reason.HEALTH_CHECK_FAILED,
        "priority 0: 10.0.0.1:80 failed its health check, 10.0.0.2:80 failed its health check, 10.0.0.3:80 failed its health check",
    ),
    (
        "everything is down", [host(0, FAILED_CHECK), host(1, FAILED_CHECK)], None, Reason.HEALTH_CHECK_FAILED,
        "priority 0: 10.0.0.0:80 failed its health check; in panic, Envoy sends requests to every endpoint, healthy or not",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("hosts", "priority", "reason", "message"), [each[1:] for each in SITUATIONS], ids=[each[0] for each in SITUATIONS])
def test_another_priority_serves_and_the_reason_names_the_endpoint(hosts: Sequence[Host], priority: int | None, reason: Reason, message: str) -> None:
    found = serving(say(*hosts))
    assert (found.priority, found.reason, found.message) == (priority, reason, message), "who, and why"
    assert found.since == SAID_NOW, "the moment at which it was seen"


def test_while_nothing_moves_since_and_reason_stay() -> None:
    before = serving(GREEN_SERVES)
    found = serving(say(host(0, FAILED_CHECK), host(1), previous=GREEN_SERVES))
    assert (found.since, found.reason) == (before.since, before.reason), "the status says since when, not when it was looked at"


def test_a_recovered_primary_serves_again() -> None:
    found = serving(say(host(0), host(1), previous=GREEN_SERVES))
    assert (found.priority, found.reason) == (0, Reason.RECOVERED), "failback"
    assert found.message == "priority 0: 10.0.0.0:80 is healthy", "which endpoint is back"


def test_after_nobody_whoever_comes_back_first_serves() -> None:
    nobody = FailoverStatus(serving=Serving(priority=None, since="2026-01-01T00:00:00.000Z"))
    found = serving(say(host(0, FAILED_CHECK), host(1), previous=nobody))
    assert (found.priority, found.reason) == (1, Reason.RECOVERED), "green is the first that is back"


def test_a_standby_that_fails_moves_requests_on_to_the_next() -> None:
    found = serving(say(host(0, FAILED_CHECK), host(1, FAILED_CHECK), host(2), previous=GREEN_SERVES, of=upstream(1, 1)))
    assert (found.priority, found.message) == (2, "priority 1: 10.0.1.0:80 failed its health check"), "the reason is about the tier that served"


def test_what_is_seen_first_has_a_reason_too() -> None:
    assert serving(say(host(0), host(1), previous=None)).reason is Reason.FIRST_SEEN, "nothing happened"
    found = serving(say(host(0, FAILED_CHECK), host(1), previous=None))
    assert (found.priority, found.reason) == (1, Reason.HEALTH_CHECK_FAILED), "gloo came when blue had failed already"


def test_a_part_of_the_primary_down_spills_and_does_not_switch() -> None:
    status = say(host(0), host(0, FAILED_CHECK, number=1), host(1), recent={0: 70, 1: 30})
    assert serving(status).priority == 0, "most requests still go to the primary"
    assert [each.load for each in status.priorities] == [70, 30], "1.4 times one half"
    assert [each.request_share for each in status.priorities] == [70, 30], "what was counted"
    assert [(each.healthy, each.total) for each in status.priorities] == [(1, 2), (1, 1)], "healthy of all"


def test_requests_confirm_what_health_says() -> None:
    failed = (host(0, FAILED_CHECK), host(1))
    assert serving(say(*failed, settled={1: 40})).confirmed is Confirmation.CONFIRMED, "they went to the standby"
    assert serving(say(*failed)).confirmed is Confirmation.NO_TRAFFIC, "there were none"
    assert serving(say(*failed, settled={0: 40, 1: 3})).confirmed is Confirmation.DIFFERS, "they went elsewhere, which somebody should look at"


def test_a_few_requests_elsewhere_are_dice_or_retries() -> None:
    spilling = (host(0), host(0, FAILED_CHECK, number=1), host(1))
    assert serving(say(*spilling, settled={0: 3, 1: 4})).confirmed is Confirmation.CONFIRMED, "seven requests at 70 to 30 say nothing else"
    assert serving(say(*spilling, settled={0: 400, 1: 600})).confirmed is Confirmation.CONFIRMED, "more than half of what is due to it"
    assert serving(say(*spilling, settled={0: 30, 1: 970})).confirmed is Confirmation.DIFFERS, "far from 70 to 30"
    assert serving(say(host(0), host(1), settled={1: 2})).confirmed is Confirmation.NO_TRAFFIC, "two requests are too few to tell"


def test_requests_that_nobody_can_serve_differ() -> None:
    status = say(host(0, FAILED_CHECK), host(1, FAILED_CHECK), settled={0: 9, 1: 9})
    assert serving(status).confirmed is Confirmation.DIFFERS, "in panic Envoy sends them to endpoints that fail"


def test_every_standby_is_proven_when_all_pass_their_checks() -> None:
    status = say(host(0), host(1), host(2), of=upstream(1, 1))
    assert status.standby_proven, "both tiers are checked through their gateways"
    assert [each.proven for each in status.priorities] == [None, True, True], "the primary is no standby"


@pytest.mark.parametrize(
    ("hosts", "of", "reason"),
    [
        ([host(0), host(1, FAILED_CHECK)], upstream(), "10.0.1.0:80 failed its health check"),
        ([host(0), host(1, PENDING_CHECK, FAILED_CHECK)], upstream(), "10.0.1.0:80 has not been checked yet"),
        ([host(0), host(1), host(1, FAILED_CHECK, number=1)], upstream(2), "10.0.1.1:80 failed its health check"),
        ([host(0), host(1)], upstream(2), "only 1 of 2 endpoints are configured; see status.statuses"),
        ([host(0)], upstream(0), "it has no endpoints"),
        ([host(0), host(1)], upstream(checked=False), "not health-checked: spec.healthChecks is empty"),
    ],
    ids=["fails", "pending", "one of two fails", "one of two is left out", "none", "not checked"],
)
def test_a_standby_without_proof_says_what_is_missing(hosts: Sequence[Host], of: Watched, reason: str) -> None:
    status = say(*hosts, of=of)
    assert not status.standby_proven, "one would rather know it now"
    assert serving(status).priority == 0, "and all is well meanwhile"
    assert (status.priorities[1].unproven_reason, status.priorities[1].unproven_since) == (reason, SAID_NOW), "what, and since when"


def test_an_unproven_standby_keeps_its_since() -> None:
    earlier = say(host(0), host(1, FAILED_CHECK))
    later = judge(upstream(), [Observation(proxy="a", hosts=(host(0), host(1, FAILED_CHECK)))], previous=earlier, now=NOW + 60)
    assert later.priorities[1].unproven_since == SAID_NOW, "a minute ago"


def test_an_ejected_standby_is_proven_all_the_same() -> None:
    status = say(host(0), host(1, EJECTED))
    assert status.priorities[1].proven, "its health check passes through the gateway"
    assert status.priorities[1].healthy == 0, "but it gets no requests now"


def test_two_endpoints_of_one_address_are_two() -> None:
    failing = Host(key=host(1).key._replace(number=1), flags=frozenset({FAILED_CHECK}), requests=0)
    status = say(host(0), host(1), failing, of=upstream(2))
    assert (status.priorities[1].healthy, status.priorities[1].total) == (1, 2), "two Upstreams behind one gateway, one of them by a wrong SNI"


def test_proxies_that_differ_are_named_and_the_majority_counts() -> None:
    fine, failed = (host(0), host(1)), (host(0, FAILED_CHECK), host(1))
    observations = [Observation(proxy="a", hosts=fine), Observation(proxy="b", hosts=failed), Observation(proxy="c", hosts=fine)]
    status = judge(upstream(), observations, previous=BLUE_SERVES, now=NOW)
    assert serving(status).priority == 0, "two of three"
    assert status.proxies is not None, "it says where it comes from"
    assert (status.proxies.answering, status.proxies.message) == (3, "b sends to priority 1"), "one path is broken"
    assert status.priorities[0].healthy == 0, "of health the worst is said"


def test_of_a_tie_the_one_further_from_the_primary_is_said() -> None:
    observations = [Observation(proxy="a", hosts=(host(0), host(1))), Observation(proxy="b", hosts=(host(0, FAILED_CHECK), host(1)))]
    assert serving(judge(upstream(), observations, previous=BLUE_SERVES, now=NOW)).priority == 1, "trouble is the news"


def test_many_that_differ_are_not_all_named() -> None:
    observations = [Observation(proxy=f"p{each}", hosts=(host(0), host(1))) for each in range(10)]
    observations += [Observation(proxy=f"q{each}", hosts=(host(0, FAILED_CHECK), host(1))) for each in range(8)]
    status = judge(upstream(), observations, previous=BLUE_SERVES, now=NOW)
    assert status.proxies is not None, "it says where it comes from"
    assert status.proxies.message.endswith("and 3 more differ"), "a status must stay readable"


def test_a_proxy_that_does_not_answer_is_named() -> None:
    silent = [Silence(proxy="b", since=NOW - 10, reason="ConnectError")]
    status = judge(upstream(), [Observation(proxy="a", hosts=(host(0), host(1)))], silent=silent, previous=BLUE_SERVES, now=NOW)
    assert status.proxies is not None, "it says where it comes from"
    assert (status.proxies.total, status.proxies.answering, status.proxies.stale_since) == (2, 1, None), "one is enough"
    assert status.proxies.message == "b has not answered since 2026-09-21T14:13:10.000Z: ConnectError", "and one is missing"


def test_when_no_proxy_answers_what_was_said_stays_marked_as_old() -> None:
    silent = [Silence(proxy="a", since=NOW - 10, reason="ConnectError")]
    status = judge(upstream(), [], silent=silent, previous=GREEN_SERVES, now=NOW)
    assert status.serving == GREEN_SERVES.serving, "nothing else is known"
    assert status.proxies is not None, "it says where it comes from"
    assert status.proxies.stale_since == "2026-09-21T14:13:10.000Z", "since the last answer"
    later = judge(upstream(), [], silent=silent, previous=status, now=NOW + 100)
    assert later == status, "and it is not written again and again"


def test_without_any_proxy_it_says_so() -> None:
    status = judge(upstream(), [], previous=None, now=NOW)
    assert status.serving is None, "nobody has been asked"
    assert status.proxies is not None, "it says where it comes from"
    assert status.proxies.message == "no proxy has a status port, or none is ready", "why there is nothing to say"


def test_a_priority_that_the_spec_has_no_more_is_left_out() -> None:
    status = say(host(0), host(1), host(2), of=upstream(1))
    assert [each.priority for each in status.priorities] == [0, 1], "the proxy learns of it in a moment"
