"""The stand-in language host under the real engine."""

from __future__ import annotations

import signal
import sys
import time
from importlib import metadata

import pytest
from pulumi_driver import PROJECT, STACK, Stack, processes_with, wait_for

pytestmark = pytest.mark.engine


def test_a_program_gets_its_settings_and_its_output_reaches_the_user(stack: Stack) -> None:
    stack.pulumi("config", "set", "size", "3", "--stack", STACK)
    stack.pulumi("config", "set", "--secret", "password", "correct horse", "--stack", STACK)
    (stack.project / "helper.py").write_text("NAME = 'helper'\n")
    stack.program("""
        import importlib.util, os, sys, helper
        config = pulumi.Config()
        print("to stdout", flush=True)
        print("to stderr", file=sys.stderr)
        pulumi.log.warn("be careful")
        pulumi.export("facts", {
            "size": config.require_int("size"), "project": pulumi.get_project(), "stack": pulumi.get_stack(), "dry": pulumi.runtime.is_dry_run(),
            "directory": os.getcwd(), "helper": helper.NAME, "python": sys.executable, "name": __name__, "organization": pulumi.get_organization(),
            "toolchain": importlib.util.find_spec("toolchain") is not None, "root": pulumi.runtime.get_root_directory(),
        })
        pulumi.export("password", config.require_secret("password"))
    """)
    result = stack.up()
    assert result.exit_code == 0, result.output
    assert "to stdout" in result.messages("info"), "what the program prints reaches the user"
    assert "to stderr" in result.messages("info#err"), "on either stream"
    assert result.messages("warning") == ["be careful"], "the program's warnings do, and there are no others"
    assert "correct horse" not in result.output + stack.state_text, "secret config stays secret"
    outputs = stack.outputs()
    assert outputs["password"] == "correct horse"
    assert outputs["facts"] == {
        "size": 3,
        "project": PROJECT,
        "stack": STACK,
        "dry": False,
        "directory": str(stack.project),
        "helper": "helper",
        "python": sys.executable,
        "name": "__main__",
        "organization": "organization",
        "toolchain": False,
        "root": str(stack.project),
    }, "as the official host has it: the project's directory is current, first on the import path, and nothing of the host is in the way"
    assert stack.up("--expect-no-changes").exit_code == 0, "a second run changes nothing"


def test_the_state_says_where_in_the_program_a_resource_was_made_and_nothing_of_this_machine(stack: Stack) -> None:
    stack.program("""
        class Part(pulumi.ComponentResource):
            def __init__(self, name):
                super().__init__("test:index:Part", name)
                self.register_outputs({})

        def make():
            Part("one")

        make()
        pulumi.Output.from_input("two").apply(Part)
    """)
    assert stack.up().exit_code == 0
    lines = (stack.project / "__main__.py").read_text().splitlines()
    found = {name: each for name, each in stack.resources.items() if each["type"] == "test:index:Part"}
    traces = {name: [frame["sourcePosition"] for frame in each.get("stackTrace", [])] for name, each in found.items()}
    spoken = {name: [lines[int(position.rsplit("#", 1)[1]) - 1].strip() for position in trace] for name, trace in traces.items()}
    assert spoken == {"one": ['Part("one")', "make()"], "two": []}, "from the call of the class to the program's first line"
    assert traces["one"][0] == found["one"]["sourcePosition"]
    assert traces["one"][0].startswith("project:///__main__.py#"), "relative to the project"


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        ('def fail(x):\n    raise ValueError("boom")\n\nfail(1)\n', "ValueError: boom"),
        ('def fail(x):\n    raise ValueError("boom")\n\npulumi.Output.from_input(1).apply(fail)\n', "ValueError: boom"),
        ("def broken(:\n", "SyntaxError"),
    ],
)
def test_a_traceback_is_shown_once_and_begins_in_the_program(stack: Stack, program: str, shown: str) -> None:
    stack.program("")
    (stack.project / "__main__.py").write_text("import pulumi\n" + program)
    result = stack.preview()
    assert result.exit_code != 0
    errors = [message for message in result.messages("error") if message != "preview failed"]
    assert len(errors) == 1, f"one error, in {errors}"
    assert shown in errors[0]
    assert errors[0].startswith("Program failed with an unhandled exception:"), "as the official host says it"
    assert "__main__.py" in errors[0], "the place in the program is named"
    assert "run_program.py" not in errors[0], "the host's own frames are not"
    assert errors[0].count("Traceback") <= 1


def test_other_ways_to_end(stack: Stack) -> None:
    stack.program('raise pulumi.RunError("clusters[0].name: a is used twice")')
    result = stack.preview()
    assert [message for message in result.messages("error") if "twice" in message] == ["clusters[0].name: a is used twice"], (
        "a RunError has no traceback"
    )
    assert "Traceback" not in result.output

    stack.program("import sys; sys.exit(7)")
    assert "the program exited with code 7" in stack.preview().output, "an exit code is an error that says which"
    stack.program("import os; os._exit(9)")
    assert "the program exited with code 9" in stack.preview().output, "so is an end without Python's help, and the host survives it"

    (stack.project / "__main__.py").unlink()
    assert "there is no program in" in stack.preview().output

    (stack.project / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime:\n  name: python\n  options:\n    virtualenv: elsewhere\n")
    stack.program("")
    result = stack.preview()
    assert "runtime option virtualenv: elsewhere is not the environment" in result.output, "an option that would be ignored is refused"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_program_ends_with_the_engine(stack: Stack, number: signal.Signals) -> None:
    marker = stack.directory / "started"
    stack.program(f"""
        import pathlib, time
        pathlib.Path({str(marker)!r}).write_text("x")
        time.sleep(60)
    """)
    running = stack.start_up()
    wait_for(marker)
    started = time.monotonic()
    result = stack.interrupt(running, number)
    assert result.exit_code != 0
    assert "Traceback" not in result.output, "an interrupted program ends quietly\n" + result.output
    assert "KeyboardInterrupt" not in result.output
    deadline = started + 8
    while (left := processes_with(str(stack.directory))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == [], "neither program nor host outlives the engine"
    stack.program("")
    if number is signal.SIGINT:
        assert stack.up().exit_code == 0, "the stack is usable afterwards"


def test_about_and_install_answer_for_the_environment(stack: Stack) -> None:
    stack.program("")
    about = stack.pulumi("about", "--stack", STACK).stdout
    assert sys.executable in about
    assert f"pulumi_tls {metadata.version('pulumi-tls')}".replace("_", "-") in " ".join(about.replace("_", "-").split()), "packages are listed"
    for name in ("command", "tls", "kubernetes"):
        assert f"{name} {metadata.version('pulumi-' + name)}" in " ".join(about.split()), f"the engine knows which {name} plugin the program needs"
    (stack.project / "requirements.txt").write_text(f"pulumi-tls=={metadata.version('pulumi-tls')}\n")
    assert "Every requirement is installed" in stack.pulumi("install", "--no-plugins").stdout
