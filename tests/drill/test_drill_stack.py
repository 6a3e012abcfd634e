"""How the drill sees a stack: who has which role, whether it may begin, and which changes it tells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from recorded_stack import ROLES, RecordedStack, RecordedTarget, recorded, scheme, target_of

from cli import serving
from cli.workspace import CommandFailed
from drill import rotation
from drill.containers import Container
from drill.gateway import Host, healths, hosts_in
from drill.notes import Notes
from drill.record import Event, EventKind
from drill.roles import read_roles, roles_of
from drill.rotation import bundle
from drill.scenario import Expected
from drill.scenarios import certificates
from drill.settled import unsettled_hosts, unsettled_scheme
from drill.waiting import wait_for
from drill.watch import Changes
from service_failover.cluster_settings import ClusterKind

__all__ = ["recorded"]  # the fixture
pytestmark = pytest.mark.unit


def failover_scheme(*standbys: tuple[str, str], primary: str = "default-service-blue-10000") -> Any:
    groups = [
        {"priorityGroup": [{"cluster": cluster, "upstreams": [{"name": upstream, "namespace": "gloo-system"}]}]} for cluster, upstream in standbys
    ]
    spec = {"primary": {"clusterName": "local", "name": primary, "namespace": "gloo-system"}, "failoverGroups": groups}
    return {"metadata": {"name": "failover-scheme", "namespace": "gloo-fed"}, "spec": spec}


GREEN = ("remote", "default-service-green-10000")


def test_the_scheme_says_who_is_primary_and_who_stands_by() -> None:
    roles = roles_of(failover_scheme(GREEN), management="local")
    assert roles == ROLES
    assert (roles.primary.answer, roles.standby.answer) == ("blue-pod", "green-pod"), "what clients read"
    assert roles.envoy_cluster == "default-service-blue-10000_gloo-system"


def test_several_standbys_are_refused_by_name() -> None:
    with pytest.raises(CommandFailed, match=r"has 2 standbys \(remote/default-service-green-10000, east/default-service-red-10000\).*make drill"):
        roles_of(failover_scheme(GREEN, ("east", "default-service-red-10000")), management="local")


@pytest.mark.parametrize("upstream", ["shop", "default-service--10000-x", "other-service-blue-10000"])
def test_another_app_is_refused_by_name(upstream: str) -> None:
    with pytest.raises(CommandFailed, match=rf"Upstream '{upstream}' is not of one of this project's apps"):
        roles_of(failover_scheme(GREEN, primary=upstream), management="local")


def test_roles_are_known_from_the_last_time_when_no_api_server_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes, found = Notes(path=tmp_path / "notes"), [failover_scheme(GREEN)]
    monkeypatch.setattr(serving, "schemes", lambda _: found)
    assert read_roles({"local": ["kubectl"]}, notes=notes, retry="make status") == ROLES
    found.clear()
    assert read_roles({"local": ["kubectl"]}, notes=notes, retry="make status") == ROLES, "a drill may have taken it away, and has to heal it"
    with pytest.raises(CommandFailed, match=r"found: none, or no cluster answers\. See why: make status"):
        read_roles({"local": ["kubectl"]}, notes=Notes(path=tmp_path / "others"), retry="make status")


def test_who_is_expected_is_named_as_clients_read_it(recorded: RecordedStack, tmp_path: Path) -> None:
    target = target_of(recorded, tmp_path)
    assert [target.answer(each) for each in Expected] == ["blue-pod", "green-pod", None]


def status(change: Callable[[Any], object]) -> Any:
    changed = scheme()
    change(changed["status"])
    return changed


UNSETTLED: dict[str, tuple[Any, str]] = {
    "it has no status yet": ({"metadata": {"name": "failover-scheme"}}, "is PENDING, not ACCEPTED"),
    "it was refused": (status(lambda each: each.update(state="INVALID", message="no cluster east")), "is INVALID, not ACCEPTED: no cluster east"),
    "nobody knows": (status(lambda each: each["serving"].update(stale="no proxy answers")), "does not know who serves: no proxy answers"),
    "the standby serves": (status(lambda each: each.update(serving={"priority": 1, "name": "tier 1 (remote)"})), "tier 1 (remote) serves"),
    "nobody serves": (status(lambda each: each.update(serving={"name": "nobody"})), "nobody serves, not the primary"),
    "an endpoint is unhealthy": (status(lambda each: each["tiers"][0].update(healthy=0)), "priority 0 has 0 healthy endpoints of 1"),
    "there is no endpoint": (status(lambda each: each["tiers"][1].update(healthy=0, total=0)), "priority 1 has 0 healthy endpoints of 0"),
    "not proven": (status(lambda each: each["tiers"][1].update(proven=False, unprovenReason="a timeout")), "is not proven: a timeout"),
    "no standby": (status(lambda each: each.update(standbyProven=False)), "no standby is proven"),
}


@pytest.mark.parametrize("case", UNSETTLED)
def test_a_drill_does_not_begin_while(case: str) -> None:
    document, says = UNSETTLED[case]
    assert says in unsettled_scheme(document)


def test_a_drill_begins_when_all_is_well() -> None:
    assert unsettled_scheme(scheme()) == ""
    assert unsettled_hosts({0: True, 1: True}) == ""
    assert unsettled_hosts({0: True, 1: False}) == "the gateway has no healthy endpoint with priority 1."
    assert unsettled_hosts({}) == "the gateway has no healthy endpoint with priority 0."


def test_a_priority_is_healthy_while_one_of_its_endpoints_is() -> None:
    hosts = [Host(priority=priority, healthy=healthy, requests=0) for priority, healthy in ((0, False), (0, True), (1, False))]
    assert healths(hosts) == {0: True, 1: False}


def test_health_is_read_from_what_envoy_answers() -> None:
    host = {"health_status": {"eds_health_status": "HEALTHY", "failed_active_health_check": True}, "stats": [{"name": "rq_total", "value": "7"}]}
    document = {"cluster_statuses": [{"name": "other"}, {"name": ROLES.envoy_cluster, "host_statuses": [host]}]}
    assert hosts_in(json.loads(json.dumps(document)), cluster=ROLES.envoy_cluster) == [Host(priority=0, healthy=False, requests=7)]
    assert hosts_in({}, cluster=ROLES.envoy_cluster) == [], "before the first configuration"


def test_what_was_found_first_is_told_and_then_each_change_once() -> None:
    told: list[Event] = []
    changes = Changes(emit=told.append)
    for health in ({0: True, 1: True}, {0: True, 1: True}, {0: False, 1: True}, {1: True}, {0: True, 1: True}):
        changes.health(health)
    said = [(event.kind, event.text, event.priority, event.healthy) for event in told]
    assert said == [
        (EventKind.HEALTH, "priority 0 healthy", 0, True),
        (EventKind.HEALTH, "priority 1 healthy", 1, True),
        (EventKind.HEALTH, "priority 0 unhealthy", 0, False),
        (EventKind.HEALTH, "priority 0 healthy", 0, True),
    ], "a priority that has lost its endpoints stays unhealthy"


def test_who_serves_and_whether_the_standby_is_proven_are_told() -> None:
    told: list[Event] = []
    changes = Changes(emit=told.append, with_health=False)
    changes.status(scheme()["status"])
    changes.status(scheme(proven=False)["status"])
    changes.status(scheme()["status"] | {"serving": {"priority": 1, "name": "tier 1 (remote)"}})
    changes.status(scheme()["status"] | {"serving": {"name": ""}})
    said = [(event.kind, event.text, event.priority) for event in told]
    assert said == [
        (EventKind.SERVING, "primary (local) serves", 0),
        (EventKind.NOTE, "standby not proven: it failed its check", None),
        (EventKind.SERVING, "tier 1 (remote) serves", 1),
        (EventKind.NOTE, "standby proven", None),
        (EventKind.SERVING, "nobody serves", None),
    ]


class TwoProxies(RecordedTarget):
    """A target with two pods of each proxy."""

    @contextmanager
    def admin_ports(self, container: Container, *, newest: bool = False) -> Iterator[list[str]]:
        proxies = [f"http://{container.cluster}/{which}" for which in ("slow", "quick")][newest:]
        yield proxies if container.app == "gateway-proxy" else [f"http://{container.cluster}/{container.namespace}/{container.app}"]


def test_a_certificate_is_changed_again_when_every_proxy_has_taken_the_one_before(
    recorded: RecordedStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, int] = {}
    write = recorded.write

    def written(cluster: str) -> int:
        return sum(each.startswith(f"patch {cluster}") for each in recorded.writes)

    def counted(urls: Sequence[str], suffix: str) -> int:
        """The slow one shows each certificate when it is asked again."""
        (url,) = urls
        now = written(url.split("/")[2])
        seen, shown[url] = shown.get(url, 0), now
        return now if url.endswith("quick") else seen

    def checked(text: str) -> None:
        cluster = text.split()[1]
        if text.startswith("patch"):
            assert [shown[f"http://{cluster}/{which}"] for which in ("quick", "slow")] == [written(cluster)] * 2, "both have the one before"
        write(text)

    monkeypatch.setattr(rotation, "counted_at", counted)
    monkeypatch.setattr(recorded, "write", checked)
    values = vars(target_of(recorded, tmp_path, kind=ClusterKind.EXISTING))
    certificates.ROTATED.break_(TwoProxies(**values))
    assert (written("local"), written("remote")) == (3, 3), "all authorities, the certificates, and the new authority alone"


def test_a_bundle_has_each_authority_once() -> None:
    one, two = ("".join(f"-----{word} CERTIFICATE-----\n" + (f"{text}\n" if word == "BEGIN" else "") for word in ("BEGIN", "END")) for text in "AB")
    assert bundle(one, two + one, two.rstrip()) == one + two, "also where a file does not end with a line break"


def test_waiting_goes_on_while_a_question_fails_and_says_why_when_it_ends() -> None:
    answers = iter([CommandFailed("refused"), 0, 7])

    def ask() -> int:
        answer = next(answers, CommandFailed("refused"))
        if isinstance(answer, CommandFailed):
            raise answer
        return answer

    assert wait_for("it is there", ask, seconds=5) == 7
    with pytest.raises(CommandFailed, match=r"not within 0 s: it is there \(last: refused\)\. See why: make status"):
        wait_for("it is there", ask, seconds=0)
