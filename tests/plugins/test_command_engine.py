"""The stand-in command provider under the real engine."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
from pulumi_driver import Stack, processes_with, wait_for, wait_until_gone

pytestmark = pytest.mark.engine


def test_a_command_lives_through_create_update_replace_and_destroy(stack: Stack, journal: Path) -> None:
    def one(**changes: object) -> None:
        arguments = {
            "create": 'echo "create $NAME [$PULUMI_COMMAND_STDOUT]" >> $JOURNAL; echo made $NAME; echo noise >&2',
            "delete": 'echo "delete $NAME [$PULUMI_COMMAND_STDOUT]" >> $JOURNAL',
            "environment": {"NAME": "a"},
            "triggers": [1, {"deep": True}],
            **changes,
        }
        stack.program(f"""
            one = command.local.Command("one", **{arguments!r})
            pulumi.export("stdout", one.stdout)
            pulumi.export("stderr", one.stderr)
        """)

    one()
    created = stack.up()
    assert created.exit_code == 0, created.output
    assert journal.read_text() == "create a []\n", "create runs once, with no previous output"
    assert stack.outputs() == {"stdout": "made a", "stderr": "noise"}, "outputs lose their last newline and nothing else"
    identity = stack.resources["one"]["id"]
    assert re.fullmatch(r"one[0-9a-f]{8}", identity), "ids look like the official provider's"
    assert created.messages("info") == ["noise", "made a"] or created.messages("info") == ["made a", "noise"], "both streams are logged by default"

    assert stack.up("--refresh").changes == {}, "the same inputs change nothing, and refresh has nothing to look at"
    assert journal.read_text() == "create a []\n", "neither ran the command"

    one(environment={"NAME": "b"})
    updated = stack.up()
    assert updated.operations["one"] == ["update"]
    assert journal.read_text().splitlines()[1:] == ["create b [made a]"], "without update, create runs again and sees the previous output"
    assert stack.resources["one"]["id"] == identity, "an update keeps the id"

    one(environment={"NAME": "b"}, update='echo "update [$PULUMI_COMMAND_STDOUT]" >> $JOURNAL', add_previous_output_in_env=False)
    assert stack.up().operations["one"] == ["update"]
    assert journal.read_text().splitlines()[2:] == ["update []"], "update runs instead of create, and the previous output is withheld when so asked"

    one(environment={"NAME": "c"}, triggers=[2])
    assert stack.up().operations["one"] == ["create-replacement", "replace", "delete-replaced"], "a trigger replaces"
    assert journal.read_text().splitlines()[3:] == ["create c []", "delete b []"], "the old one is deleted with its own inputs"

    assert stack.destroy().exit_code == 0
    assert journal.read_text().splitlines()[5:] == ["delete c [made c]"]
    assert stack.resources == {}, "nothing is left in the state"


def test_nothing_runs_in_preview_but_local_run(stack: Stack, journal: Path) -> None:
    stack.program("""
        seen = command.local.run(command="cat; echo run >> $JOURNAL", stdin="looked up")
        one = command.local.Command("one", create="echo one >> $JOURNAL; echo 1")
        two = command.local.Command("two", create="cat", stdin=one.stdout, triggers=[one.stdout])
        pulumi.export("seen", seen.stdout)
        pulumi.export("two", two.stdout)
    """)
    previewed = stack.preview()
    assert previewed.exit_code == 0, previewed.output
    assert previewed.operations["two"] == ["create"], "a command with unknown inputs can be previewed"
    assert journal.read_text() == "run\n", "the function runs, the resources do not"

    assert stack.up().exit_code == 0
    assert stack.outputs() == {"seen": "looked up", "two": "1"}
    stack.program("""
        one = command.local.Command("one", create="echo one >> $JOURNAL; echo 2")
        two = command.local.Command("two", create="cat", stdin=one.stdout, triggers=[one.stdout])
    """)
    previewed = stack.preview()
    assert previewed.operations["one"] == ["update"]
    assert "replace" in previewed.operations["two"], "a trigger that is not known yet may change, so a replacement is previewed"


def test_secrets_stay_secret(stack: Stack) -> None:
    stack.program("""
        password = pulumi.Output.secret("correct horse battery")
        one = command.local.Command("one", create="cat; echo plain; printenv PW >&2", stdin=password, environment={"PW": password})
        two = command.local.Command("two", create="echo two")
        pulumi.export("one", one.stdout)
    """)
    result = stack.up()
    assert result.exit_code == 0, result.output
    assert "correct horse" not in result.output, "a secret is masked in what the command logs"
    assert "[secret]" in result.output
    assert "correct horse" not in stack.state_text, "inputs and outputs are encrypted in the state"
    outputs = stack.resources["one"]["outputs"]
    assert all("ciphertext" in outputs[name] for name in ("stdin", "stdout", "stderr")), "one secret input makes both outputs secret"
    assert stack.resources["two"]["outputs"]["stdout"] == "two", "what is not secret stays readable"
    assert stack.outputs()["one"] == "correct horse batteryplain"
    assert stack.up().changes == {}, "secrets compare equal to themselves"


def test_a_failure_is_shown_once_and_says_what_to_do(stack: Stack) -> None:
    stack.program("""
        command.local.Command("one", create="echo half; echo 'disk is full' >&2; exit 3", environment={"PW": pulumi.Output.secret("hunter22")})
    """)
    result = stack.up()
    assert result.exit_code != 0
    errors = [message for message in result.messages("error") if "exit code" in message]
    assert len(errors) == 1, f"one error, in {result.messages('error')}"
    assert "create `echo half; echo 'disk is full' >&2; exit 3` failed with exit code 3" in errors[0], "it names the command and how it ended"
    assert "Nothing was saved for this resource" in errors[0], "it says where this leaves the user"
    assert result.output.count("disk is full\n") <= 2, "what was logged is not repeated by the error"
    assert "Traceback" not in result.output, "neither the plugin's traceback nor the program's is of use"
    assert "one" not in stack.resources, "a failed create is not saved"

    stack.program("""
        command.local.Command("one", create="echo token-in-stdout; echo password is $PW >&2; exit 1", logging="none",
            environment={"PW": pulumi.Output.secret("hunter22")})
    """)
    result = stack.up()
    assert "password is [secret]" in result.output, "stderr that was not logged is in the error, masked"
    assert "token-in-stdout" not in result.output.replace("echo token-in-stdout", ""), "stdout that the user did not want shown is not shown"


def test_wrong_inputs_are_refused_by_name_before_anything_runs(stack: Stack, journal: Path) -> None:
    stack.program("""
        command.local.Command("files", create="echo ran >> $JOURNAL", archive_paths=["**"])
    """)
    result = stack.up()
    assert result.exit_code != 0
    assert "property archivePaths" in result.output, "what is not supported is refused, not ignored"
    stack.program("""
        command.local.Command("logs", create="echo ran >> $JOURNAL", logging="loud")
    """)
    result = stack.up()
    assert "property logging" in result.output
    assert "value {loud} has a problem: must be one of stdoutAndStderr, stdout, stderr, none" in result.output, "with its value and what is allowed"
    stack.program("""
        command.remote.Command("far", create="true", connection={"host": "example.com"})
    """)
    assert "command:remote:Command is not in the stand-in" in stack.up().output
    assert journal.read_text() == "", "nothing ran"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_command_ends_with_the_engine(stack: Stack, journal: Path, number: signal.Signals) -> None:
    stack.program("""
        command.local.Command("slow", create="trap 'echo interrupted >> $JOURNAL; exit 1' INT; echo $$ > $JOURNAL.pid; while :; do sleep 0.1; done")
    """)
    running = stack.start_up()
    pid_file = journal.with_name("journal.pid")
    wait_for(pid_file)
    started = time.monotonic()
    result = stack.interrupt(running, number)
    wait_until_gone(int(pid_file.read_text()))
    assert time.monotonic() - started < 10, "the command is not waited out"
    assert journal.read_text() == "interrupted\n", "it got a chance to clean up"
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    deadline = time.monotonic() + 5
    while (left := processes_with(str(stack.directory))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == [], "no plugin outlives the engine"
    if number is signal.SIGINT:
        assert "was cancelled" in result.output
        assert "slow" not in stack.resources, "an interrupted create is not saved"
