"""The kind cluster's component: which commands run when, whose cluster it takes for its own, what is secret, and when it is made anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pulumi
import pytest
import yaml
from program_recorder import UNKNOWN, Recorder, Resource
from program_runs import run_program

from service_failover.clusters import kind
from service_failover.clusters.kind import KindCluster, KindClusterArgs, current_generation
from service_failover.kind import commands, nodes
from service_failover.kind.machine import Docker, Machine
from service_failover.kind.nodes import DockerFailed, Node, parse_node
from service_failover.names import NODE_IMAGE

pytestmark = pytest.mark.unit

PROVIDER = "pulumi:providers:kubernetes"
MARK = "/kind/service-failover"

ARGS: KindClusterArgs = {
    "cluster_name": "local",
    "kind_name": "failover-test-local",
    "owner": "test-1",
    "region": "us-east-1",
    "zone": "us-east-1a",
    "host_port": 8080,
}
THERE = Node(
    name="failover-test-local-control-plane",
    cluster="failover-test-local",
    running=True,
    owner="test-1",
    generation="cafe",
    host_ports=frozenset({8080}),
)


class Docker28:
    """What docker has, and what was asked of it. No process is started."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.started: list[str] = []
        self.failure = ""

    def list_nodes(self) -> tuple[Node, ...]:
        if self.failure:
            raise DockerFailed(self.failure)
        return tuple(self.nodes)

    def start(self, found: list[Node]) -> None:
        self.started += [node.name for node in found if not node.running]


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Docker28:
    fake = Docker28()
    monkeypatch.setattr(kind, "list_nodes", fake.list_nodes)
    monkeypatch.setattr(kind, "start", fake.start)
    return fake


def make(recorder: Recorder, into: list[KindCluster] | None = None, **changes: Any) -> Recorder:
    made = into if into is not None else []
    return recorder.run(lambda: made.append(KindCluster("east", {**ARGS, **changes})))  # type: ignore[typeddict-item]


@pytest.fixture(params=[False, True], ids=["update", "preview"])
def recorded(request: pytest.FixtureRequest, docker: Docker28) -> Recorder:
    return make(Recorder(preview=request.param))


def command(recorded: Recorder, name: str) -> Resource:
    (found,) = [each for each in recorded.of_type("command:local:Command") if each.name == name]
    return found


def test_a_cluster_is_three_resources(recorded: Recorder) -> None:
    around = recorded.component("KindCluster")
    children = {resource.name: resource.type for resource in recorded.resources.values() if resource.parent == around.urn}
    commands_and_provider = {"east-cluster": "command:local:Command", "east-ready": "command:local:Command", "east-provider": PROVIDER}
    assert {name: children.get(name) for name in commands_and_provider} == commands_and_provider


def test_the_commands_are_stored_whole(recorded: Recorder) -> None:
    inputs = command(recorded, "east-cluster").inputs
    assert {verb: inputs[verb] for verb in ("create", "update", "delete")} == {
        verb: commands.script(verb) for verb in ("create", "update", "delete")
    }, "a delete runs from the state, when the checkout may be gone"
    assert inputs["environment"]["CLUSTER"] == "failover-test-local"
    assert inputs["environment"]["OWNER"] == "/kind/service-failover/owner/test-1"
    assert inputs["environment"]["IMAGE"] == NODE_IMAGE, "by digest, unless another one is asked for"


def test_the_document_maps_the_proxys_port_to_loopback_and_marks_the_node(docker: Docker28) -> None:
    docker.nodes = [THERE]
    (node,) = yaml.safe_load(command(make(Recorder()), "east-cluster").inputs["stdin"])["nodes"]
    assert node["extraPortMappings"] == [{"containerPort": 30080, "hostPort": 8080, "listenAddress": "127.0.0.1", "protocol": "TCP"}]
    assert node["labels"]["topology.kubernetes.io/region"] == "us-east-1"
    assert node["labels"]["topology.kubernetes.io/zone"] == "us-east-1a"
    assert [mount["containerPath"] for mount in node["extraMounts"]] == [
        "/kind/service-failover/owner/test-1",
        "/kind/service-failover/generation/cafe",
    ]
    assert all(mount["readOnly"] for mount in node["extraMounts"])


def test_the_kubeconfig_is_neither_logged_nor_stored_as_plain_text_nor_passed_on(recorded: Recorder) -> None:
    for name in ("east-cluster", "east-ready"):
        inputs = command(recorded, name).inputs
        assert inputs["logging"] == "stderr"
        assert inputs["addPreviousOutputInEnv"] is False
    assert command(recorded, "east-cluster").additional_secret_outputs == ("stdout",)
    (provider,) = recorded.of_type(PROVIDER)
    assert "kubeconfig" in provider.secret_inputs, "the provider's schema does not say that it is one"


def test_a_cluster_that_is_there_keeps_its_generation(docker: Docker28) -> None:
    docker.nodes = [THERE]
    first, second = (command(make(Recorder()), "east-cluster").inputs["triggers"] for _ in range(2))
    assert first == second, "nothing changes while it is there"
    assert "generation/cafe" in str(first)
    assert docker.started == []


def test_a_cluster_that_was_deleted_by_hand_gets_another_generation_and_so_is_replaced(docker: Docker28) -> None:
    docker.nodes = [THERE]
    before = command(make(Recorder()), "east-cluster").inputs["triggers"]
    docker.nodes = []
    after = command(make(Recorder()), "east-cluster")
    assert after.inputs["triggers"] != before, "a trigger replaces"
    assert after.inputs["environment"]["GENERATION"].rsplit("/", 1)[1] in str(after.inputs["triggers"]), "what is made carries what was triggered by"


@pytest.mark.parametrize("change", [{"host_port": 9090}, {"node_image": "kindest/node:bench"}, {"zone": "z"}, {"kind_name": "other-test-local"}])
def test_what_kind_cannot_change_makes_another_cluster(docker: Docker28, change: dict[str, Any]) -> None:
    docker.nodes = [THERE, replace(THERE, cluster="other-test-local")]
    before, after = (command(make(Recorder(), **each), "east-cluster").inputs for each in ({}, change))
    assert before["triggers"] != after["triggers"]


def test_a_cluster_of_the_same_name_can_only_be_made_when_the_old_one_is_gone(docker: Docker28) -> None:
    assert command(make(Recorder()), "east-cluster").delete_before_replace


def test_readiness_is_a_step_of_its_own_and_asked_again_for_another_cluster(docker: Docker28) -> None:
    ready = command(make(Recorder()), "east-ready").inputs
    assert ready["create"] == commands.script("ready")
    assert ready["triggers"] == ["east-cluster-id"]
    assert "delete" not in ready


def test_nothing_in_the_cluster_is_made_before_it_is_ready(docker: Docker28) -> None:
    recorded = make(Recorder())
    (provider,) = recorded.of_type(PROVIDER)
    assert command(recorded, "east-ready").urn in provider.depends_on


def test_the_provider_knows_its_cluster_by_identity_and_changes_secrets_in_place(docker: Docker28) -> None:
    (provider,) = make(Recorder()).of_type(PROVIDER)
    assert provider.inputs["clusterIdentifier"] == "east-cluster-id", "a new cluster means that everything in it is new; a new kubeconfig does not"
    assert provider.inputs["enableSecretMutable"] == "true", "a replaced Secret is gone for a moment"
    assert provider.inputs["enableConfigMapMutable"] == "true"


def test_in_the_first_preview_nothing_of_the_cluster_is_known_but_its_address(docker: Docker28) -> None:
    recorded = make(Recorder(preview=True))
    (provider,) = recorded.of_type(PROVIDER)
    assert provider.inputs["kubeconfig"] == UNKNOWN
    outputs = recorded.outputs[recorded.component("KindCluster").urn]
    assert outputs["internal_address"] == "https://failover-test-local-control-plane:6443", "a name: docker gives other IPs after a restart"


def test_only_the_kubeconfig_is_secret(docker: Docker28) -> None:
    recorded = make(Recorder())
    urn = recorded.component("KindCluster").urn
    assert recorded.outputs[urn]["context"] == "embedded-local"
    assert recorded.secret_outputs[urn] == {"kubeconfig"}, "an address that is secret cannot be shown in an error"


def test_what_is_in_the_cluster_uses_its_provider_and_goes_with_it(docker: Docker28) -> None:
    made: list[KindCluster] = []
    make(Recorder(), made)
    options = made[0].contents(depends_on=[made[0]])
    assert options.provider is made[0].provider
    assert options.deleted_with is made[0]._command
    assert options.depends_on == [made[0]]
    assert made[0].owns_namespace("gloo-system")


def test_the_proxy_is_reached_by_the_mapped_port_whatever_the_clusters_addresses(docker: Docker28) -> None:
    made: list[KindCluster] = []
    make(Recorder(), made)
    assert made[0].reachable("172.18.0.2", 8080) == "127.0.0.1:8080"
    make(Recorder(), made, host_port=9090)
    assert made[1].reachable("172.18.0.2", 8080) == "127.0.0.1:9090", "macOS has no way to addresses of containers"


def test_a_stopped_cluster_is_started_again(docker: Docker28) -> None:
    docker.nodes = [replace(THERE, running=False), replace(THERE, cluster="failover-other-local", name="other", running=False)]
    assert current_generation("failover-test-local", owner="test-1") == "cafe"
    assert docker.started == [THERE.name], "and no other stack's"


@pytest.mark.parametrize(("owner", "whose"), [("", "somebody else, not by this project"), ("test-2", "stack test-2 of this project")])
@pytest.mark.parametrize("preview", [True, False])
def test_a_cluster_of_somebody_else_ends_the_program(docker: Docker28, owner: str, whose: str, preview: bool) -> None:
    docker.nodes = [replace(THERE, owner=owner, running=False)]
    with pytest.raises(pulumi.RunError) as ended:
        make(Recorder(preview=preview))
    message = str(ended.value)
    assert f"failover-test-local was made by {whose}" in message
    assert "kind delete cluster --name failover-test-local" in message, "one way out"
    assert "pulumi config set --path kind.clusterPrefix <prefix>" in message, "the other"
    assert docker.started == [], "it is left alone"


def test_a_docker_that_does_not_answer_ends_the_program_with_its_reason(docker: Docker28) -> None:
    docker.failure = "Cannot connect to the Docker daemon"
    with pytest.raises(pulumi.RunError, match="kind cluster failover-test-local: Cannot connect to the Docker daemon"):
        make(Recorder())


@pytest.mark.parametrize("name", ["", "Local", "a_b", "x" * 50])
def test_a_name_that_kind_cannot_have_is_refused_by_its_field(docker: Docker28, name: str) -> None:
    with pytest.raises(pulumi.InputPropertyError) as refused:
        make(Recorder(), kind_name=name)
    assert refused.value.property_path == "kind_name"


def test_docker_says_whose_a_node_is() -> None:
    inspected = {
        "Name": "/n-control-plane",
        "Config": {"Labels": {"io.x-k8s.kind.cluster": "n"}},
        "State": {"Running": False},
        "Mounts": [{"Destination": "/lib/modules"}, {"Destination": f"{MARK}/owner/dev-1"}, {"Destination": f"{MARK}/generation/g"}],
        "HostConfig": {"PortBindings": {"30080/tcp": [{"HostPort": "8080"}], "6443/tcp": [{"HostPort": "40001"}], "1/tcp": None}},
    }
    assert parse_node(inspected) == Node(
        name="n-control-plane", cluster="n", running=False, owner="dev-1", generation="g", host_ports=frozenset({8080, 40001})
    )
    foreign = {**inspected, "Mounts": [], "HostConfig": {}}
    assert (parse_node(foreign).owner, parse_node(foreign).host_ports) == ("", frozenset())


def test_a_node_that_vanishes_while_it_is_looked_at_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["id1\n", DockerFailed("Error: No such object: id1"), ""])

    def docker_says(*arguments: str) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(nodes, "docker", docker_says)
    assert nodes.list_nodes() == (), "somebody deleted it between the two questions"


@pytest.fixture
def machine(docker: Docker28, monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    """A machine that is good enough, until another is put in its place."""
    current = Machine(
        docker=Docker(version=(28, 2, 2), memory=8 << 30, host="unix:///s"),
        kind=(0, 33, 0),
        kubectl=(1, 37, 1),
        experimental_provider="",
        inotify=(512, 524288),
        taken_ports=frozenset(),
        nodes=(),
    )
    place = [current]
    monkeypatch.setattr(kind, "examine", lambda ports: list(ports) and place[0])
    return lambda other: place.__setitem__(0, other)


def kind_program(*, preview: bool = False, **changes: Any) -> Recorder:
    return run_program(preview=preview, changes={"clusterKind": "kind", **changes})


recorded_program = cache(kind_program)
"""The same without changes, run once for all tests that only read it; for tests on a `machine`."""


@pytest.mark.parametrize("preview", [True, False])
def test_the_program_makes_a_kind_cluster_for_each_in_the_configuration(machine: object, preview: bool) -> None:
    program = recorded_program(preview=preview)
    names = [each.inputs["environment"]["CLUSTER"] for each in program.of_type("command:local:Command") if each.name.endswith("-cluster")]
    assert sorted(names) == ["failover-test-local", "failover-test-remote"], "prefix, stack, name"
    for resource in program.kubernetes():
        around = resource.deleted_with or next((each.deleted_with for each in program.ancestors(resource) if each.deleted_with), "")
        assert around.endswith("-cluster"), f"{resource.name} would be deleted by itself, one by one"


def test_the_url_is_the_mapped_port_of_the_primarys_cluster(machine: object) -> None:
    assert recorded_program(preview=False).exports["proxyUrl"] == "http://127.0.0.1:8080"
    swapped = [{"color": "blue", "cluster": "remote"}, {"color": "green", "cluster": "local"}]
    assert kind_program(apps=swapped).exports["proxyUrl"] == "http://127.0.0.1:8081", "the second in the list has the next port"


@pytest.mark.parametrize("preview", [True, False])
def test_a_machine_that_cannot_have_them_ends_the_program_with_all_reasons(machine: Callable[[Machine], None], preview: bool) -> None:
    machine(Machine(docker="not started", kind=None, kubectl=None, experimental_provider="", inotify=None, taken_ports=frozenset({8080}), nodes=()))
    with pytest.raises(pulumi.RunError) as ended:
        kind_program(preview=preview)
    message = str(ended.value)
    assert "cannot have the kind clusters of stack test; nothing was changed" in message
    assert [line.split()[1] for line in message.splitlines()[1:]] == ["kind", "docker", "port"], "each on its own line"


def test_other_kinds_of_clusters_do_not_ask_for_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "examine", lambda ports: pytest.fail("an embedded stack must not need docker"))
    assert run_program().of_type("command:local:Command")
