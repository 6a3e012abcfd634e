"""The embedded cluster's component: which commands run when, what is secret, and what its outputs are made from."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pulumi
import pytest
from program_recorder import UNKNOWN, Recorder

from service_failover.addressing import realised
from service_failover.clusters.embedded import PROGRAM, EmbeddedCluster, state_directory
from toolchain.tools import tool

pytestmark = pytest.mark.unit


def make(recorder: Recorder, into: list[EmbeddedCluster] | None = None) -> Recorder:
    made = into if into is not None else []
    return recorder.run(lambda: made.append(EmbeddedCluster("east", {"cluster_name": "local", "region": "us-east-1", "zone": "us-east-1a"})))


@pytest.fixture(params=[False, True], ids=["update", "preview"])
def recorded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setenv("SERVICE_FAILOVER_STATE", "/srv/state of mine")
    return make(Recorder(preview=request.param))


def test_the_cluster_lives_in_a_directory_of_its_stack(recorded: Recorder) -> None:
    (command,) = recorded.of_type("command:local:Command")
    directory = "'/srv/state of mine/test/clusters/local'"
    assert command.inputs["create"] == f"{sys.executable} -P -m embedded start --state-dir {directory}", "quoted: a path may have spaces"
    assert command.inputs["delete"] == f"{sys.executable} -P -m embedded delete --state-dir {directory}"
    assert command.inputs["environment"] == {"PYTHONPATH": str(PROGRAM)}, "the module is found whatever the directory is"


def test_a_change_is_applied_to_the_running_cluster(recorded: Recorder) -> None:
    (command,) = recorded.of_type("command:local:Command")
    assert command.inputs["update"] == command.inputs["create"], "an update without a command of its own would be undefined; start is convergent"
    assert "triggers" not in command.inputs, "a trigger replaces: it would delete the cluster with all that is in it"


def test_the_cluster_is_told_what_it_is(recorded: Recorder) -> None:
    (command,) = recorded.of_type("command:local:Command")
    assert json.loads(command.inputs["stdin"]) == {"name": "local", "region": "us-east-1", "zone": "us-east-1a"}


def test_the_kubeconfig_is_neither_logged_nor_stored_as_plain_text_nor_passed_on(recorded: Recorder) -> None:
    (command,) = recorded.of_type("command:local:Command")
    assert command.inputs["logging"] == "stderr"
    assert command.additional_secret_outputs == ("stdout",)
    assert command.inputs["addPreviousOutputInEnv"] is False
    (provider,) = recorded.of_type("pulumi:providers:kubernetes")
    assert "kubeconfig" in provider.secret_inputs, "the provider's schema does not say that it is one"


@pytest.fixture
def made_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a cluster that was made before."""
    monkeypatch.setenv("SERVICE_FAILOVER_STATE", str(tmp_path / "state of mine"))
    directory = tmp_path / "state of mine" / "test" / "clusters" / "local"
    directory.mkdir(parents=True)
    return directory


@pytest.mark.parametrize("preview", [False, True])
def test_a_cluster_that_was_made_before_is_brought_back_first(made_before: Path, preview: bool) -> None:
    (invoke,) = make(Recorder(preview=preview)).invokes
    assert invoke.token == "command:local:run"
    assert invoke.args["command"] == f"{sys.executable} -P -m embedded ensure --state-dir '{made_before}'"
    assert invoke.args["logging"] == "none"


def test_a_new_cluster_does_not_wait_for_one_that_is_not_there(recorded: Recorder) -> None:
    assert recorded.invokes == []


@pytest.mark.usefixtures("made_before")
def test_a_cluster_that_does_not_come_back_ends_the_program_with_the_next_command() -> None:
    with pytest.raises(pulumi.RunError) as ended:
        make(Recorder(invoke_failure="etcd does not start"))
    message = str(ended.value)
    assert "etcd does not start" in message, "the reason"
    assert "-P -m embedded status --state-dir" in message, "how to look"
    assert "make down" in message, "the way out"


@pytest.mark.parametrize("preview", [False, True])
def test_missing_programs_end_the_program_before_anything_is_registered(preview: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_FAILOVER_CACHE", str(tmp_path))
    for name in ("kube-node", "envoy"):
        monkeypatch.delenv(tool(name).variable)
    recorder = Recorder(preview=preview)
    with pytest.raises(pulumi.RunError) as ended:
        make(recorder)
    message = str(ended.value)
    assert "nothing was changed" in message
    assert "not installed: kube-node, envoy." in message, "each that is missing is named, and none that is there"
    assert "python3 -m toolchain install" in message, "and the command that gets them"
    assert not recorder.resources, "nothing is half made"


def test_another_system_is_refused_with_the_way_to_go_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(pulumi.RunError, match="pulumi up -s dev"):
        make(Recorder())


def test_the_provider_knows_its_cluster_by_identity_and_changes_secrets_in_place() -> None:
    recorded = make(Recorder())
    (provider,) = recorded.of_type("pulumi:providers:kubernetes")
    assert provider.inputs["clusterIdentifier"] == "east-cluster-id", "another kubeconfig of the same cluster must not replace everything in it"
    assert provider.inputs["enableSecretMutable"] == "true", "a replaced Secret is gone for a moment"
    assert provider.inputs["enableConfigMapMutable"] == "true"


def test_in_the_first_preview_nothing_of_the_cluster_is_known() -> None:
    recorded = make(Recorder(preview=True))
    (provider,) = recorded.of_type("pulumi:providers:kubernetes")
    assert provider.inputs["kubeconfig"] == UNKNOWN


def test_only_the_kubeconfig_is_secret() -> None:
    recorded = make(Recorder())
    urn = recorded.component("EmbeddedCluster").urn
    assert recorded.outputs[urn]["context"] == "embedded-local"
    assert recorded.outputs[urn]["internal_address"] == "https://127.77.0.1:6443"
    assert recorded.secret_outputs[urn] == {"kubeconfig"}, "an address that is secret cannot be shown in an error"


def test_what_is_in_the_cluster_uses_its_provider_and_goes_with_it() -> None:
    made: list[EmbeddedCluster] = []
    make(Recorder(), made)
    options = made[0].contents(depends_on=[made[0]])
    assert options.provider is made[0].provider
    assert options.deleted_with is made[0]._command
    assert options.depends_on == [made[0]]


def test_the_state_is_beside_the_project_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SERVICE_FAILOVER_STATE", raising=False)
    monkeypatch.setattr(pulumi.runtime, "get_root_directory", lambda: "/srv/a project")
    assert state_directory() == Path("/srv/a project/.state"), "whose program it is, not where this package is installed"
    monkeypatch.setattr(pulumi.runtime, "get_root_directory", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert state_directory() == tmp_path / ".state", "hosted in a component package: the engine starts that in the project's directory"


@pytest.mark.parametrize(
    ("address", "mapping", "dialled"),
    [
        ("10.77.192.1", "10.64.0.0/10=127.64.0.0/10", "127.77.192.1"),
        ("10.126.255.254", "10.64.0.0/10=127.64.0.0/10", "127.126.255.254"),
        ("192.0.2.7", "10.64.0.0/10=127.64.0.0/10", "192.0.2.7"),
        ("10.77.192.1", None, "10.77.192.1"),
    ],
)
def test_addresses_of_the_mapped_network_are_realised_and_others_are_not(address: str, mapping: str | None, dialled: str) -> None:
    assert realised(address, mapping) == dialled
