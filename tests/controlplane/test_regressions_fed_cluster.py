"""Issues of Gloo Federation that only a real API server can show: races of writers, a deleted role, a token that has ended."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support_accounts import CLUSTER_ROLE, ROLE, account, grant, grant_everywhere, kubeconfig, remove, token_secret
from support_clusters import Cluster, apply, embedded_cluster, fetch, gloo_fed, install_definitions, started, until

from controlplane.fed.kinds import FAILOVER_SCHEME, KUBERNETES_CLUSTER, UPSTREAM
from controlplane.kube.client import KubeClient
from controlplane.kube.election import LEASE
from controlplane.kube.objects import DEPLOYMENT, SECRET, SERVICE
from service_failover.federation_rights import CONTROLLER, cluster_rules, namespace_rules
from service_failover.gloo_fed import fed_rules

pytestmark = pytest.mark.cluster

BLUE, GREEN = "default-service-blue-10000", "default-service-green-10000"
SCHEME = {
    "primary": {"clusterName": "local", "name": BLUE, "namespace": "gloo-system"},
    "failoverGroups": [{"priorityGroup": [{"cluster": "local", "upstreams": [{"name": GREEN, "namespace": "gloo-system"}]}]}],
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


async def give_rights(client: KubeClient) -> None:
    """What the component gives, word for word."""
    await grant(client, CONTROLLER, namespace="gloo-system", rules=namespace_rules())
    await grant_everywhere(client, CONTROLLER, namespace="gloo-system", rules=cluster_rules())


async def register(client: KubeClient, text: str) -> None:
    data = {"kubeconfig": base64.b64encode(text.encode()).decode()}
    body = {"metadata": {"namespace": "gloo-fed", "name": "local"}, "type": "solo.io/kubeconfig", "data": data}
    await client.apply(SECRET, body, manager="test", force=True)
    await apply(client, KUBERNETES_CLUSTER, "gloo-fed", "local", {"secretName": "local"})


async def says(client: KubeClient, state: str, part: str, why: str) -> float:
    """Wait until the KubernetesCluster says so; how long that took."""
    start = time.monotonic()
    seen: Any = None

    async def check() -> bool:
        nonlocal seen
        obj = await fetch(client, KUBERNETES_CLUSTER, "gloo-fed", "local")
        seen = (((obj or {}).get("status") or {}).get("status") or [{}])[0]
        return seen.get("state") == state and part in seen.get("message", "")

    try:
        await until(check, why, seconds=40)
    except AssertionError as error:
        raise AssertionError(f"{error}; it says {seen}") from None
    return time.monotonic() - start


async def test_gloo_5130_and_6315_a_role_and_a_token_come_back_and_nobody_restarts_anything(cluster: Cluster, admin: KubeClient, tmp_path: Path):
    await account(admin, CONTROLLER, namespace="gloo-system")
    await give_rights(admin)
    await register(admin, kubeconfig(cluster, await token_secret(admin, CONTROLLER, namespace="gloo-system")))
    for name in (BLUE, GREEN):
        await apply(admin, UPSTREAM, "gloo-system", name, {"static": {"hosts": [{"addr": "10.77.0.9", "port": 80}]}})
    # The proxy that GREEN is reached by: a Deployment that runs nowhere is enough.
    labels = {"gateway-proxy": "live"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "envoy", "image": "envoyproxy/envoy:v1.40.0"}]}}
    await apply(admin, DEPLOYMENT, "gloo-system", "gateway-proxy", {"replicas": 0, "selector": {"matchLabels": labels}, "template": template})
    ports = [{"name": "failover", "port": 15443, "targetPort": 15443}]
    await apply(admin, SERVICE, "gloo-system", "failover", {"type": "LoadBalancer", "selector": labels, "ports": ports})
    await apply(admin, FAILOVER_SCHEME, "gloo-fed", "failover-scheme", SCHEME)
    async with started(gloo_fed(cluster, directory=tmp_path)):
        await says(admin, "ACCEPTED", "", "the rights of the component are enough for all that gloo-fed does there")

        async def failover() -> Any:
            return ((await fetch(admin, UPSTREAM, "gloo-system", BLUE)) or {})["spec"].get("failover")

        before = await until(failover, "also to write")

        await remove(admin, CLUSTER_ROLE, "", CONTROLLER)
        await remove(admin, ROLE, "gloo-system", CONTROLLER)
        noticed = await says(admin, "FAILED", "list and watch nodes", "a deleted role is noticed though the watches are open")
        await says(admin, "FAILED", "patch upstreams.gloo.solo.io in gloo-system", "with every right that is missing")
        assert await failover() == before, "what works is left alone"
        await give_rights(admin)
        healed = await says(admin, "ACCEPTED", "", "as soon as it is there again the cluster is as before")

        await remove(admin, SECRET, "gloo-system", CONTROLLER)
        await says(admin, "FAILED", "refuses the token", "a token that has ended is noticed")
        await register(admin, kubeconfig(cluster, await token_secret(admin, CONTROLLER, namespace="gloo-system")))
        renewed = await says(admin, "ACCEPTED", "", "a new kubeconfig is used at once")
        assert await failover() == before, "through all of it"
        print({"role noticed": round(noticed, 1), "role healed": round(healed, 1), "token renewed": round(renewed, 1)})
        assert max(noticed, healed, renewed) < 20, "seconds, not the minutes that a watch lasts"


async def test_gloo_7309_writers_that_race_for_one_upstream_all_get_through(admin: KubeClient):
    await apply(admin, UPSTREAM, "gloo-system", "raced", {"static": {"hosts": [{"addr": "10.77.0.9", "port": 80}]}})

    async def write(number: int) -> None:
        for round_ in range(15):
            body = {"metadata": {"namespace": "gloo-system", "name": "raced", "annotations": {f"writer/{number}": str(round_)}}}
            await admin.apply(UPSTREAM, body, manager=f"writer-{number}")

    async def report() -> None:
        for round_ in range(15):
            body = {
                "metadata": {"namespace": "gloo-system", "name": "raced"},
                "status": {"statuses": {"gloo-system": {"state": "Accepted", "reason": f"{round_}"}}},
            }
            await admin.apply(UPSTREAM, body, manager="gloo", force=True, subresource="status")

    await asyncio.gather(report(), *(write(number) for number in range(8)))
    found = await fetch(admin, UPSTREAM, "gloo-system", "raced")
    assert found is not None
    assert {f"writer/{number}": "14" for number in range(8)}.items() <= found["metadata"]["annotations"].items(), "the last write of each is there"
    assert found["status"]["statuses"]["gloo-system"]["reason"] == "14"


async def test_gloo_fed_runs_with_the_rights_of_its_component(cluster: Cluster, admin: KubeClient, tmp_path: Path):
    await account(admin, "gloo-fed", namespace="gloo-fed")
    await grant(admin, "gloo-fed", namespace="gloo-fed", rules=fed_rules("gloo-fed"))
    file = tmp_path / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(kubeconfig(cluster, await token_secret(admin, "gloo-fed", namespace="gloo-fed")))
    fed = gloo_fed(cluster, directory=tmp_path, replica="gloo-fed-with-rights", kubeconfig=file)
    async with started(fed):

        async def leads() -> bool:
            lease = await fetch(admin, LEASE, "gloo-fed", "gloo-fed")
            return ((lease or {}).get("spec") or {}).get("holderIdentity") == "gloo-fed-with-rights"

        await until(leads, "it may hold its Lease", seconds=20)
    assert "forbidden" not in fed.log.read_text(), "nothing that it does was refused"
