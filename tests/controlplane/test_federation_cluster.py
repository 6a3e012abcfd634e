"""gloo and gloo-fed as processes on two real clusters, with real Envoys between them: registration, failover and its end, loss and return.

It is one story, because starting two clusters is what costs time; each step says what it shows.
"""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from support_certs import Authority
from support_clusters import (
    Cluster,
    apply,
    color,
    embedded,
    embedded_cluster,
    fetch,
    gateway_proxy,
    gloo,
    gloo_fed,
    install_definitions,
    realise,
    register,
    serve,
    started,
    tls_secret,
    until,
)
from support_envoy import free_port

from controlplane.fed.kinds import FAILOVER_SCHEME, GLOO_INSTANCE, KUBERNETES_CLUSTER, UPSTREAM
from controlplane.gloo.kinds import GATEWAY, VIRTUAL_SERVICE
from controlplane.kube.client import KubeClient
from controlplane.kube.objects import EVENT, POD, SERVICE

pytestmark = pytest.mark.cluster

BLUE, GREEN = "default-service-blue-10000", "default-service-green-10000"
IDENTITY = "failover-gateway.remote"


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("clusters")
    with embedded_cluster(directory, "local", "us-east-1") as local, embedded_cluster(directory, "remote", "us-west-2") as remote:
        yield local, remote


async def answer(url: str) -> str:
    try:
        async with httpx.AsyncClient(timeout=3) as http:
            got = await http.get(url)
            return got.text.strip() if got.status_code == 200 else f"{got.status_code} {got.text}"
    except httpx.HTTPError as error:
        return type(error).__name__


async def answers(url: str, expected: str, why: str, *, seconds: float = 15.0) -> None:
    last = ""

    async def check() -> bool:
        nonlocal last
        last = await answer(url)
        return last == expected

    try:
        await until(check, why, seconds=seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; the last answer was {last!r}") from None


async def scheme_state(management: KubeClient) -> tuple[str, str]:
    scheme = await fetch(management, FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
    status = (scheme or {}).get("status") or {}
    return status.get("state", ""), status.get("message", "")


async def reaches(management: KubeClient, state: str, why: str) -> str:
    """Wait for a state of the scheme; its message."""

    async def check() -> tuple[str] | None:
        found = await scheme_state(management)
        return (found[1],) if found[0] == state else None

    try:
        return (await until(check, why))[0]
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {await scheme_state(management)}") from None


async def failover_of(client: KubeClient) -> Any:
    upstream = await fetch(client, UPSTREAM, "gloo-system", BLUE)
    return ((upstream or {}).get("spec") or {}).get("failover")


async def test_two_clusters_fail_over_and_heal(clusters: tuple[Cluster, Cluster], tmp_path: Path):
    local_cluster, remote_cluster = clusters
    local, remote = local_cluster.client(), remote_cluster.client()
    ca, xds_ca = Authority(), Authority()
    xds = {cluster.name: free_port() for cluster in clusters}
    await install_definitions(local, "gloo-system", "gloo-fed")
    await install_definitions(remote, "gloo-system")
    local_gloo = gloo(local_cluster, xds=f"127.0.0.1:{xds['local']}", ca=xds_ca, directory=tmp_path)
    remote_gloo = gloo(remote_cluster, xds=f"127.0.0.1:{xds['remote']}", ca=xds_ca, directory=tmp_path)
    fed = gloo_fed(local_cluster, directory=tmp_path)
    async with started(local_gloo), started(remote_gloo), started(fed):
        # The guide's chain.
        await color(local, "blue")
        await color(remote, "green")
        await tls_secret(local, "failover-upstream", ca=ca, identity="gateway-proxy.local")
        await tls_secret(remote, "failover-downstream", ca=ca, identity=IDENTITY)
        for name, client in (("local", local), ("remote", remote)):
            await gateway_proxy(client, xds_port=xds[name], ca=xds_ca)
        ssl = {
            "secretRef": {"name": "failover-downstream", "namespace": "gloo-system"},
            "sniDomains": [f"{GREEN}_gloo-system"],
            "verifySubjectAltName": ["gateway-proxy.local"],
        }
        host = {"name": "failover", "sslConfig": ssl, "destination": {"forwardSniClusterName": {}}}
        await apply(remote, GATEWAY, "gloo-system", "failover-gateway", {"bindAddress": "::", "bindPort": 15443, "tcpGateway": {"tcpHosts": [host]}})
        labels = {"gateway-proxy": "live", "gateway-proxy-id": "gateway-proxy"}
        await serve(remote, "failover", namespace="gloo-system", port=15443, port_name="failover", labels=labels, type_="LoadBalancer")
        check = {"timeout": "1s", "interval": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1, "httpHealthCheck": {"path": "/health"}}
        await apply(local, UPSTREAM, "gloo-system", BLUE, {"healthChecks": [check]})
        await apply(local, GATEWAY, "gloo-system", "gateway-proxy", {"bindAddress": "::", "bindPort": 8080, "httpGateway": {}})
        route = {"matchers": [{"prefix": "/"}], "routeAction": {"single": {"upstream": {"name": BLUE, "namespace": "gloo-system"}}}}
        await apply(local, VIRTUAL_SERVICE, "gloo-system", "default", {"virtualHost": {"domains": ["*"], "routes": [route]}})
        scheme = {
            "primary": {"clusterName": "local", "name": BLUE, "namespace": "gloo-system"},
            "failoverGroups": [{"priorityGroup": [{"cluster": "remote", "upstreams": [{"name": GREEN, "namespace": "gloo-system"}]}]}],
        }
        await apply(local, FAILOVER_SCHEME, "gloo-fed", "failover-scheme", scheme)
        message = await reaches(local, "INVALID", "a scheme of clusters that are not registered says so")
        assert "local" in message, "and names the cluster"

        # Registration.
        await register(local, local_cluster)
        await register(local, remote_cluster, **{"servicefailover.dev/gateway-identity": IDENTITY})
        await reaches(local, "ACCEPTED", "registration is all that was missing")
        service = await fetch(remote, SERVICE, "gloo-system", "failover")
        address = service["status"]["loadBalancer"]["ingress"][0]["ip"]
        instance = await fetch(local, GLOO_INSTANCE, "gloo-fed", "remote-gloo-system")
        assert instance["spec"]["region"] == "us-west-2", "the region of the remote nodes"
        assert instance["spec"]["proxies"][0]["ingressEndpoints"][0]["address"] == address, "the address of the failover Service"
        endpoint = (await failover_of(local))["prioritizedLocalities"][0]["localityEndpoints"][0]["lbEndpoints"][0]
        assert (endpoint["address"], endpoint["port"]) == (address, 15443)
        assert endpoint["upstreamSslConfig"]["sni"] == f"{GREEN}_gloo-system"
        assert endpoint["upstreamSslConfig"]["verifySubjectAltName"] == [IDENTITY], "the gateway must prove who it is"

        # Blue, green, blue.
        pods = (await local.list(POD, namespace="gloo-system")).items
        url = f"http://{realise(pods[0]['status']['podIP'])}:8080/"
        await answers(url, "blue-pod", "blue serves")
        await color(local, "blue", replicas=0)
        await answers(url, "green-pod", "without blue, green serves through the failover gateway of the other cluster")
        await color(local, "blue")
        await answers(url, "blue-pod", "and blue again when it is back")

        # The control plane dies: nothing happens to traffic, and it comes back by itself.
        await local_gloo.end(signal.SIGKILL)
        await fed.end(signal.SIGKILL)
        assert await answer(url) == "blue-pod", "Envoy needs no control plane"
        await local_gloo.start()
        await fed.start()
        assert (await scheme_state(local))[0] == "ACCEPTED", "a restart changes nothing"
        await color(local, "blue", replicas=0)
        await answers(url, "green-pod", "after a restart changes arrive as before")
        await color(local, "blue")
        await answers(url, "blue-pod", "in both directions")

        # The other cluster's API server is lost: what was known stays, the status says so; then it is found again.
        embedded("stop", remote_cluster)

        async def lost() -> bool:
            cluster = await fetch(local, KUBERNETES_CLUSTER, "gloo-fed", "remote")
            return cluster["status"]["status"][0]["state"] == "FAILED"

        await until(lost, "the loss is in the status of the KubernetesCluster", seconds=60)
        assert "does not answer since" in (await scheme_state(local))[1], "and of the scheme"
        assert await failover_of(local), "but what is known is not taken away"
        assert await fetch(local, GLOO_INSTANCE, "gloo-fed", "remote-gloo-system"), "nor is the instance"
        await asyncio.to_thread(embedded, "ensure", remote_cluster)

        async def found() -> bool:
            return (await scheme_state(local)) == ("ACCEPTED", "")

        await until(found, "it is found again by itself", seconds=30)

        # The end of a scheme.
        start = time.monotonic()
        obj = await fetch(local, FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
        assert obj["metadata"]["finalizers"] == ["fed.solo.io/finalizer"], "it holds its primary"
        await local.delete(FAILOVER_SCHEME, namespace="gloo-fed", name="failover-scheme", uid=obj["metadata"]["uid"])

        async def gone() -> bool:
            return await fetch(local, FAILOVER_SCHEME, "gloo-fed", "failover-scheme") is None

        await until(gone, "the finalizer is released")
        assert await failover_of(local) is None, "the primary is clean when the scheme is gone"
        assert time.monotonic() - start < 3, "at once"
        upstream = await fetch(local, UPSTREAM, "gloo-system", BLUE)
        assert upstream["spec"]["healthChecks"], "what others own in the primary stays"

        # A finalizer never wedges.
        await apply(local, FAILOVER_SCHEME, "gloo-fed", "failover-scheme", scheme)
        await reaches(local, "ACCEPTED", "it is carried out again")
        cluster = await fetch(local, KUBERNETES_CLUSTER, "gloo-fed", "local")
        await local.delete(KUBERNETES_CLUSTER, namespace="gloo-fed", name="local", uid=cluster["metadata"]["uid"])

        async def unregistered() -> bool:
            return await fetch(local, GLOO_INSTANCE, "gloo-fed", "local-gloo-system") is None

        await until(unregistered, "the cluster is no longer known")
        obj = await fetch(local, FAILOVER_SCHEME, "gloo-fed", "failover-scheme")
        await local.delete(FAILOVER_SCHEME, namespace="gloo-fed", name="failover-scheme", uid=obj["metadata"]["uid"])
        await until(gone, "the cluster of the primary is not registered any more, so nothing holds the scheme")
        events = (await local.list(EVENT, namespace="gloo-fed")).items
        assert [each["reason"] for each in events] == ["PrimaryNotCleaned"], "an event says what was left"
        await register(local, local_cluster)

        async def clean() -> bool:
            return await failover_of(local) is None

        await until(clean, "what was left is removed when the cluster is registered again")

        # SIGTERM.
        start = time.monotonic()
        assert await local_gloo.end(signal.SIGTERM) == 0, "a process that is told to stop stops, without an error"
        assert await fed.end(signal.SIGTERM) == 0
        assert time.monotonic() - start < 2, "at once"
        await local_gloo.start()
        await fed.start()
