"""`docker` and `kind` for tests of what is asked of them: they keep containers as files, write down every call, and fail on request.

This file is both the program that stands on PATH under the two names and, for tests, the view on what it did. What it answers is what docker 28 and
kind 0.33 answer to the calls that this project makes; any other call is refused, so that a test cannot pass by a call that nobody has looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

LABEL = "io.x-k8s.kind.cluster"
ROOT = "RECORDING_TOOLS"
"""Variable that names the directory in which everything is kept."""
POSIX = ("cat", "date", "mktemp", "rm", "sh", "sleep")
KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: kind-{name}
clusters: [{{name: kind-{name}, cluster: {{server: "https://127.0.0.1:1", certificate-authority-data: Q0E=}}}}]
contexts: [{{name: kind-{name}, context: {{cluster: kind-{name}, user: kind-{name}}}}}]
users: [{{name: kind-{name}, user: {{token: the-key-of-{name}}}}}]
"""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The tools of one test. `environment` puts them on PATH, and nothing else but what the scripts use of POSIX."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, ROOT: str(self.root), "PATH": str(self.root / "bin"), "TMPDIR": str(self.root / "tmp")}

    @property
    def calls(self) -> list[str]:
        """Every call, in order."""
        journal = self.root / "journal"
        return journal.read_text().splitlines() if journal.exists() else []

    def called(self, start: str) -> list[str]:
        return [call for call in self.calls if call.startswith(start)]

    @property
    def containers(self) -> dict[str, dict[str, Any]]:
        """What docker has, by name."""
        return _containers(self.root)

    @property
    def left_behind(self) -> list[Path]:
        """Temporary files."""
        return list((self.root / "tmp").iterdir())

    def when(self, event: str) -> Path:
        """From now on: daemon-down, create-fails, create-fails-late, create-hangs, not-ready, not-answering; once: rm-too-early. unlink() ends it."""
        file = self.root / event
        file.touch()
        return file

    def make(self, cluster: str, *, owner: str, running: bool = True) -> None:
        """A cluster that a stack has made."""
        _add(self.root, cluster, mounts=[f"/kind/service-failover/owner/{owner}", "/kind/service-failover/generation/g1"], ports={})
        _change(self.root, f"{cluster}-control-plane", made=True, Running=running)

    def make_foreign(self, cluster: str) -> None:
        """A cluster that somebody else made."""
        _add(self.root, cluster, mounts=["/lib/modules"], ports={})

    def stop(self, cluster: str) -> None:
        """docker stop"""
        _change(self.root, f"{cluster}-control-plane", Running=False)

    def delete_by_hand(self, cluster: str) -> None:
        """What a user does with `kind delete cluster`."""
        (self.root / "containers" / f"{cluster}-control-plane.json").unlink()


def install(root: Path) -> Tools:
    """Tools that have nothing yet."""
    for folder in ("bin", "containers", "tmp"):
        (root / folder).mkdir(parents=True)
    for name in ("docker", "kind"):
        (root / "bin" / name).write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {__file__} {name} "$@"\n')
        (root / "bin" / name).chmod(0o755)
    for name in POSIX:
        (root / "bin" / name).symlink_to(shutil.which(name) or "")
    return Tools(root=root)


def _add(root: Path, cluster: str, *, mounts: list[str], ports: dict[str, Any]) -> None:
    """Start a node; another of that name is a conflict, as in docker."""
    name = f"{cluster}-control-plane"
    container = {
        "Id": f"id-of-{name}",
        "Name": f"/{name}",
        "State": {"Running": True},
        "Config": {"Labels": {LABEL: cluster}},
        "Mounts": [{"Type": "bind", "Destination": each} for each in mounts],
        "HostConfig": {"PortBindings": ports},
        "made": False,
    }
    draft = _draft(root, name, container)
    try:
        (root / "containers" / f"{name}.json").hardlink_to(draft)
    except FileExistsError:
        _fail(f'Error response from daemon: Conflict. The container name "/{name}" is already in use')
    finally:
        draft.unlink()


def _change(root: Path, name: str, **state: Any) -> None:
    file = root / "containers" / f"{name}.json"
    container = json.loads(file.read_text())
    if "made" in state:
        container["made"] = state.pop("made")
    container["State"].update(state)
    _draft(root, name, container).replace(file)


def _containers(root: Path) -> dict[str, dict[str, Any]]:
    """What docker has, by name. One that is removed meanwhile is not listed."""
    containers = {}
    for file in sorted((root / "containers").glob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            containers[file.stem] = json.loads(file.read_text())
    return containers


def _draft(root: Path, name: str, container: dict[str, Any]) -> Path:
    """A container written where nobody lists it: calls run side by side, and none may read half of one."""
    draft = root / "containers" / f"{name}.{os.getpid()}.draft"
    draft.write_text(json.dumps(container))
    return draft


def _fail(reason: str, code: int = 1) -> NoReturn:
    print(reason, file=sys.stderr)
    raise SystemExit(code)


def _option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def docker(root: Path, arguments: list[str]) -> None:
    """The calls that are made of docker."""
    if (root / "daemon-down").exists():
        _fail("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    containers = _containers(root)
    match arguments:
        case ["info", "--format", _]:
            print("28.2.2 8589934592")
        case ["context", "inspect", "--format", _]:
            print("unix:///var/run/docker.sock")
        case ["ps", "--all", "--quiet", "--no-trunc", *filters]:
            wanted = [each.partition("=")[::2] for each in filters if each != "--filter"]
            for container in containers.values():
                if all(_passes(container, *each) for each in wanted):
                    print(container["Id"])
        case ["inspect", *ids]:
            found = [container for container in containers.values() if container["Id"] in ids]
            if len(found) < len(ids):
                _fail("Error: No such object")
            print(json.dumps(found))
        case ["rm", "--force", "--volumes", *ids]:
            for name, container in containers.items():
                if container["Id"] in ids:
                    if (root / "rm-too-early").exists():  # docker lists a container that it is still making
                        (root / "rm-too-early").unlink()
                        _fail(f"Error: No such container: {container['Id']}")
                    (root / "containers" / f"{name}.json").unlink(missing_ok=True)
        case ["start", name]:
            _change(root, name, Running=True)
        case ["exec", name, *command]:
            if not containers.get(name, {"State": {"Running": False}})["State"]["Running"]:
                _fail(f"Error response from daemon: No such container, or it is not running: {name}")
            _execute(root, name, containers[name], command)
        case _:
            _fail(f"nobody expected: docker {' '.join(arguments)}", 64)


def _execute(root: Path, name: str, container: dict[str, Any], command: list[str]) -> None:
    match command:
        case ["touch", _]:
            _change(root, name, made=True)
        case ["kubectl", _, "wait", *_]:
            if (root / "not-ready").exists():
                _fail("error: timed out waiting for the condition on nodes/" + name)
        case ["sh", "-c", _]:
            raise SystemExit(9 if not container["made"] else 1 if (root / "not-answering").exists() else 0)
        case _:
            _fail(f"nobody expected: docker exec {' '.join(command)}", 64)


def _passes(container: dict[str, Any], what: str, value: str) -> bool:
    if what == "volume":
        return value in [mount["Destination"] for mount in container["Mounts"]]
    key, given, wanted = value.partition("=")
    return key in container["Config"]["Labels"] and (not given or container["Config"]["Labels"][key] == wanted)


def kind(root: Path, arguments: list[str]) -> None:
    """The calls that are made of kind. It has docker do the work, so it fails where docker does."""
    if arguments == ["version"]:
        print("kind v0.33.0 go1.26.8 linux/amd64")
        return
    if (root / "daemon-down").exists():
        _fail("ERROR: failed to list nodes: command docker ps failed with error: exit status 1")
    name = _option(arguments, "--name")
    container = root / "containers" / f"{name}-control-plane.json"
    match arguments[:2]:
        case ["create", "cluster"]:
            document = sys.stdin.read()
            (root / "document.yaml").write_text(document)
            if container.exists():
                _fail(f'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "{name}"')
            lines = [line.strip().partition(": ")[::2] for line in document.splitlines()]
            mounts = [value for key, value in lines if key.endswith("containerPath")]
            ports = {"30080/tcp": [{"HostIp": "127.0.0.1", "HostPort": value} for key, value in lines if key.endswith("hostPort")]}
            _add(root, name, mounts=mounts, ports=ports)
            while (root / "create-hangs").exists():
                (root / "hangs").touch()
                time.sleep(0.05)
            if (root / "create-fails").exists():  # kind cleans up after most of its failures
                container.unlink()
                _fail("ERROR: failed to create cluster: failed to init node with kubeadm")
            if (root / "create-fails-late").exists():  # but not after this one
                _fail("ERROR: failed to create cluster: failed to lock config file")
            Path(_option(arguments, "--kubeconfig")).write_text(KUBECONFIG.format(name=name))
        case ["get", "kubeconfig"]:
            print(KUBECONFIG.format(name=name))
        case ["delete", "cluster"]:
            container.unlink(missing_ok=True)
            Path(_option(arguments, "--kubeconfig"))
        case _:
            _fail(f"nobody expected: kind {' '.join(arguments)}", 64)


if __name__ == "__main__":
    place = Path(os.environ[ROOT])
    with (place / "journal").open("a") as journal:
        journal.write(" ".join(sys.argv[1:]).replace("\n", " ") + "\n")
    with contextlib.suppress(KeyboardInterrupt):
        {"docker": docker, "kind": kind}[sys.argv[1]](place, sys.argv[2:])
        raise SystemExit(0)
    raise SystemExit(130)
