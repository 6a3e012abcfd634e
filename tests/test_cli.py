"""What the commands decide without a stack: paths, the environment, and that a config file is left as it was."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

import toolchain
from cli.__main__ import main
from cli.stack import Stack, without_salt
from cli.workspace import Workspace

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
    assert settings["PULUMI_BACKEND_URL"] == workspace.backend.as_uri(), "no login is needed, and none is used"


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


def test_a_config_file_is_as_it_was_before_pulumi_salted_it(tmp_path: Path) -> None:
    config = tmp_path / "Pulumi.embedded.yaml"
    config.write_text("# mine\nencryptionsalt: v1:abc\nconfig:\n  a: b\n")
    without_salt(config)
    assert config.read_text() == "# mine\nconfig:\n  a: b\n", "only Pulumi's own line is taken out"


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
