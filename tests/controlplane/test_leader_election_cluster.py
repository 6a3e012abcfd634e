"""Leader election on a real cluster: two electors with the rights of the components; two gloo and two gloo-fed, and a kill -9 under load."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx2 as httpx
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster as EnvoyCluster
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.ads_pb2_grpc import AggregatedDiscoveryServiceStub
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest
from support_accounts import account, bound_token, grant, kubeconfig
from support_api import eventually, running
from support_certs import Authority
from support_clusters import Cluster, Process, apply, embedded_cluster, fetch, gloo, gloo_fed, install_definitions, register, serve, until
from support_envoy import CLIENT_NAME, ROLE, SERVER_NAME, free_port

from controlplane.fed.kinds import FAILOVER_SCHEME, KUBERNETES_CLUSTER, UPSTREAM
from controlplane.kube.client import KubeClient, config_from_text
from controlplane.kube.election import LEASE, Timing
from controlplane.kube.leases import Leader
from controlplane.xds.resources import ResourceType
from service_failover.rbac import lease_rules

pytestmark = pytest.mark.cluster

BLUE = "default-service-blue-10000"
SCHEME = {
    "primary": {"clusterName": "local", "name": BLUE, "namespace": "gloo-system"},
    "failoverGroups": [{"priorityGroup": [{"cluster": "local", "upstreams": [{"name": "default-service-green-10000", "namespace": "gloo-system"}]}]}],
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory):
    with embedded_cluster(tmp_path_factory.mktemp("clusters"), "local", "us-east-1") as local:
        yield local


@pytest.fixture
async def admin(cluster: Cluster) -> AsyncIterator[KubeClient]:
    client = cluster.client()
    await install_definitions(client, "gloo-system", "gloo-fed")
    yield client
    await client.close()


async def holder(client: KubeClient, namespace: str, name: str) -> str:
    lease = await fetch(client, LEASE, namespace, name)
    return str(((lease or {}).get("spec") or {}).get("holderIdentity", ""))


async def test_two_electors_with_the_rights_that_the_component_gives_take_turns(cluster: Cluster, admin: KubeClient):
    await account(admin, "elector", namespace="gloo-system")
    await grant(admin, "elector", namespace="gloo-system", rules=lease_rules("elected"))
    text = kubeconfig(cluster, await bound_token(admin, "elector", namespace="gloo-system"))
    timing = Timing(lease=3, renew=2, retry=0.5)

    def elector(name: str) -> Leader:
        client = KubeClient(lambda: config_from_text(text))
        return Leader(client=client, namespace="gloo-system", name="elected", identity=name, timing=timing)

    a, b, c = elector("a"), elector("b"), elector("c")
    async with running(b.run()):
        async with running(a.run()):
            await eventually(lambda: a.is_leader != b.is_leader, "one of the two leads")
            first, second = (a, b) if a.is_leader else (b, a)
            await eventually(lambda: second.holder == first.identity, "the other one knows who")
        if first is a:
            started = time.monotonic()
            await a.release()
            await eventually(lambda: b.is_leader, "a release is seen")
            assert time.monotonic() - started < 1, "at once, and not when the lease ends"
        lease = await fetch(admin, LEASE, "gloo-system", "elected")
        assert lease["spec"]["holderIdentity"] == "b"
        assert lease["spec"]["leaseDurationSeconds"] == 3, "what kubectl get lease shows is client-go's"
    async with running(c.run()):
        started = time.monotonic()
        await eventually(lambda: c.is_leader, "b is gone without a word", seconds=10)
        assert 1.5 < time.monotonic() - started < 5, "so its lease is waited for"
    with pytest.raises(Exception, match="forbidden"):
        await a._client.get(LEASE, namespace="gloo-system", name="another")


async def clusters_at(port: int, ca: Authority) -> tuple[str, dict[str, bytes]]:
    """Version and resources of CDS as a proxy gets them at this replica."""
    pair = ca.issue(CLIENT_NAME)
    credentials = grpc.ssl_channel_credentials(ca.pem.encode(), pair.key.encode(), pair.certificate.encode())
    options = (("grpc.ssl_target_name_override", SERVER_NAME),)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
        stream = AggregatedDiscoveryServiceStub(channel).StreamAggregatedResources()
        node = Node(id=f"comparer-{port}", cluster="gateway")
        node.metadata.update({"role": ROLE})
        await stream.write(DiscoveryRequest(node=node, type_url=ResourceType.CLUSTER.url))
        response = await asyncio.wait_for(stream.read(), 10)
        stream.cancel()
        return response.version_info, {EnvoyCluster.FromString(each.value).name: each.value for each in response.resources}


async def metric(process: Process, name: str) -> float:
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://{process.health}/metrics")).text
    return float(next(line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(f"{name} ")))


async def test_two_of_each_serve_one_writes_and_a_kill_under_load_loses_no_write(cluster: Cluster, admin: KubeClient, tmp_path: Path):
    ca = Authority()
    ports = free_port(), free_port()
    gloos = [gloo(cluster, xds=f"127.0.0.1:{port}", ca=ca, directory=tmp_path, replica=f"gloo-{n}") for n, port in enumerate(ports)]
    feds = [gloo_fed(cluster, directory=tmp_path, replica=f"gloo-fed-{n}") for n in range(2)]
    async with AsyncExitStack() as stack:
        for process in (*gloos, *feds):
            await process.start()
            stack.push_async_callback(process.end)
        # /readyz said yes for all four, so a standby is ready.
        assert await holder(admin, "gloo-system", "gloo") == "gloo-0", "the first one leads"
        assert await holder(admin, "gloo-fed", "gloo-fed") == "gloo-fed-0"
        assert [await metric(each, "service_failover_leader") for each in (*gloos, *feds)] == [1, 0, 1, 0], "and the metric says who"
        await register(admin, cluster)
        for color in ("blue", "green"):
            await serve(admin, f"service-{color}", namespace="default", port=10000, port_name="http", labels={"text": color})

        async def primary_is_there() -> bool:
            return await fetch(admin, UPSTREAM, "gloo-system", BLUE) is not None

        await until(primary_is_there, "Upstreams are discovered")
        await apply(admin, FAILOVER_SCHEME, "gloo-fed", "failover-scheme", SCHEME)

        async def said() -> Any:
            return ((await fetch(admin, FAILOVER_SCHEME, "gloo-fed", "failover-scheme")) or {}).get("status", {}).get("state")

        await until(said, "the scheme has a status")

        # Load: Services come all the time, each of which has to become an Upstream with a status; in the middle of it both leaders are killed.
        made: list[str] = []

        async def load() -> None:
            for number in range(150):
                await serve(admin, f"load-{number}", namespace="default", port=80, port_name="http", labels={"app": "load"})
                made.append(f"default-load-{number}-80")
                await asyncio.sleep(0.1)

        loading = asyncio.ensure_future(load())
        await until_made(made, 30)
        assert await gloos[0].end(signal.SIGKILL) != 0
        assert await feds[0].end(signal.SIGKILL) != 0
        killed = time.monotonic()
        assert (await clusters_at(ports[1], ca))[1], "the standby serves while nobody leads"

        async def taken_over() -> bool:
            return (await holder(admin, "gloo-system", "gloo"), await holder(admin, "gloo-fed", "gloo-fed")) == ("gloo-1", "gloo-fed-1")

        await until(taken_over, "the standbys take over", seconds=20)
        took = time.monotonic() - killed
        assert took < 13, "a lease of 10 s, renewed every 2 s"
        await loading

        async def all_written() -> bool:
            upstreams = {each["metadata"]["name"]: each for each in (await admin.list(UPSTREAM, namespace="gloo-system")).items}
            return all((upstreams.get(name) or {}).get("status", {}).get("statuses") for name in made)

        await until(all_written, "every Service that came, before, between and after, has an Upstream with a status", seconds=30)
        lease = await fetch(admin, LEASE, "gloo-system", "gloo")
        assert lease["spec"]["leaseTransitions"] == 1, "one change of leaders"
        assert [await metric(each, "service_failover_leader") for each in (gloos[1], feds[1])] == [1, 1]

        # The killed ones come back: they follow, and serve what the others serve.
        await gloos[0].start()
        await feds[0].start()
        assert await holder(admin, "gloo-system", "gloo") == "gloo-1", "nobody gives way"

        one, other = [await clusters_at(port, ca) for port in ports]
        assert len(one[1]) >= len(made), "a cluster for each Service"
        assert one[1] == other[1], "both serve the same"
        assert one[0] == other[0], "under the same version: an Envoy that changes replicas is sent nothing anew"

        # The new leader of the federation writes: a change is answered by it.
        await apply(admin, FAILOVER_SCHEME, "gloo-fed", "failover-scheme", {**SCHEME, "primary": {**SCHEME["primary"], "clusterName": "nowhere"}})

        async def refused() -> bool:
            status = (await fetch(admin, FAILOVER_SCHEME, "gloo-fed", "failover-scheme"))["status"]
            return status["state"] == "INVALID" and "nowhere" in status["message"]

        await until(refused, "the federation answers")

        # SIGTERM: the lease is released, the other one leads at once.
        stopped = time.monotonic()
        assert await gloos[1].end(signal.SIGTERM) == 0
        assert await feds[1].end(signal.SIGTERM) == 0

        async def back() -> bool:
            return (await holder(admin, "gloo-system", "gloo"), await holder(admin, "gloo-fed", "gloo-fed")) == ("gloo-0", "gloo-fed-0")

        await until(back, "a clean end is no wait", seconds=5)
        assert time.monotonic() - stopped < 5
        assert await fetch(admin, KUBERNETES_CLUSTER, "gloo-fed", "local"), "and nothing is gone"
        print(json.dumps({"takeover_after_kill_seconds": round(took, 2), "services": len(made)}))


async def until_made(made: list[str], count: int) -> None:
    await eventually(lambda: len(made) >= count, f"{count} Services are there", seconds=30)
