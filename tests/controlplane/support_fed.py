"""A world for gloo-fed in this process: API doubles of a management cluster (also the primary's) and a remote one."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from support_api import ApiDouble, api_double, eventually

from controlplane.fed import process
from controlplane.fed.farewell import NAMESPACE
from controlplane.fed.kinds import FAILOVER_SCHEME, KUBERNETES_CLUSTER, UPSTREAM
from controlplane.fed.process import Options
from controlplane.kube.objects import DEPLOYMENT, NODE, SECRET, SERVICE

BLUE, GREEN = "default-service-blue-10000", "default-service-green-10000"
LABELS = {"gateway-proxy": "live", "gateway-proxy-id": "gateway-proxy", "gloo": "gateway-proxy"}
SCHEME = {
    "primary": {"clusterName": "local", "name": BLUE, "namespace": "gloo-system"},
    "failoverGroups": [{"priorityGroup": [{"cluster": "remote", "upstreams": [{"name": GREEN, "namespace": "gloo-system"}]}]}],
}


@dataclass
class World:
    """Two API servers; gloo-fed's own is that of `local`."""

    local: ApiDouble
    remote: ApiDouble
    options: Options

    @asynccontextmanager
    async def fed(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(process.main(self.options))
        try:
            yield
            if task.done():
                task.result()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def register(self, name: str, api: ApiDouble, *, kubeconfig: str | None = None) -> None:
        text = api.kubeconfig() if kubeconfig is None else kubeconfig
        data = {"kubeconfig": base64.b64encode(text.encode()).decode()}
        await self.local.put(SECRET, "gloo-fed", name, type="solo.io/kubeconfig", data=data)
        meta = {"annotations": {"servicefailover.dev/gateway-identity": f"failover-gateway.{name}"}}
        await self.local.put(KUBERNETES_CLUSTER, "gloo-fed", name, spec={"secretName": name}, metadata=meta)

    async def scheme(self, name: str = "failover-scheme", **changes: Any) -> None:
        await self.local.put(FAILOVER_SCHEME, "gloo-fed", name, spec={**SCHEME, **changes})

    def state(self, name: str = "failover-scheme") -> tuple[str, str]:
        status = (self.local.get(FAILOVER_SCHEME, "gloo-fed", name) or {}).get("status") or {}
        return status.get("state", ""), status.get("message", "")

    def cluster_state(self, name: str) -> tuple[str, str]:
        status = (self.local.get(KUBERNETES_CLUSTER, "gloo-fed", name) or {}).get("status") or {}
        entry = (status.get("status") or [{}])[0]
        return entry.get("state", ""), entry.get("message", "")

    def states(self, name: str = "failover-scheme") -> list[str]:
        """Every state that the scheme ever had, one after the other."""
        seen = self.local.history(FAILOVER_SCHEME, "gloo-fed", name)
        states = [(each.get("status") or {}).get("state", "") for each in seen]
        return [state for state, before in zip(states, ["", *states], strict=False) if state != before]

    def failover(self, name: str = BLUE) -> Any:
        return ((self.local.get(UPSTREAM, "gloo-system", name) or {}).get("spec") or {}).get("failover")

    async def accepted(self) -> None:
        await eventually(lambda: self.state()[0] == "ACCEPTED", "the scheme is accepted")

    def writes(self) -> list[tuple[str, str]]:
        """Requests that change something; to ask what is allowed is a POST too."""
        requests = (*self.local.requests, *self.remote.requests)
        return [(method, path) for method, path in requests if method != "GET" and not path.endswith("selfsubjectaccessreviews")]


@pytest.fixture(name="world")
async def make_world(monkeypatch: pytest.MonkeyPatch, tmp_path) -> AsyncIterator[World]:
    async with api_double() as local, api_double() as remote:
        path = tmp_path / "kubeconfig"
        path.write_text(local.kubeconfig())
        monkeypatch.setenv("KUBECONFIG", str(path))
        for api, upstream in ((local, BLUE), (remote, GREEN)):
            await api.put(UPSTREAM, "gloo-system", upstream, manager="gloo-discovery", spec={"kube": {"serviceName": "s"}})
            template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"image": "envoyproxy/envoy:v1.40.0"}]}}
            await api.put(DEPLOYMENT, "gloo-system", "gateway-proxy", spec={"selector": {"matchLabels": LABELS}, "template": template})
        await local.put(NAMESPACE, "", "gloo-fed")
        await local.put(DEPLOYMENT, "gloo-fed", "gloo-fed", spec={"replicas": 1})
        await put_failover_service(remote, "10.78.192.1")
        await remote.put(NODE, "", "node", metadata={"labels": {"topology.kubernetes.io/region": "us-west-2"}}, status={})
        yield World(
            local=local,
            remote=remote,
            options=Options(namespace="gloo-fed", gloo_namespace="gloo-system", health_address=None, started=time.monotonic()),
        )


async def put_failover_service(api: ApiDouble, address: str) -> None:
    ports = [{"name": "failover", "port": 15443, "targetPort": 15443}]
    spec = {"type": "LoadBalancer", "selector": {"gateway-proxy": "live"}, "ports": ports}
    await api.put(SERVICE, "gloo-system", "failover", spec=spec, status={"loadBalancer": {"ingress": [{"ip": address}]}})


async def ready(world: World) -> None:
    await world.register("local", world.local)
    await world.register("remote", world.remote)
    await world.scheme()


def addresses(failover: Any) -> list[str]:
    return [
        endpoint["address"]
        for priority in (failover or {}).get("prioritizedLocalities", [])
        for locality in priority["localityEndpoints"]
        for endpoint in locality["lbEndpoints"]
    ]
