"""A place to measure in: one embedded cluster with the resource definitions, and gloo processes on it as their command line starts them.

The cluster is real (its API server, etcd); what is measured talks to it as in production, over mutual TLS. Everything is in one temporary directory.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx

from bench.certificates import Authority
from bench.processes import Running, free_port, start, until
from controlplane.kube.client import KubeClient, config_from_text
from controlplane.kube.objects import SECRET, Kind, Object
from gloo_api.crds import custom_resource_definitions
from service_failover.addressing import EMBEDDED
from service_failover.names import xds_server_identity

CHECKOUT = Path(__file__).resolve().parent.parent
NAMESPACE = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)
CRD = Kind(group="apiextensions.k8s.io", version="v1", kind="CustomResourceDefinition", plural="customresourcedefinitions", namespaced=False)
MANAGER = "bench"
_AT_A_TIME = 16


@dataclass(frozen=True)
class Gloo:
    """A running gloo."""

    process: Running
    xds_port: int
    health: str

    async def ready(self) -> bool:
        self.process.check()
        try:
            async with httpx.AsyncClient() as http:
                return (await http.get(f"http://{self.health}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False


@dataclass(frozen=True)
class Lab:
    """A running cluster and the authority of its xDS certificates."""

    directory: Path
    kubeconfig: str
    client: KubeClient
    authority: Authority

    @property
    def kubeconfig_file(self) -> Path:
        path = self.directory / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(self.kubeconfig)
        return path

    async def apply(self, kind: Kind, body: Object) -> None:
        await self.client.apply(kind, body, manager=MANAGER, force=True)

    async def apply_all(self, objects: Iterable[tuple[Kind, Object]]) -> None:
        """Apply many objects, a few at a time."""
        await together(self.apply(kind, body) for kind, body in objects)

    async def tls_secret(self, namespace: str, name: str, *, authority: Authority, identity: str) -> None:
        """A Secret of type kubernetes.io/tls for the chain itself (not for xDS)."""
        pair = authority.issue(identity)
        data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.pem}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        await self.apply(SECRET, {"metadata": {"namespace": namespace, "name": name}, "type": "kubernetes.io/tls", "data": encoded})

    @asynccontextmanager
    async def gloo(self, *, namespace: str = "gloo-system", watch: str = "default,gloo-system", xds_port: int = 0) -> AsyncIterator[Gloo]:
        """A gloo process, ready or not yet, for as long as the block lasts."""
        pair, port, health = self.authority.issue(xds_server_identity(namespace)), xds_port or free_port(), f"127.0.0.1:{free_port()}"
        arguments = ("--namespace", namespace, "--watch-namespaces", watch, "--health-address", health)
        process = await start(
            (sys.executable, "-m", "controlplane", "gloo", "--xds-address", f"127.0.0.1:{port}", "--realise", str(EMBEDDED["realise"]), *arguments),
            log=self.directory / f"gloo-{namespace}.log",
            env={
                "KUBECONFIG": str(self.kubeconfig_file),
                "PYTHONPATH": str(CHECKOUT),
                "POD_NAME": f"gloo-{namespace}",
                "XDS_TLS_CRT": pair.certificate,
                "XDS_TLS_KEY": pair.key,
                "XDS_TLS_CA": self.authority.pem,
            },
        )
        try:
            yield Gloo(process=process, xds_port=port, health=health)
        finally:
            await process.end(signal.SIGTERM)

    @asynccontextmanager
    async def ready_gloo(self, *, namespace: str = "gloo-system", watch: str = "default,gloo-system", xds_port: int = 0) -> AsyncIterator[Gloo]:
        """A gloo process that serves."""
        async with self.gloo(namespace=namespace, watch=watch, xds_port=xds_port) as gloo:
            await until(gloo.ready, "gloo is ready", seconds=120)
            yield gloo


async def together(tasks: Iterable[Awaitable[None]]) -> None:
    """Run many, a few at a time."""
    remaining = iter(tasks)

    async def work() -> None:
        for task in remaining:
            await task

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_A_TIME):
            group.create_task(work())


@asynccontextmanager
async def lab(directory: Path, *, namespaces: tuple[str, ...] = ("gloo-system",)) -> AsyncIterator[Lab]:
    """An embedded cluster below `directory`; it and its data are gone when the block ends."""
    state = directory / "cluster"
    spec = json.dumps({"name": "bench", "region": "us-east-1", "zone": "us-east-1a"})
    kubeconfig = await _embedded("start", state, given=spec)
    try:
        client = KubeClient(lambda: config_from_text(kubeconfig))
        try:
            found = Lab(directory=directory, kubeconfig=kubeconfig, client=client, authority=Authority())
            for definition in custom_resource_definitions():
                await found.apply(CRD, definition)
            for namespace in namespaces:
                await found.apply(NAMESPACE, {"metadata": {"name": namespace}})
            yield found
        finally:
            await client.close()
    finally:
        await _embedded("delete", state)


async def _embedded(command: str, state: Path, *, given: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "embedded", command, "--state-dir", str(state)),
        cwd=CHECKOUT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(given.encode())
    if process.returncode:
        raise RuntimeError(f"python -m embedded {command}: {errors.decode(errors='replace')}")
    return output.decode()
