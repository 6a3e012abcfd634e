"""Issues of Gloo whose cause we could share, shown on a real Envoy, each as a test named after it (numbers of kgateway-dev/kgateway and of Envoy).

gloo runs in this process on an API double and configures the Envoy. docs/robustness.md lists every issue with its test.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support_certs import Authority, Pair
from support_envoy import backend, free_port
from support_gloo import CLUSTER, Chain, chain

from controlplane.gloo.kinds import UPSTREAM

pytestmark = pytest.mark.envoy

KUBE = {"serviceName": "service-blue", "serviceNamespace": "default", "servicePort": 10000}


def check(interval: str = "0.2s") -> dict[str, Any]:
    return {"timeout": "1s", "interval": interval, "unhealthyThreshold": 2, "healthyThreshold": 1, "httpHealthCheck": {"path": "/"}}


def behind(port: int) -> dict[str, Any]:
    """A failover to `port` of loopback."""
    return {"prioritizedLocalities": [{"localityEndpoints": [{"lbEndpoints": [{"address": "127.0.0.1", "port": port}]}]}]}


async def settled(chain: Chain, modified: int) -> None:
    """The proxy has taken `modified` changes of clusters, and none is warming."""
    await chain.envoy.wait(
        lambda stats: stats.get("cluster_manager.cluster_modified", 0) >= modified and stats.get("cluster_manager.warming_clusters", 0) == 0,
        f"{modified} changes are taken",
    )


@pytest.mark.parametrize("failover", [False, True], ids=["alone", "with failover"])
async def test_gloo_4151_3673_3710_2356_an_upstream_edit_does_not_leave_the_cluster_without_endpoints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failover: bool
):
    """envoy#13070, #47302: a changed cluster warms until it is given endpoints, also when these have not changed."""
    async with AsyncExitStack() as stack:
        blue, green = [await stack.enter_async_context(backend(text)) for text in ("blue", "green")]
        chain_ = await stack.enter_async_context(chain(monkeypatch, tmp_path))
        more = {"failover": behind(green)} if failover else {}
        await chain_.endpoints(blue)
        await chain_.upstream(kube=KUBE, healthChecks=[check()], **more)
        await chain_.serves("blue")
        before = (await chain_.envoy.stats()).get("cluster_manager.cluster_modified", 0)
        async with chain_.load() as answers:
            for number in range(1, 11):
                start = time.monotonic()
                await chain_.upstream(kube=KUBE, healthChecks=[check(f"0.2{number}s")], **more)
                await settled(chain_, before + number)
                assert time.monotonic() - start < 5, "not after the 15 s of the initial fetch timeout"
        assert set(answers) == {"200 blue"}, "every request during ten edits is answered by the same endpoint"
        assert answers.total() > 50, "and there were some"
        stats = await chain_.envoy.stats()
        assert not stats.get(f"cluster.{CLUSTER}.upstream_cx_none_healthy"), "never without a healthy endpoint"
        assert not any("init_fetch_timeout" in name and value for name, value in stats.items()), "nothing waited for a timeout"


async def test_gloo_5449_pods_that_roll_while_their_cluster_changes_lose_no_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    async with AsyncExitStack() as stack:
        pods = [await stack.enter_async_context(backend("blue")) for _ in range(4)]
        green = await stack.enter_async_context(backend("green"))
        chain_ = await stack.enter_async_context(chain(monkeypatch, tmp_path))
        await chain_.endpoints(pods[0], pods[1])
        await chain_.upstream(kube=KUBE, healthChecks=[check()], failover=behind(green))
        await chain_.serves("blue")
        async with chain_.load() as answers:
            for number in range(1, 9):
                # A node goes: its pods come up elsewhere, and the scheme is written anew in the same moment.
                first = number % 4
                changes = {"kube": KUBE, "healthChecks": [check(f"0.2{number}s")], "failover": behind(green)}
                await asyncio.gather(chain_.endpoints(pods[first], pods[(first + 1) % 4]), chain_.upstream(**changes))
                await asyncio.sleep(0.4)
        bad = {answer: count for answer, count in answers.items() if not answer.startswith("200 ")}
        assert not bad, "nobody sees it"
        stats = await chain_.envoy.stats()
        healthy = stats.get(f"cluster.{CLUSTER}.membership_healthy")
        assert healthy == 3, "two pods and the failover endpoint: minutes later nothing is missing either"


@asynccontextmanager
async def tls_backend(server: Pair, *, trusts: str, folder: Path) -> AsyncIterator[tuple[int, list[str]]]:
    """An HTTPS server that wants a client certificate and closes after each answer; its port, and the serial numbers of those who came."""
    files = folder / "server.pem", folder / "clients.pem"
    for path, text in zip(files, (server.certificate + server.key, trusts), strict=True):
        path.touch(mode=0o600)
        path.write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files[1]))
    context.load_cert_chain(files[0])
    context.verify_mode = ssl.CERT_REQUIRED
    serials: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serials.append(writer.get_extra_info("peercert")["serialNumber"])
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nblue")
            await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", free_port(), ssl=context)
    try:
        yield listener.sockets[0].getsockname()[1], serials
    finally:
        listener.close()


async def test_gloo_6337_a_rotated_upstream_certificate_is_used_and_costs_no_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    old, new = Authority("old"), Authority("new")
    async with AsyncExitStack() as stack:
        port, serials = await stack.enter_async_context(tls_backend(old.issue("blue"), trusts=old.pem + new.pem, folder=tmp_path))
        chain_ = await stack.enter_async_context(chain(monkeypatch, tmp_path))
        await chain_.secret("upstream-tls", old.issue("proxy"), ca=old.pem)
        await chain_.endpoints(port)
        ssl_config = {"secretRef": {"name": "upstream-tls", "namespace": "gloo-system"}, "sni": "blue", "verifySubjectAltName": ["blue"]}
        await chain_.upstream(kube=KUBE, sslConfig=ssl_config)
        await chain_.serves("blue")
        clusters = (await chain_.envoy.stats()).get("cluster_manager.cluster_modified", 0)
        seen = set(serials)
        assert len(seen) == 1, "one certificate so far"
        async with chain_.load() as answers:
            # A new leaf of the old CA, then one of a new CA while both are trusted.
            for pair, trusted in ((old.issue("proxy"), old.pem), (new.issue("proxy"), old.pem + new.pem)):
                await chain_.secret("upstream-tls", pair, ca=trusted)
                deadline = time.monotonic() + 10
                while set(serials) <= seen and time.monotonic() < deadline:
                    await asyncio.sleep(0.02)
                assert set(serials) - seen, "new connections show the new certificate, without an edit of the Upstream"
                await asyncio.sleep(0.3)
                seen = set(serials)
                assert len(set(serials[-3:])) == 1, "and only that"
        assert set(answers) == {"200 blue"}, "no request is lost by it"
        assert (await chain_.envoy.stats()).get("cluster_manager.cluster_modified", 0) == clusters, "and no cluster was built anew"


async def test_gloo_7996_8215_2489_a_removed_pod_gets_no_requests_unless_health_is_to_decide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    async with AsyncExitStack() as stack:
        stays, goes = [await stack.enter_async_context(backend(text)) for text in ("stays", "goes")]
        chain_ = await stack.enter_async_context(chain(monkeypatch, tmp_path))
        await chain_.endpoints(stays, goes)
        await chain_.upstream(kube=KUBE, healthChecks=[check()])
        await chain_.serves("goes")
        await chain_.endpoints(stays)
        await asyncio.sleep(1)
        async with chain_.load() as answers:
            await asyncio.sleep(1)
        assert set(answers) == {"200 stays"}, "its health check still passes, and it is gone all the same"
        # With the user's own word it is kept for as long as it is healthy (an API server that lost its endpoints must not empty a cluster).
        await chain_.endpoints(stays, goes)
        await chain_.upstream(kube=KUBE, healthChecks=[check()], ignoreHealthOnHostRemoval=False)
        await chain_.serves("goes")
        await chain_.endpoints(stays)
        await asyncio.sleep(1)
        async with chain_.load() as answers:
            await asyncio.sleep(1)
        assert set(answers) == {"200 stays", "200 goes"}, "the field means what it says"


async def test_gloo_6374_a_primary_without_hosts_is_refused_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    async with AsyncExitStack() as stack:
        blue = await stack.enter_async_context(backend("blue"))
        chain_ = await stack.enter_async_context(chain(monkeypatch, tmp_path))
        await chain_.endpoints(blue)
        await chain_.upstream(kube=KUBE)
        await chain_.api.put(UPSTREAM, "gloo-system", "empty", spec={"static": {"hosts": []}, "failover": behind(blue), "healthChecks": [check()]})
        await chain_.serves("blue")

        def said() -> dict[str, Any]:
            found = chain_.api.get(UPSTREAM, "gloo-system", "empty") or {}
            return found.get("status", {}).get("statuses", {}).get("gloo-system", {})

        deadline = time.monotonic() + 5
        while not said() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert "static.hosts" in said().get("reason", ""), "gloo lives, and the status names the field"
