"""Whether a machine can have kind clusters: each reason why not is named with its way out, all at once, and nothing else is."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from service_failover.kind.document import kind_name, node_of, owner_of
from service_failover.kind.machine import Docker, Machine, is_taken
from service_failover.kind.nodes import Node
from service_failover.kind.preflight import Wanted, problems, warnings

pytestmark = pytest.mark.unit

DOCKER = Docker(version=(28, 2, 2), memory=8 << 30, host="unix:///var/run/docker.sock")
GOOD = Machine(docker=DOCKER, kind=(0, 33, 0), kubectl=(1, 37, 1), experimental_provider="", inotify=(512, 524288), taken_ports=frozenset(), nodes=())
WANTED = [
    Wanted(index=0, kind_name="failover-dev-local", owner="dev-1", host_port=8080),
    Wanted(index=1, kind_name="failover-dev-remote", owner="dev-1", host_port=8081),
]


def node(cluster: str, *, owner: str = "", ports: frozenset[int] = frozenset()) -> Node:
    return Node(name=node_of(cluster), cluster=cluster, running=True, owner=owner, generation="g", host_ports=ports)


def test_a_good_machine_has_nothing_said_about_it() -> None:
    assert problems(GOOD, WANTED) == []
    assert warnings(GOOD, clusters=2) == []


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        (
            replace(GOOD, docker="permission denied on the socket"),
            ["docker cannot be reached: permission denied on the socket", "Install or start it"],
        ),
        (replace(GOOD, docker=replace(DOCKER, version=(19, 3, 1))), ["docker is 19.3.1", "20.10 or later"]),
        (replace(GOOD, docker=replace(DOCKER, host="ssh://far")), ["another machine (ssh://far)", "docker context use default"]),
        (replace(GOOD, docker=replace(DOCKER, memory=1 << 30)), ["docker has 1.0 GiB of memory; 2 clusters need 2.0 GiB", "give it more"]),
        (replace(GOOD, kind=None), ["kind is not on PATH", "docs/kind.md says how"]),
        (replace(GOOD, kind=(0, 30, 0)), ["kind is 0.30.0, which is too old", "install 0.33 or later"]),
        (replace(GOOD, experimental_provider="podman"), ["KIND_EXPERIMENTAL_PROVIDER is 'podman'", "unset KIND_EXPERIMENTAL_PROVIDER"]),
        (replace(GOOD, inotify=(64, 524288)), ["instances 64", "sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288"]),
        (replace(GOOD, taken_ports=frozenset({8081})), ["port 8081 on 127.0.0.1 is in use by another program", "'clusters[1].hostPort' <port>"]),
    ],
)
def test_what_is_missing_is_said_with_the_way_out(machine: Machine, said: list[str]) -> None:
    (problem,) = problems(machine, WANTED)
    for each in said:
        assert each in problem, f"{each!r} is not in: {problem}"


def test_everything_that_is_missing_is_said_at_once() -> None:
    bare = replace(GOOD, docker="no daemon", kind=None, inotify=(1, 1), taken_ports=frozenset({8080, 8081}))
    assert [problem.split()[0] for problem in problems(bare, WANTED)] == ["kind", "docker", "inotify", "port", "port"], (
        "a user mends all of it at once"
    )


def test_a_port_is_not_taken_by_the_cluster_that_is_to_have_it() -> None:
    ours = node("failover-dev-local", owner="dev-1", ports=frozenset({8080, 40001}))
    assert problems(replace(GOOD, taken_ports=frozenset({8080}), nodes=(ours,)), WANTED) == [], "it is up already"


def test_a_port_that_another_stacks_cluster_has_is_said_to_be_that_clusters() -> None:
    other = node("failover-second-local", owner="second-1", ports=frozenset({8080}))
    (problem,) = problems(replace(GOOD, taken_ports=frozenset({8080}), nodes=(other,)), WANTED)
    assert "in use by the kind cluster failover-second-local" in problem
    assert "pulumi config set proxyPort <port>" in problem, "the way to move all clusters of a stack out of the way"


@pytest.mark.parametrize("name", ["failover-My_Stack-local", "failover-dev.2-local", "failover-" + "x" * 40 + "-local"])
def test_a_stack_whose_name_kind_cannot_have_is_refused(name: str) -> None:
    (problem,) = problems(GOOD, [replace(WANTED[0], kind_name=name)])
    assert repr(name) in problem
    assert "kind.clusterPrefix, the name of the stack, and clusters[0].name" in problem, "what the name is made of"


def test_a_machine_that_has_no_inotify_is_not_judged_by_it() -> None:
    assert problems(replace(GOOD, inotify=None), WANTED) == [], "macOS: docker's own machine has other limits"


def test_low_inotify_limits_are_a_warning_for_several_clusters() -> None:
    low = replace(GOOD, inotify=(128, 192536))
    assert problems(low, WANTED) == [], "two clusters were run with these"
    (warning,) = warnings(low, clusters=2)
    assert "too many open files" in warning, "the message that a user would see in the logs of a pod"
    assert "sudo sysctl" in warning
    assert warnings(low, clusters=1) == []


@pytest.mark.parametrize(("version", "said"), [(None, "is not on PATH"), ((1, 20, 0), "is 1.20.0")])
def test_a_missing_kubectl_does_not_stand_in_the_way(version: tuple[int, ...] | None, said: str) -> None:
    machine = replace(GOOD, kubectl=version)
    assert problems(machine, WANTED) == []
    (warning,) = warnings(machine, clusters=2)
    assert said in warning


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("unix:///run/user/1000/docker.sock", True),
        ("npipe:////./pipe/docker_engine", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://localhost:2375", True),
        ("tcp://127.0.0.1.example.org:2375", False),
        ("tcp://10.0.0.1:2375", False),
        ("ssh://me@far", False),
    ],
)
def test_dockers_on_other_machines_are_told_apart(host: str, local: bool) -> None:
    assert replace(DOCKER, host=host).local is local


def test_a_port_is_taken_while_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert is_taken(port)
    assert not is_taken(port), "free again at once, whatever connections there were"


def test_names_and_owners_differ_between_stacks_and_between_checkouts() -> None:
    here, there = Path("/srv/here/.state"), Path("/srv/there/.state")
    assert kind_name(prefix="failover", stack="dev", cluster="local") == "failover-dev-local"
    assert len({owner_of("dev", here), owner_of("second", here), owner_of("dev", there)}) == 3
    assert owner_of("dev", here) == owner_of("dev", here), "it is the same in each run, or nothing would ever be ours"
    assert owner_of("dev", here).startswith("dev-"), "a person reads it too"
