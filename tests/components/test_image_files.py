"""The image's Dockerfile, lock and context: what a linter for Dockerfiles asks for, and that nothing is in the image but what it needs."""

from __future__ import annotations

import ast
import json
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service_failover.image.context import CHECKOUT, DOCKERFILE, PACKAGES, REQUIREMENTS, fingerprint, sources, stage
from service_failover.pods import NOBODY

pytestmark = pytest.mark.unit

TEXT = re.sub(r"\\\n", " ", (CHECKOUT / DOCKERFILE).read_text())
INSTRUCTIONS = [(line.split()[0], line.partition(" ")[2].strip()) for line in TEXT.splitlines() if line and not line.startswith("#")]
MODULES = {
    "google": "protobuf",
    "grpc": "grpcio",
    "re2": "google-re2",
    "yaml": "pyyaml",
    "envoy": "xds-protos",
    "udpa": "xds-protos",
    "xds": "xds-protos",
}
"""Imports that are not called as their distribution is."""


def arguments(instruction: str) -> list[str]:
    return [words for name, words in INSTRUCTIONS if name == instruction]


def pinned(file: Path) -> dict[str, set[str]]:
    """Name, version and marker of each entry of a lock, with its hashes."""
    entries: dict[str, set[str]] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", file.read_text()):
        head = entry.splitlines()[0].removesuffix("\\").strip()
        if "==" in head:
            entries[head] = set(re.findall(r"sha256:[0-9a-f]{64}", entry))
    return entries


def locked(file: Path) -> dict[str, str]:
    """Name to version."""
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in map(Requirement, pinned(file))}


def test_the_base_is_pinned_by_digest_and_can_be_another_one() -> None:
    (base, *_) = arguments("ARG")
    assert re.fullmatch(r"BASE_IMAGE=python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base), "a tag alone may be another image tomorrow"
    assert {words.split()[0] for words in arguments("FROM")} == {"${BASE_IMAGE}"}, "both stages are built on it"
    assert ":latest" not in TEXT


def test_it_runs_as_a_numeric_user_that_is_not_root() -> None:
    assert arguments("USER")[-1] == f"{NOBODY}:{NOBODY}", "Kubernetes cannot tell of a name that it is not root"
    assert INSTRUCTIONS.index(("USER", f"{NOBODY}:{NOBODY}")) > max(index for index, (name, _) in enumerate(INSTRUCTIONS) if name in ("COPY", "RUN"))


def test_the_process_is_started_without_a_shell() -> None:
    for instruction in ("ENTRYPOINT", "CMD"):
        (words,) = arguments(instruction)
        assert json.loads(words), f"{instruction} is a JSON list, so that SIGTERM reaches the process"


def test_nothing_is_fetched_but_hashed_packages() -> None:
    assert "ADD" not in {name for name, _ in INSTRUCTIONS}, "ADD fetches and unpacks"
    assert not re.search(r"\b(curl|wget|apt-get|https?://)", TEXT), "what is not in the lock is not in the image"
    (install,) = [words for words in arguments("RUN") if "pip install" in words]
    for option in ("--require-hashes", "--no-cache-dir", "--no-deps", "--only-binary=:all:"):
        assert option in install, f"{option}: only what is locked, and no compiler"


def test_no_argument_is_a_secret() -> None:
    names = [words.partition("=")[0] for words in (*arguments("ARG"), *arguments("ENV"))]
    assert not [name for name in names if re.search("TOKEN|PASSWORD|SECRET|KEY|LICENSE", name)], "arguments and variables stay in an image's history"


def test_the_image_s_lock_is_a_part_of_the_project_s() -> None:
    ours, project = pinned(CHECKOUT / REQUIREMENTS), pinned(CHECKOUT / "requirements.txt")
    differing = [entry for entry in ours if ours[entry] != project.get(entry)]
    again = (CHECKOUT / REQUIREMENTS).with_suffix(".in").read_text().splitlines()[2].removeprefix("#").strip()
    assert not differing, f"the control plane in a container is the one that was tested; lock it again: {again}"


def test_the_lock_holds_what_its_packages_need() -> None:
    versions = locked(CHECKOUT / REQUIREMENTS)
    for name in versions:
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # for another platform
        for requirement in map(Requirement, needed):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert canonicalize_name(requirement.name) in versions, f"{name} needs {requirement}"


def imported(package: str) -> set[str]:
    """Top-level names that a package imports."""
    found = set()
    for file in (CHECKOUT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).partition(".")[0])
    return found


def test_the_lock_holds_what_the_control_plane_imports_and_no_more() -> None:
    wanted = {MODULES.get(name, name).replace("_", "-") for package in PACKAGES for name in imported(package) if name not in sys.stdlib_module_names}
    wanted -= {"controlplane", "gloo-api", "pydantic-core"}  # the last comes with pydantic, and fits it
    named = {line.strip() for line in (CHECKOUT / REQUIREMENTS).with_suffix(".in").read_text().splitlines() if line and not line.startswith("#")}
    assert named == wanted, "requirements.in of the image names them one by one"


PAGE = Path("controlplane/fed/console/pages/console.js")


def copy_of_sources(into: Path) -> Path:
    stage(into)
    return into


def test_the_fingerprint_is_that_of_everything_the_image_is_made_of(tmp_path: Path) -> None:
    copy = copy_of_sources(tmp_path / "copy")
    before = fingerprint("", copy)
    assert before == fingerprint(""), "wherever it is"
    assert fingerprint("debian:12", copy) != before, "another base makes another image"
    for path in (DOCKERFILE, REQUIREMENTS, Path("controlplane/net.py"), PAGE, Path("gloo_api/names.py")):
        content = (copy / path).read_bytes()
        (copy / path).write_bytes(content + b"\n")
        assert fingerprint("", copy) != before, f"{path} has changed"
        (copy / path).write_bytes(content)
    (copy / "controlplane/new.py").write_text("")
    assert fingerprint("", copy) != before, "a file has come"
    (copy / "controlplane/new.py").unlink()
    (copy / "README.md").write_text("text")
    (copy / "controlplane/__pycache__").mkdir()
    (copy / "controlplane/__pycache__/net.pyc").write_bytes(b"")
    assert fingerprint("", copy) == before, "and nothing else counts"


def test_the_context_holds_the_sources_and_every_user_may_read_them(tmp_path: Path) -> None:
    copy = copy_of_sources(tmp_path / "copy")
    files = {path.relative_to(copy) for path in copy.rglob("*") if path.is_file()}
    assert files == set(sources()), "no test, no state, no key of this checkout reaches Docker"
    assert {path.stat().st_mode & 0o777 for path in copy.rglob("*")} == {0o644, 0o755}, "whatever the umask here is"


def test_a_plain_docker_build_sends_no_more_than_that() -> None:
    rules = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*", "all is left out"
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == {*PACKAGES, str(REQUIREMENTS)}, "but what the Dockerfile copies"
