"""Building and loading, against a `docker` and a `kind` that record what they are told: what is run, and what happens when it fails."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from service_failover.control_plane_image import REMOVE
from service_failover.image import docker, wheels
from service_failover.image.__main__ import main
from service_failover.image.context import CHECKOUT, fingerprint, stage

pytestmark = pytest.mark.process

SCRIPT = """#!/bin/sh
echo "$(basename "$0") $*" >> "$RECORD"
eval "$(grep -s "^$(basename "$0")_$1_$2=" "$ANSWERS" | cut -d= -f2-)"
"""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine with a `docker` and a `kind` of its own."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder}:/usr/bin:/bin",
            "RECORD": str(self.folder / "record"),
            "ANSWERS": str(self.folder / "answers"),
            "PYTHONPATH": str(CHECKOUT),
            "TMPDIR": str(self.folder / "tmp"),
        }

    def answers(self, **commands: str) -> None:
        """What a command does: shell, by program and its first two words, such as `docker_image_ls`."""
        (self.folder / "answers").write_text("".join(f"{name}={shell}\n" for name, shell in commands.items()))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "service_failover.image", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command, in this process."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
            for name, value in self.environment.items():
                patch.setenv(name, value)
            patch.setattr(tempfile, "tempdir", self.environment["TMPDIR"])
            handler = signal.getsignal(signal.SIGTERM)
            try:
                code = main(arguments)
            finally:
                signal.signal(signal.SIGTERM, handler)
        return subprocess.CompletedProcess(arguments, code, "", said.getvalue())

    @property
    def commands(self) -> list[str]:
        record = self.folder / "record"
        return record.read_text().splitlines() if record.exists() else []

    @property
    def left(self) -> list[str]:
        return [path.name for path in (self.folder / "tmp").iterdir()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("docker", "kind"):
        (tmp_path / name).write_text(SCRIPT)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "tmp").mkdir()
    made = Machine(folder=tmp_path)
    made.answers()
    return made


IMAGE = f"servicefailover/controlplane:0.1.0-{fingerprint('')}"


def test_an_image_that_is_there_is_not_built(machine: Machine) -> None:
    machine.answers(docker_image_ls="echo 0123")
    done = machine.run("build", "--image", IMAGE)
    assert (done.returncode, machine.commands) == (0, [f"docker image ls --quiet {IMAGE}"]), "an unchanged stack asks Docker one question"


def test_a_build_sends_a_copy_and_leaves_nothing(machine: Machine) -> None:
    machine.answers(**{"docker_build_--tag": 'for last; do :; done; ls "$last"; ls "$last/service_failover/image"'})
    done = machine.run("build", "--image", IMAGE)
    assert done.returncode == 0, done.stderr
    build = machine.commands[1].split()
    assert build[:4] == ["docker", "build", "--tag", IMAGE]
    assert f"FINGERPRINT={fingerprint('')}" in build, "by which an old Docker's half of it is found again"
    assert not [word for word in build if word.startswith("PIP_")], "packages come from the index"
    assert f"built {IMAGE}" in done.stderr, "a long step says when it is done"
    assert machine.left == [], "no temporary folder"


def test_what_docker_says_of_a_failed_build_is_passed_on(machine: Machine) -> None:
    machine.answers(**{"docker_build_--tag": "echo no space left on device; exit 1"})
    done = machine.run("build", "--image", IMAGE)
    assert done.returncode == 1
    assert "no space left on device" in done.stderr, "Docker's own words"
    assert "Traceback" not in done.stderr
    assert machine.left == [], "no temporary folder"


def test_a_docker_that_does_not_answer_is_told(machine: Machine) -> None:
    machine.answers(docker_image_ls="echo Cannot connect to the Docker daemon; exit 1")
    done = machine.run("build", "--image", IMAGE)
    assert (done.returncode, len(machine.commands)) == (1, 1), "not taken for an image that is not there"
    assert "Cannot connect to the Docker daemon" in done.stderr


def test_without_docker_it_says_so(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError("docker")

    monkeypatch.setattr(subprocess, "Popen", absent)
    done = machine.run("build", "--image", IMAGE)
    assert (done.returncode, done.stderr.strip()) == (1, "there is no docker on PATH")


def test_sources_that_changed_since_the_image_was_named_are_not_built_under_its_name(machine: Machine) -> None:
    done = machine.run("build", "--image", "servicefailover/controlplane:0.1.0-000000000000")
    assert done.returncode == 1
    assert "pulumi up again" in done.stderr, "what to do"
    assert not [command for command in machine.commands if command.startswith("docker build")]


def test_an_interrupted_build_ends_docker_and_leaves_nothing(machine: Machine) -> None:
    machine.answers(**{"docker_build_--tag": 'echo $$ > "$RECORD.pid"; exec sleep 60'})
    process = subprocess.Popen(machine.command("build", "--image", IMAGE), env=machine.environment, stderr=subprocess.PIPE, text=True)
    pid = machine.folder / "record.pid"
    deadline = time.monotonic() + 30
    while not (pid.exists() and pid.read_text().strip()):
        assert time.monotonic() < deadline, "the build begins"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, "Interrupted." in errors, machine.left) == (130, True, []), "no temporary folder"
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_loading_builds_what_is_missing_and_copies_what_docker_has(machine: Machine) -> None:
    machine.answers(docker_image_ls='case "$*" in *envoy*) echo 0123;; esac')
    done = machine.run(
        "load", "--cluster", "failover-dev-local", "--image", IMAGE, "--also", "envoyproxy/envoy:v1", "--also", "hashicorp/http-echo:1"
    )
    assert done.returncode == 0, done.stderr
    assert machine.commands[-1] == f"kind load docker-image {IMAGE} envoyproxy/envoy:v1 --name failover-dev-local", "in one archive"
    assert [command for command in machine.commands if command.startswith("docker build")], "somebody may have pruned it"
    assert "hashicorp/http-echo:1 is not on this machine's Docker; the nodes pull it" in done.stderr
    assert machine.left == [], "no archive"


def test_where_nothing_is_to_be_copied_kind_is_not_asked(machine: Machine) -> None:
    done = machine.run("load", "--cluster", "c", "--also", "registry.example/controlplane:1")
    assert (done.returncode, [command for command in machine.commands if command.startswith("kind")]) == (0, [])


def test_a_failed_load_says_what_kind_said(machine: Machine) -> None:
    machine.answers(docker_image_ls="echo 0123", **{"kind_load_docker-image": 'echo "no nodes found for cluster"; exit 1'})
    done = machine.run("load", "--cluster", "c", "--image", IMAGE)
    assert done.returncode == 1
    assert "no nodes found for cluster" in done.stderr


def test_with_a_base_image_the_packages_come_from_a_folder_of_the_context(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(wheels, "download", lambda _, **options: asked.append(options))
    machine.answers(**{"docker_run_--rm": "echo 3 12 aarch64 39"})
    done = machine.run("build", "--image", f"servicefailover/controlplane:0.1.0-{fingerprint('debian:13')}", "--base-image", "debian:13")
    assert done.returncode == 0, done.stderr
    (options,) = asked
    assert (options["python"], options["machine"], options["glibc"]) == ("3.12", "aarch64", 39), "the base is asked: it may be for another machine"
    assert str(options["into"]).endswith("service_failover/image/wheels"), "in the context"
    build = machine.commands[-1].split()
    for word in ("BASE_IMAGE=debian:13", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/image/wheels"):
        assert word in build, f"{word}: no container asks a package index"


def test_a_base_without_a_python_that_wheels_are_for_is_refused(machine: Machine) -> None:
    machine.answers(**{"docker_run_--rm": "echo 3 12 x86_64 0"})
    done = machine.run("build", "--image", f"servicefailover/controlplane:0.1.0-{fingerprint('alpine:3')}", "--base-image", "alpine:3")
    assert done.returncode == 1
    assert "alpine:3 has no Python on glibc" in done.stderr, "and not after a download"


@pytest.mark.parametrize("status", [0, 1])
def test_packages_are_downloaded_for_the_python_of_the_base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, status, "", "no matching distribution")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(docker.ImageError, match="no matching distribution") if status else contextlib.nullcontext():
        wheels.download(tmp_path / "lock", into=tmp_path, python="3.12", machine="aarch64", glibc=39)
    for option in ("--require-hashes", "--python-version=3.12", "--platform=manylinux_2_39_aarch64", "--only-binary=:all:"):
        assert option in asked[0], f"{option}: what is hashed, for that Python"
    assert wheels.platforms("aarch64", 19) == ["manylinux_2_19_aarch64", "manylinux_2_18_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"]


def test_a_build_that_is_interrupted_from_the_terminal_says_so(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(docker, "build", interrupt)
    done = machine.run("build", "--image", IMAGE)
    assert (done.returncode, "Interrupted." in done.stderr, machine.left) == (130, True, [])


def test_the_sources_run_without_the_rest_of_the_checkout(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    stage(copy)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "controlplane", "crds"], cwd=copy, env={"PYTHONPATH": str(copy)}, capture_output=True, text=True
    )
    assert "FailoverScheme" in done.stdout, f"nothing that is left out is imported: {done.stderr}"


@pytest.mark.parametrize(("present", "status"), [("0123", 0), ("", 0), ("daemon", 1)], ids=["there", "pruned already", "no daemon"])
def test_the_removal_needs_nothing_but_docker(tmp_path: Path, present: str, status: int) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\necho "$*" >> "$RECORD"\ntest "$PRESENT" != daemon || { echo Cannot connect >&2; exit 1; }\n'
        'case "$*" in "image ls"*) echo "$PRESENT";; esac\n'
    )
    docker.chmod(0o755)
    variables = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "RECORD": str(tmp_path / "record"),
        "PRESENT": present,
        "IMAGE": IMAGE,
        "FINGERPRINT": "0123abcd",
    }
    done = subprocess.run(["/bin/sh", "-c", REMOVE], env=variables, capture_output=True, text=True, check=False)
    said = (tmp_path / "record").read_text().splitlines()
    assert done.returncode == status, "an image that is gone is no error; a Docker that does not answer is"
    assert (f"image rm {IMAGE}" in said) is (present == "0123")
    assert ("image prune --force --filter label=dev.servicefailover.build=0123abcd" in said) is (status == 0), "of this build, not of another stack's"
