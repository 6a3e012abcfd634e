"""A stack in memory that a scenario can break: Deployments, Secrets, the scheme's status, admin ports, processes. It can fail at any write."""

from __future__ import annotations

import base64
import json
import signal
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cli.stack import Stack
from cli.workspace import Workspace
from drill import containers, processes
from drill.certificates import Authority
from drill.containers import Container
from drill.notes import Notes
from drill.roles import App, Roles
from drill.scenarios import control_plane
from drill.target import Target
from service_failover.cluster_settings import ClusterKind

ROLES = Roles(
    management="local",
    scheme_namespace="gloo-fed",
    scheme="failover-scheme",
    upstream_namespace="gloo-system",
    upstream="default-service-blue-10000",
    primary=App(cluster="local", color="blue"),
    standby=App(cluster="remote", color="green"),
)
DEPLOYMENTS = (
    ("local", "default", "echo-blue", ("echo", "envoy")),
    ("remote", "default", "echo-green", ("echo", "envoy")),
    *((cluster, "gloo-system", "gateway-proxy", ("envoy",)) for cluster in ("local", "remote")),
    *((cluster, "gloo-system", "gloo", ("gloo",)) for cluster in ("local", "remote")),
    ("local", "gloo-fed", "gloo-fed", ("gloo-fed",)),
)
SECRETS = (("local", "failover-upstream", "gateway-proxy.local"), ("remote", "failover-downstream", "failover-gateway.remote"))


class Cut(Exception):
    """What does it ends here, as by a kill -9."""


@dataclass
class RecordedStack:
    """What a scenario may change, and how."""

    replicas: dict[tuple[str, str, str], int] = field(default_factory=lambda: {each[:3]: 1 for each in DEPLOYMENTS})
    generation: int = 1
    """Of every pod: a restart makes new ones."""
    secrets: dict[tuple[str, str], Any] = field(default_factory=dict)
    unhealthy: bool = False
    sick: bool = False
    frozen: set[int] = field(default_factory=set)
    api_servers: dict[str, int] = field(default_factory=lambda: {"local": 9001, "remote": 9002})
    writes: list[str] = field(default_factory=list)
    """Everything that was done to it, in order."""
    cut_at: int | None = None
    """The number of the write, from 0, that fails."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """A scenario may write several things at once."""

    def __post_init__(self) -> None:
        authority = Authority.create("the stack's authority")
        for cluster, name, identity in SECRETS:
            self.secrets[cluster, name] = secret(name, {**authority.issue(model_of(identity)), "ca.crt": authority.pem})

    def state(self) -> Any:
        """All that has to be as before once it is healed. Pods and an API server may be new ones."""
        return (dict(self.replicas), {key: each["data"] for key, each in self.secrets.items()}, self.unhealthy, self.sick, set(self.frozen))

    def write(self, text: str) -> None:
        with self.lock:
            if self.cut_at == len(self.writes):
                raise Cut(text)
            self.writes.append(text)

    def post(self, url: str, *, timeout: float) -> httpx.Response:
        """The admin port of blue's Envoy."""
        self.write(f"POST {url}")
        path = url.removeprefix("http://local/default/echo-blue/")
        match path.split("?"):
            case ["healthcheck/fail" | "healthcheck/ok" as path]:
                self.unhealthy = path.endswith("fail")
            case ["quitquitquit"]:
                self.generation += 1
            case ["runtime_modify", setting]:
                self.sick = setting == "sick.percent=100"
            case _:
                raise AssertionError(f"nobody answers to {url}")
        return httpx.Response(200, request=httpx.Request("POST", url))

    def admin(self, url: str, *, timeout: float) -> httpx.Response:
        """The admin port of a gateway: what it holds for healthy, and how many certificates it has taken."""
        taken = sum(each.startswith(f"patch {url.split('/')[2]}") for each in self.writes)
        stats = [{"name": "rq_total", "value": "0"}]
        hosts = [{"priority": priority, "health_status": {"eds_health_status": "HEALTHY"}, "stats": stats} for priority in (0, 1)]
        document = {"cluster_statuses": [{"name": ROLES.envoy_cluster, "host_statuses": hosts}]}
        text = json.dumps(document) if "clusters" in url else f"listener.ssl_context_update_by_sds: {taken}\n"
        return httpx.Response(200, text=text, request=httpx.Request("GET", url))

    def signal(self, pid: int, number: signal.Signals) -> None:
        assert pid, "0 would be this process group"
        self.write(f"{number.name} {pid}")
        if number is signal.SIGSTOP:
            self.frozen.add(pid)
        else:
            self.frozen.discard(pid)
        if number is signal.SIGKILL:
            self.api_servers = {cluster: pid + 10 if server == pid else server for cluster, server in self.api_servers.items()}

    @property
    def standby_proven(self) -> bool:
        """Whether a new connection would be made: the certificate of the server's side is good."""
        shown = x509.load_pem_x509_certificate(base64.b64decode(self.secrets["remote", "failover-downstream"]["data"]["tls.crt"]))
        return shown.not_valid_after_utc > datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class RecordedTarget(Target):
    """A Target whose clusters are in memory."""

    recorded: RecordedStack

    def kubectl(self, cluster: str, *arguments: str, stdin: str = "") -> str:
        recorded, words = self.recorded, [word for word in arguments if not word.startswith("--") and word != "-n"]
        if words[0] == "get":
            return "ok"
        recorded.write(f"{words[0]} {cluster} {' '.join(words[1:])}")
        match words:
            case ["scale", "deployment", namespace, name]:
                recorded.replicas[cluster, namespace, name] = int(arguments[-1].removeprefix("--replicas="))
            case ["rollout", "restart", "deployment", *_] | ["delete", "pod", *_]:
                recorded.generation += 1
            case ["patch", "secret", _, name]:
                recorded.secrets[cluster, name]["data"].update(json.loads(stdin)["data"])
            case ["create", "-f", "-"]:
                document = json.loads(stdin)
                recorded.secrets[cluster, document["metadata"]["name"]] = document
            case ["delete", "secret", _, name]:
                recorded.secrets.pop((cluster, name), None)
            case _:
                raise AssertionError(f"no scenario needs: kubectl {' '.join(arguments)}")
        return ""

    def get(self, cluster: str, *arguments: str) -> Any:
        recorded = self.recorded
        match arguments:
            case ["pods", "-n", namespace]:
                found = [each for each in DEPLOYMENTS if each[:2] == (cluster, namespace) for _ in range(recorded.replicas[each[:3]])]
                return {"items": [pod(each, generation=recorded.generation) for each in found]}
            case ["deployment", "-n", namespace, name]:
                return deployment(recorded.replicas[cluster, namespace, name])
            case ["secret", "-n", _, name]:
                return json.loads(json.dumps(recorded.secrets[cluster, name]))
            case ["secrets", "-n", _, selector]:
                found = recorded.secrets.get((cluster, selector.removeprefix("--field-selector=metadata.name=")))
                return {"items": [found] if found else []}
            case ["failoverscheme", *_]:
                return scheme(proven=recorded.standby_proven)
        raise AssertionError(f"no scenario asks for {arguments}")

    @contextmanager
    def admin_ports(self, container: Container, *, newest: bool = False) -> Iterator[list[str]]:
        yield [f"http://{container.cluster}/{container.namespace}/{container.app}"]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> RecordedStack:
    """A whole stack; whatever goes to a socket or to a process goes to it."""
    stack = RecordedStack()
    monkeypatch.setattr(httpx, "post", stack.post)
    monkeypatch.setattr(httpx, "get", stack.admin)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: BytesIO(b'"blue-pod"\n'))
    for module in (processes, control_plane):
        monkeypatch.setattr(module, "signal_to", stack.signal)
    monkeypatch.setattr(control_plane, "api_server", lambda _, cluster: stack.api_servers[cluster])
    for module in (processes, containers):
        monkeypatch.setattr(module, "process_of", lambda container_id: int(container_id))
    return stack


def target_of(stack: RecordedStack, folder: Path, *, kind: ClusterKind = ClusterKind.EMBEDDED) -> RecordedTarget:
    """A target as each process makes one for itself: nothing but the stack and its folder is shared."""
    return RecordedTarget(
        stack=Stack(name="recorded", workspace=Workspace(root=folder)),
        kind=kind,
        url="http://local:8080",
        contexts={},
        files={},
        roles=ROLES,
        notes=Notes(path=folder / "drill.notes.json"),
        recorded=stack,
    )


def pod(deployment: tuple[str, str, str, tuple[str, ...]], *, generation: int) -> Any:
    _, _, name, names = deployment
    statuses = [
        {"name": each, "state": {"running": {}}, "ready": True, "restartCount": 0, "containerID": str(100 * DEPLOYMENTS.index(deployment) + index)}
        for index, each in enumerate(names, start=1)
    ]
    metadata = {"name": f"{name}-{generation}", "uid": f"{name}-{generation}", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "status": {"podIP": "10.77.0.10", "containerStatuses": statuses}}


def deployment(replicas: int) -> Any:
    counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), replicas)
    return {"metadata": {"generation": 1}, "spec": {"replicas": replicas}, "status": {"observedGeneration": 1, **counts}}


def scheme(*, proven: bool = True) -> Any:
    """The scheme of a stack in which all is well, but perhaps for the proof that the standby works."""
    standby = {"priority": 1, "healthy": 1 if proven else 0, "total": 1, "proven": proven, "unprovenReason": "" if proven else "it failed its check"}
    status = {
        "state": "ACCEPTED",
        "serving": {"priority": 0, "name": "primary (local)"},
        "tiers": [{"priority": 0, "healthy": 1, "total": 1}, standby],
        "standbyProven": proven,
    }
    return {"metadata": {"name": "failover-scheme", "namespace": "gloo-fed"}, "status": status}


def secret(name: str, content: dict[str, str]) -> Any:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in content.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": name, "namespace": "gloo-system"}, "data": data}


def model_of(identity: str) -> str:
    """A certificate (PEM) with the name and the use that those of the stack have."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity)])
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(identity)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
