"""What there is on this machine for kind clusters. Finds facts out, each within seconds, and judges none: `preflight` does."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from service_failover.kind.nodes import DockerFailed, Node, docker, list_nodes

Version = tuple[int, ...]

_INOTIFY = Path("/proc/sys/fs/inotify")
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_LOCAL_HOST = re.compile(r"(unix|npipe):|(tcp|http|https)://(localhost|127\.0\.0\.1|\[::1\])(:|/|$)")
_PROBE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Docker:
    """The docker daemon that `docker` talks to."""

    version: Version
    memory: int
    """What containers may have, in bytes."""
    host: str
    """Where it listens, such as unix:///var/run/docker.sock."""

    @property
    def local(self) -> bool:
        """Whether the ports that it publishes on 127.0.0.1 are this machine's."""
        return bool(_LOCAL_HOST.match(self.host))


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The facts."""

    docker: Docker | str
    """The daemon, or why there is none."""
    kind: Version | None
    """Version of kind; None: it is not on PATH, or states none."""
    kubectl: Version | None
    experimental_provider: str
    """$KIND_EXPERIMENTAL_PROVIDER."""
    inotify: tuple[int, int] | None
    """Limits of a user: instances, watches. None where the kernel is not Linux, or docker's is another machine's."""
    taken_ports: frozenset[int]
    """Those of the ports in question that somebody listens on."""
    nodes: tuple[Node, ...]
    """Nodes of kind clusters."""


def examine(ports: Iterable[int]) -> Machine:
    """This machine. Of all ports, `ports` are looked at."""
    try:
        daemon: Docker | str = _docker()
        nodes = list_nodes()
    except DockerFailed as error:
        daemon, nodes = str(error), ()
    return Machine(
        docker=daemon,
        kind=_version_of("kind", "version"),
        kubectl=_version_of("kubectl", "version", "--client"),
        experimental_provider=os.environ.get("KIND_EXPERIMENTAL_PROVIDER", ""),
        inotify=_inotify(),
        taken_ports=frozenset(port for port in ports if is_taken(port)),
        nodes=nodes,
    )


def is_taken(port: int) -> bool:
    """Whether somebody listens on this port of 127.0.0.1, or of all addresses."""
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as server:
        # As servers do: connections that were closed a moment ago do not hold the port.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE  # a port that only root may open is docker's to open
    return False


def _docker() -> Docker:
    version, _, memory = docker("info", "--format", "{{.ServerVersion}} {{.MemTotal}}").strip().partition(" ")
    parsed = _parsed(version)
    if parsed is None:
        raise DockerFailed("the daemon does not answer (docker info says why)")
    host = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").strip()
    return Docker(version=parsed, memory=int(memory), host=host)


def _version_of(*command: str) -> Version | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _parsed(done.stdout)


def _parsed(text: str) -> Version | None:
    found = _VERSION.search(text)
    return tuple(int(number) for number in found.groups() if number) if found else None


def _inotify() -> tuple[int, int] | None:
    try:
        return int((_INOTIFY / "max_user_instances").read_text()), int((_INOTIFY / "max_user_watches").read_text())
    except (OSError, ValueError):
        return None
