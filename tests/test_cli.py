"""What the commands decide without a stack: paths, the environment, and that a config file is left as it was."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

import toolchain
from cli.__main__ import main
from cli.stack import Stack, without_salt
from cli.workspace import PROJECT, CommandFailed, Workspace, open_workspace

pytestmark = pytest.mark.unit


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(toolchain, "install_plugins", lambda home: None)
    return Workspace(root=tmp_path / "state")


def test_the_state_is_private_and_a_passphrase_is_never_replaced(workspace: Workspace) -> None:
    workspace.prepare()
    passphrase = workspace.passphrase.read_text()
    workspace.prepare()
    assert workspace.passphrase.read_text() == passphrase, "another one could not read the backend any more"
    assert len(passphrase) >= 32, "it is long enough to be no guess"
    assert stat.S_IMODE(workspace.passphrase.stat().st_mode) == 0o600, "only its owner reads the passphrase"
    assert stat.S_IMODE(workspace.root.stat().st_mode) == 0o700, "only its owner looks into the state"


def test_pulumi_is_pointed_at_this_state_and_at_nothing_of_the_users(workspace: Workspace) -> None:
    settings = workspace.environment()
    for name in ("PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        assert settings[name].startswith(str(workspace.root)), f"{name} is ours"
    assert settings["PULUMI_BACKEND_URL"].partition("?")[0] == workspace.backend.as_uri(), "no login is needed, and none is used"


def test_a_user_without_an_account_has_a_name_for_pulumi(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert workspace.environment()["USER"] == "4000000", "pulumi makes no stack for nobody"
    monkeypatch.setenv("USER", "anna")
    assert workspace.environment()["USER"] == "anna", "whoever has a name keeps it"


def test_the_passphrase_itself_is_in_no_variable(workspace: Workspace) -> None:
    workspace.prepare()
    assert workspace.passphrase.read_text() not in "".join(workspace.environment().values()), "a variable shows in every process list"


def test_the_state_goes_away_with_the_last_stack_only(workspace: Workspace) -> None:
    workspace.prepare()
    stacks = workspace.backend / ".pulumi" / "stacks" / "service-failover"
    stacks.mkdir(parents=True)
    (stacks / "other.json").write_text("{}")
    (workspace.root / "gone").mkdir()
    workspace.forget("gone")
    assert not (workspace.root / "gone").exists(), "what belonged to the stack is removed"
    assert workspace.stacks() == ["other"], "another stack still needs the rest"
    (stacks / "other.json").unlink()
    workspace.forget("other")
    assert not workspace.root.exists(), "nothing is left after the last one"


def recorded_stack(workspace: Workspace, name: str, *types: str) -> Path:
    """A stack that the backend knows, with resources of these types, and what Pulumi keeps beside it."""
    workspace.prepare()
    for kind in ("stacks", "history", "backups", "locks/organization"):
        (workspace.backend / ".pulumi" / kind / "service-failover" / name).mkdir(parents=True)
    stacks = workspace.backend / ".pulumi" / "stacks" / "service-failover"
    (stacks / name).rmdir()
    for end in ("", ".attrs", ".bak"):
        (stacks / f"{name}.json{end}").write_text(json.dumps({"resources": [{"type": each} for each in types]}))
    return stacks / f"{name}.json"


def test_pulumis_state_of_a_stack_goes_away_without_pulumi_and_that_of_others_stays(workspace: Workspace) -> None:
    recorded_stack(workspace, "first")
    recorded_stack(workspace, "first.json.bakery")
    workspace.forget("first")
    left = {path.name for path in workspace.backend.rglob("*") if path.name.startswith("first")}
    assert left == {"first.json.bakery", *(f"first.json.bakery.json{end}" for end in ("", ".attrs", ".bak"))}, "only what is the stack's own"


def test_a_lost_passphrase_is_not_replaced_by_one_that_fits_nothing(workspace: Workspace) -> None:
    recorded_stack(workspace, "second")
    workspace.passphrase.unlink()
    with pytest.raises(CommandFailed, match="make down STACK=second"):
        workspace.prepare()
    assert not workspace.passphrase.exists(), "Pulumi would only say that it is wrong"


def test_a_stack_is_destroyed_without_pulumi_when_nothing_outlives_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded_stack(workspace, "mine", "service-failover:index:EmbeddedCluster")
    monkeypatch.setattr(toolchain, "find", missing)
    Stack(name="mine", workspace=workspace).down()
    assert not workspace.root.exists(), "nothing is left"
    assert "directly" in capsys.readouterr().err, "and the user is told that it was not the usual way"


@pytest.mark.parametrize("command", ["down STACK=mine", "forget STACK=mine"])
def test_the_state_of_what_is_in_somebodys_clusters_is_not_thrown_away(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    state = recorded_stack(workspace, "mine", "service-failover:index:ExistingCluster")
    monkeypatch.setattr(toolchain, "find", missing)
    stack = Stack(name="mine", workspace=workspace)
    with pytest.raises(CommandFailed) as failed:
        stack.down()
    assert "python3 -m toolchain install" in str(failed.value), "what is missing"
    assert f"make {command}" in str(failed.value), "what finishes the job, with or without it"
    assert state.exists(), "it is the only list of what is there"
    stack.forget()
    assert not workspace.root.exists(), "unless the user gives it up"


def test_a_stack_with_clusters_of_its_own_is_not_forgotten(workspace: Workspace) -> None:
    recorded_stack(workspace, "mine", "service-failover:index:EmbeddedCluster")
    with pytest.raises(CommandFailed, match="make down STACK=mine"):
        Stack(name="mine", workspace=workspace).forget()


def test_edits_of_others_are_taken_back_only_once_the_stack_has_been_up(workspace: Workspace) -> None:
    stack = Stack(name="mine", workspace=workspace)
    assert "PULUMI_K8S_ENABLE_PATCH_FORCE" not in stack.environment(), "what is there before may be somebody else's"
    workspace.kubeconfigs("mine").mkdir(parents=True)
    (workspace.kubeconfigs("mine") / "local.yaml").write_text("")
    assert stack.environment()["PULUMI_K8S_ENABLE_PATCH_FORCE"] == "true", "from then on the program says how it is"


def missing(name: str) -> Path:
    raise toolchain.ToolMissing(f"{name} is not installed. Install it: python3 -m toolchain install {name}")


def test_a_config_file_is_as_it_was_before_pulumi_salted_it(tmp_path: Path) -> None:
    config = tmp_path / "Pulumi.embedded.yaml"
    config.write_text("# mine\nencryptionsalt: v1:abc\nconfig:\n  a: b\n")
    without_salt(config)
    assert config.read_text() == "# mine\nconfig:\n  a: b\n", "only Pulumi's own line is taken out"


def test_secrets_go_with_the_passphrase_that_they_need(tmp_path: Path) -> None:
    config = tmp_path / "Pulumi.existing.yaml"
    secret = "  service-failover:licenseKey:\n    secure: v1:def\n"
    config.write_text(f"encryptionsalt: v1:abc\nconfig:\n{secret}  service-failover:edition: enterprise\n")
    without_salt(config)
    assert config.read_text() == "config:\n  service-failover:edition: enterprise\n", (
        "the next `up` asks for the key, and does not fail to decrypt it"
    )
    config.write_text(f"secretsprovider: awskms://key\nconfig:\n{secret}")
    without_salt(config)
    assert secret in config.read_text(), "what another key encrypts can be read as before"


def test_a_config_file_that_holds_only_the_salt_goes_away(tmp_path: Path) -> None:
    config = tmp_path / "Pulumi.second.yaml"
    config.write_text("encryptionsalt: v1:abc\n")
    without_salt(config)
    without_salt(config)
    assert not config.exists(), "Pulumi made it for a stack that is gone"


def test_a_stack_that_is_not_up_is_an_error_with_the_next_command(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERVICE_FAILOVER_STATE", str(workspace.root))
    assert main(["--stack", "nobody", "watch", "--seconds", "1"]) == 1, "nothing to watch"
    assert "make up" in capsys.readouterr().err, "and what to do about it"
    assert not Stack(name="nobody", workspace=workspace).exists(), "looking makes no stack"


@pytest.mark.parametrize(
    ("project", "name", "options"),
    [("", "embedded", ""), ("", "three", " STACK=three"), ("examples/yaml", "dev", " PROJECT=examples/yaml STACK=dev")],
)
def test_the_next_commands_are_about_the_stack_that_is_up(tmp_path: Path, project: str, name: str, options: str) -> None:
    stack = Stack(name=name, workspace=Workspace(root=tmp_path, project=PROJECT / project))
    assert stack.command("down") == f"make down{options}"
    assert f"make -s env{options})" in stack._next_steps()


def test_the_state_of_another_project_is_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICE_FAILOVER_STATE", raising=False)
    assert open_workspace(tmp_path).root == tmp_path / ".state"


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("config:\n  service-failover:clusterKind: kind\n", True),
        ("config:\n  service-failover:clusters: [{name: a, kind: kind}]\n", True),
        ('config:\n  service-failover:clusters: [{"name": "a", "kind": "kind"}]\n', True),
        ("config:\n  service-failover:clusterKind: embedded\n  service-failover:kind:\n    clusterPrefix: a\n", False),
        ("", False),
    ],
)
def test_a_stack_with_kind_clusters_is_known_by_its_config_when_its_state_is_lost(workspace: Workspace, tmp_path: Path, text: str, has: bool) -> None:
    (tmp_path / "Pulumi.some.yaml").write_text(text)
    stack = Stack(name="some", workspace=replace(workspace, project=tmp_path))
    assert stack.has_kind_clusters() is has, "only then is docker asked: an embedded stack goes down without it"
