"""Two embedded clusters for tests, the resource definitions installed, and control plane processes on them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
from support_certs import Authority
from support_envoy import CLIENT_NAME, SERVER_NAME, bootstrap, free_port

from controlplane.fed.kinds import KUBERNETES_CLUSTER
from controlplane.kube.client import KubeClient, config_from_text
from controlplane.kube.errors import NotFound
from controlplane.kube.objects import DEPLOYMENT, SECRET, SERVICE, Kind, Object
from controlplane.net import realiser
from gloo_api.crds import custom_resource_definitions

CHECKOUT = Path(__file__).resolve().parents[2]
RULE = "10.64.0.0/10=127.64.0.0/10"
realise = realiser(RULE)

NAMESPACE = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
CRD = Kind(group="apiextensions.k8s.io", version="v1", kind="CustomResourceDefinition", plural="customresourcedefinitions", namespaced=False)


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    name: str
    state: Path
    kubeconfig: str

    def client(self) -> KubeClient:
        return KubeClient(lambda: config_from_text(self.kubeconfig))

    @property
    def kubeconfig_file(self) -> Path:
        path = self.state.parent / f"{self.name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(self.kubeconfig)
        return path


@contextmanager
def embedded_cluster(directory: Path, name: str, region: str) -> Iterator[Cluster]:
    state = directory / name
    spec = json.dumps({"name": name, "region": region, "zone": f"{region}a"})
    command = [sys.executable, "-m", "embedded"]
    started = subprocess.run([*command, "start", "--state-dir", str(state)], input=spec, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    try:
        assert started.returncode == 0, f"the embedded cluster starts: {started.stderr}"
        yield Cluster(name=name, state=state, kubeconfig=started.stdout)
    finally:
        subprocess.run([*command, "delete", "--state-dir", str(state)], capture_output=True, cwd=CHECKOUT, check=True)


def embedded(command: str, cluster: Cluster) -> None:
    subprocess.run([sys.executable, "-m", "embedded", command, "--state-dir", str(cluster.state)], capture_output=True, cwd=CHECKOUT, check=True)


async def install_definitions(client: KubeClient, *namespaces: str) -> None:
    for definition in custom_resource_definitions():
        await client.apply(CRD, definition, manager="test", force=True)
    for namespace in namespaces:
        await client.apply(NAMESPACE, {"metadata": {"name": namespace}}, manager="test")


class Process:
    """A control plane process, as its command line starts it."""

    def __init__(self, *arguments: str, kubeconfig: Path, log: Path, env: dict[str, str] | None = None) -> None:
        self._arguments = arguments
        self._env = {**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(CHECKOUT), **(env or {})}
        self.log = log
        self.health = f"127.0.0.1:{free_port()}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "controlplane", *self._arguments, "--health-address", self.health, env=self._env, stdout=log, stderr=log
            )
        try:
            await until(self._ready, f"{self._arguments[0]} is ready", seconds=20)
        except BaseException:
            await self.end()
            raise

    async def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, f"it ended: {self.log.read_text()[-2000:]}"
        async with httpx.AsyncClient() as http:
            with suppress(httpx.HTTPError):
                return (await http.get(f"http://{self.health}/readyz")).status_code == 200
        return False

    async def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        return await self._process.wait()


@asynccontextmanager
async def started(process: Process) -> AsyncIterator[Process]:
    await process.start()
    try:
        yield process
    finally:
        await process.end()


def gloo(cluster: Cluster, *, xds: str, ca: Authority, directory: Path, replica: str = "gloo-0") -> Process:
    pair = ca.issue(SERVER_NAME)
    return Process(
        *(
            "gloo",
            "--namespace",
            "gloo-system",
            "--watch-namespaces",
            "default,gloo-system",
            "--xds-address",
            xds,
            "--realise",
            RULE,
            "--identity",
            replica,
        ),
        kubeconfig=cluster.kubeconfig_file,
        log=directory / f"{replica}-{cluster.name}.log",
        env={"XDS_TLS_CRT": pair.certificate, "XDS_TLS_KEY": pair.key, "XDS_TLS_CA": ca.pem},
    )


def gloo_fed(cluster: Cluster, *, directory: Path, replica: str = "gloo-fed-0", kubeconfig: Path | None = None) -> Process:
    command = ("gloo-fed", "--namespace", "gloo-fed", "--identity", replica)
    return Process(*command, kubeconfig=kubeconfig or cluster.kubeconfig_file, log=directory / f"{replica}.log")


async def apply(client: KubeClient, kind: Any, namespace: str, name: str, spec: dict[str, Any], **metadata: Any) -> None:
    await client.apply(kind, {"metadata": {"namespace": namespace, "name": name, **metadata}, "spec": spec}, manager="test", force=True)


async def register(management: KubeClient, cluster: Cluster, **annotations: str) -> None:
    data = {"kubeconfig": base64.b64encode(cluster.kubeconfig.encode()).decode()}
    secret = {"metadata": {"namespace": "gloo-fed", "name": cluster.name}, "type": "solo.io/kubeconfig", "data": data}
    await management.apply(SECRET, secret, manager="test", force=True)
    await apply(management, KUBERNETES_CLUSTER, "gloo-fed", cluster.name, {"secretName": cluster.name}, annotations=annotations)


async def deploy(client: KubeClient, name: str, *, namespace: str, image: str, args: list[str], labels: dict[str, str], replicas: int = 1) -> None:
    container = {
        "name": name,
        "image": image,
        "args": args,
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    await client.apply(DEPLOYMENT, {"metadata": {"namespace": namespace, "name": name}, "spec": spec}, manager="test", force=True)


async def serve(
    client: KubeClient, name: str, *, namespace: str, port: int, port_name: str, labels: dict[str, str], type_: str = "ClusterIP"
) -> None:
    ports = [{"name": port_name, "port": port, "targetPort": port, "protocol": "TCP"}]
    body = {"metadata": {"namespace": namespace, "name": name}, "spec": {"selector": labels, "ports": ports, "type": type_}}
    await client.apply(SERVICE, body, manager="test", force=True)


async def color(client: KubeClient, name: str, *, replicas: int = 1) -> None:
    """The guide's app without its Envoy: a Deployment and a Service on port 10000."""
    labels = {"app": "bluegreen", "text": name}
    args = [f"-text={name}-pod", "-listen=$(POD_IP):10000"]
    await deploy(client, f"echo-{name}", namespace="default", image="hashicorp/http-echo:1.0.0", args=args, labels=labels, replicas=replicas)
    await serve(client, f"service-{name}", namespace="default", port=10000, port_name="color", labels=labels)


async def gateway_proxy(client: KubeClient, *, xds_port: int, ca: Authority) -> None:
    """An Envoy as a pod that gets everything from gloo."""
    pair = ca.issue(CLIENT_NAME)
    config = bootstrap(xds_port=xds_port, admin=free_port(), node="$(POD_IP)", ca=ca.pem, pair=pair, bind_address="$(POD_IP)", delta=True)
    labels = {"gateway-proxy": "live", "gateway-proxy-id": "gateway-proxy", "gloo": "gateway-proxy"}
    args = ["--config-yaml", json.dumps(config), "--disable-hot-restart", "--concurrency", "1"]
    await deploy(client, "gateway-proxy", namespace="gloo-system", image="envoyproxy/envoy:v1.40.0", args=args, labels=labels)


async def tls_secret(client: KubeClient, name: str, *, ca: Authority, identity: str) -> None:
    pair = ca.issue(identity)
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": ca.pem}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    body = {"metadata": {"namespace": "gloo-system", "name": name}, "type": "kubernetes.io/tls", "data": encoded}
    await client.apply(SECRET, body, manager="test", force=True)


async def fetch(client: KubeClient, kind: Kind, namespace: str, name: str) -> Object | None:
    try:
        return await client._json("GET", kind.path(namespace=namespace, name=name))
    except NotFound:
        return None


async def until(check: Any, why: str, *, seconds: float = 15.0) -> Any:
    """Wait until the coroutine function `check` gives something true; its value."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        if value := await check():
            return value
        await asyncio.sleep(0.02)
    raise AssertionError(f"did not happen within {seconds} s: {why}")
