"""A stack as the drill reaches it: who is primary and who stands by, kubectl for each cluster, admin ports, and what to remember while it is broken.

Everything goes through public doors: stack outputs, kubeconfigs, the Kubernetes API, admin ports of Envoy. It breaks nothing.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import toolchain
from cli import kubeconfigs
from cli.forwarding import port_forward
from cli.stack import Stack
from cli.traffic import ADMIN_PORT
from cli.workspace import CommandFailed
from drill.containers import Container, pods
from drill.notes import Notes
from drill.roles import App, Roles, read_roles
from drill.scenario import Expected
from gloo_api.names import DEFAULT_PROXY
from service_failover.addressing import EMBEDDED, realised
from service_failover.cluster_settings import ClusterKind
from service_failover.names import FED_NAMESPACE, GLOO_NAMESPACE

KUBECTL_TIMEOUT = 60.0
"""Seconds for one command, which itself gives up a request after ten."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A stack that is up."""

    stack: Stack
    kind: ClusterKind
    """Of its clusters; of several kinds the one on which least can be done."""
    url: str
    """Where clients call."""
    contexts: Mapping[str, str]
    """Name of each cluster, and of its context."""
    files: Mapping[str, Path]
    """The kubeconfig (0600) of each cluster."""
    roles: Roles
    notes: Notes
    on_mark: Callable[[str], None] = field(default=lambda _: None, repr=False)
    """Told what is done to the stack, at the moment at which it is done."""

    @classmethod
    def of(cls, stack: Stack) -> Self:
        """The target that a stack is.

        Errors: CommandFailed when the stack is not up, is not of the open edition, or has another shape than one primary with one standby.
        """
        outputs = stack.outputs()
        if not outputs.get("proxyUrl") or not outputs.get("kubeconfigs"):
            raise CommandFailed(f"stack {stack.name!r} is not up. Bring it up first: {stack.command('up')}")
        if outputs.get("edition", "open") != "open":
            raise CommandFailed(
                f"stack {stack.name!r} runs edition {outputs['edition']!r}; the drill knows the parts of edition 'open' only. "
                f"Break it by hand: {stack.command('fail')}"
            )
        notes = Notes(path=stack.workspace.root / stack.name / "drill.notes.json")
        files = {file.stem: file for file in kubeconfigs.write(stack, outputs)}
        return cls(
            stack=stack,
            kind=_kind_of(stack),
            url=str(outputs["proxyUrl"]),
            contexts=dict(outputs.get("contexts") or {}),
            files=files,
            roles=read_roles({name: _kubectl(file) for name, file in files.items()}, notes=notes, retry=stack.command("status")),
            notes=notes,
        )

    def mark(self, text: str) -> None:
        """Say what is done now."""
        self.on_mark(text)

    @property
    def embedded(self) -> bool:
        """Whether its pods are processes of this machine."""
        return self.kind is ClusterKind.EMBEDDED

    @property
    def primary(self) -> App:
        return self.roles.primary

    @property
    def standby(self) -> App:
        return self.roles.standby

    @property
    def gateway(self) -> Container:
        """The proxy that clients call."""
        return Container(cluster=self.primary.cluster, namespace=GLOO_NAMESPACE, app=DEFAULT_PROXY, name="envoy")

    @property
    def failover_gateway(self) -> Container:
        """The proxy of the standby's cluster."""
        return Container(cluster=self.standby.cluster, namespace=GLOO_NAMESPACE, app=DEFAULT_PROXY, name="envoy")

    @property
    def gloo(self) -> Container:
        """The control plane of the primary's cluster."""
        return Container(cluster=self.primary.cluster, namespace=GLOO_NAMESPACE, app="gloo", name="gloo")

    @property
    def standby_gloo(self) -> Container:
        """That of the standby's."""
        return Container(cluster=self.standby.cluster, namespace=GLOO_NAMESPACE, app="gloo", name="gloo")

    @property
    def gloo_fed(self) -> Container:
        return Container(cluster=self.roles.management, namespace=FED_NAMESPACE, app="gloo-fed", name="gloo-fed")

    def answer(self, expected: Expected) -> str | None:
        """What clients read when it is this one that serves; None: nothing good."""
        match expected:
            case Expected.BLUE:
                return self.primary.answer
            case Expected.GREEN:
                return self.standby.answer
            case Expected.NOBODY:
                return None

    def kubectl_command(self, cluster: str, *, timeout: str = "10s") -> list[str]:
        """The beginning of a command line; `timeout`: of each request, "0" for one that is to last."""
        return _kubectl(self.files[cluster], timeout=timeout)

    def kubectl(self, cluster: str, *arguments: str, stdin: str = "") -> str:
        """Run kubectl on one cluster; what it printed. Errors: CommandFailed with what kubectl said."""
        command = [*self.kubectl_command(cluster), *arguments]
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=KUBECTL_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(f"kubectl {' '.join(arguments[:3])} in cluster {cluster!r} gave no answer in {KUBECTL_TIMEOUT:g} s") from error
        if done.returncode:
            raise CommandFailed(f"kubectl {' '.join(arguments[:3])} in cluster {cluster!r}: {done.stderr.strip()}")
        return done.stdout

    def get(self, cluster: str, *arguments: str) -> Any:
        """`kubectl get -o json`, parsed."""
        return json.loads(self.kubectl(cluster, "get", "-o", "json", *arguments))

    def scheme(self) -> Any:
        """The FailoverScheme of the two."""
        return self.get(self.roles.management, "failoverscheme", "-n", self.roles.scheme_namespace, self.roles.scheme)

    @contextmanager
    def admin_ports(self, container: Container, *, newest: bool = False) -> Iterator[list[str]]:
        """URLs of the admin ports of the Envoys in a Deployment's pods (`newest`: in the newest one), for as long as the context lasts."""
        found = [pod for pod in pods(self, container) if pod["status"].get("podIP")]
        found = found[-1:] if newest else found
        if self.embedded:
            yield [f"http://{realised(pod['status']['podIP'], EMBEDDED['realise'])}:{ADMIN_PORT}" for pod in found]
            return
        with _forwarded(self.kubectl_command(container.cluster), [pod["metadata"]["name"] for pod in found], namespace=container.namespace) as urls:
            yield urls


@contextmanager
def _forwarded(kubectl: list[str], names: list[str], *, namespace: str) -> Iterator[list[str]]:
    if not names:
        yield []
        return
    with (
        port_forward(kubectl, f"pod/{names[0]}", ADMIN_PORT, namespace=namespace) as port,
        _forwarded(kubectl, names[1:], namespace=namespace) as others,
    ):
        yield [f"http://127.0.0.1:{port}", *others]


def _kubectl(file: Path, *, timeout: str = "10s") -> list[str]:
    return [str(toolchain.find("kubectl")), "--kubeconfig", str(file), f"--request-timeout={timeout}"]


def _kind_of(stack: Stack) -> ClusterKind:
    """By the types of the resources in its state: its config file may have changed since."""
    workspace = stack.workspace
    if workspace.names_type(stack.name, "service-failover:index:ExistingCluster"):
        return ClusterKind.EXISTING
    return ClusterKind.KIND if workspace.names_type(stack.name, "service-failover:index:KindCluster") else ClusterKind.EMBEDDED
