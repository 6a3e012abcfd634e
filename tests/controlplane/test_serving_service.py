"""Who serves, from proxies that are asked over HTTP to the statuses in an API server: written on change, at once, and not oftener."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from support_api import ApiDouble, api_double, eventually, running
from support_envoy import free_port

from controlplane import metrics
from controlplane.gloo.kinds import UPSTREAM
from controlplane.gloo.serving import pace, poller, writer
from controlplane.gloo.serving.pace import BATCH, INTERVAL_SECONDS, SHARE, batches, pause
from controlplane.gloo.serving.proxies import Target, targets
from controlplane.gloo.serving.service import ServingService
from controlplane.gloo.serving.watched import watched
from controlplane.kube.objects import ENDPOINT_SLICE
from controlplane.kube.view import ClusterView

pytestmark = pytest.mark.loopback

BLUE = "default-service-blue-10000"
FAILOVER = {"prioritizedLocalities": [{"localityEndpoints": [{"lbEndpoints": [{"address": "10.1.0.1", "port": 15443}]}]}]}
SPEC = {"kube": {"serviceName": "s"}, "healthChecks": [{"interval": "1s"}], "failover": FAILOVER}


OFTEN = INTERVAL_SECONDS / 5


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies are asked, and their counters written, five times as often."""
    monkeypatch.setattr(pace, "INTERVAL_SECONDS", OFTEN)
    monkeypatch.setattr(writer, "COUNTS_SECONDS", writer.COUNTS_SECONDS / 5)


@dataclass
class ProxyDouble:
    """A proxy that says what a test tells it to: the health flags and the request counters of two endpoints."""

    flags: list[dict[str, Any]] = field(default_factory=lambda: [{}, {}])
    requests: list[int] = field(default_factory=lambda: [0, 0])
    port: int = field(default_factory=free_port)
    questions: int = 0

    def answer(self) -> bytes:
        hosts = [
            {
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1000 + priority}},
                "priority": priority,
                "health_status": {"eds_health_status": "HEALTHY", **flags},
                "stats": [{"name": "rq_total", "value": str(requests)}],
            }
            for priority, (flags, requests) in enumerate(zip(self.flags, self.requests, strict=True))
        ]
        return json.dumps({"cluster_statuses": [{"name": f"{BLUE}_gloo-system", "host_statuses": hosts}]}).encode()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async def serve(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
            with suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    assert head.startswith(b"GET /clusters?format=json&filter="), "the only thing that is asked"
                    self.questions += 1
                    body = self.answer()
                    out.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                    await out.drain()
            out.close()

        connections: set[asyncio.StreamWriter] = set()

        async def remember(reader: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
            connections.add(out)
            await serve(reader, out)

        server = await asyncio.start_server(remember, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()
            for each in connections:
                each.transport.abort()


@asynccontextmanager
async def world(*proxies: ProxyDouble) -> AsyncIterator[ApiDouble]:
    """An API server with blue, which fails over, and these proxies behind the status Service."""
    async with api_double() as api:
        await api.put(UPSTREAM, "gloo-system", BLUE, spec=SPEC, status={"statuses": {"gloo-system": {"state": "Accepted"}}})
        for number, proxy in enumerate(proxies):
            endpoint = {"addresses": ["127.0.0.1"], "conditions": {"ready": True}, "targetRef": {"name": f"proxy-{number}"}}
            ports = [{"name": "proxy-status", "port": proxy.port}]
            await api.put(ENDPOINT_SLICE, "gloo-system", f"status-{number}", ports=ports, endpoints=[endpoint])
        yield api


@asynccontextmanager
async def service(api: ApiDouble) -> AsyncIterator[None]:
    """One term of the duty, on a view of the API server."""
    client = api.client()
    made: list[ServingService] = []
    view = ClusterView(client, on_change=lambda kind, key: made[0].changed(kind, key) if made else None)
    view.watch(UPSTREAM, status=False)
    try:
        async with running(view.run()):
            await view.synced()
            made.append(ServingService(source=client, view=view, writer=client, namespace="gloo-system", tls=None, realise=str, named=str))
            async with running(made[0].run()):
                yield
    finally:
        await client.close()


def failover(api: ApiDouble) -> dict[str, Any]:
    found: dict[str, Any] = ((api.get(UPSTREAM, "gloo-system", BLUE) or {}).get("status") or {}).get("failover") or {}
    return found


def serving(api: ApiDouble) -> int | None:
    found: int | None = failover(api).get("serving", {}).get("priority")
    return found


def writes(api: ApiDouble) -> int:
    return sum(method == "PATCH" for method, _ in api.requests)


@pytest.mark.usefixtures("often")
async def test_who_serves_is_written_beside_the_reporters_status() -> None:
    proxy = ProxyDouble()
    async with proxy.running(), world(proxy) as api, service(api):
        await eventually(lambda: serving(api) == 0, "blue serves")
        status = api.get(UPSTREAM, "gloo-system", BLUE)["status"]  # type: ignore[index] # it is there
        assert status["statuses"] == {"gloo-system": {"state": "Accepted"}}, "whose fields they are not"
        assert status["failover"]["standbyProven"] is True, "green is healthy"
        before = writes(api)
        await asyncio.sleep(3 * OFTEN)
        assert writes(api) == before, "nothing is written while nothing changes"


async def test_a_switch_is_written_within_two_questions() -> None:
    proxy = ProxyDouble()
    async with proxy.running(), world(proxy) as api, service(api):
        await eventually(lambda: serving(api) == 0, "blue serves")
        proxy.flags[0] = {"failed_active_health_check": True}
        await eventually(lambda: serving(api) == 1, "green serves", seconds=0.8)
        assert failover(api)["serving"]["reason"] == "HealthCheckFailed", "and why"
        proxy.flags[0] = {}
        await eventually(lambda: serving(api) == 0, "blue is back", seconds=0.8)
        assert failover(api)["serving"]["reason"] == "Recovered", "and why"


@pytest.mark.usefixtures("often")
async def test_shares_are_written_once_a_second_at_most() -> None:
    proxy = ProxyDouble()
    async with proxy.running(), world(proxy) as api, service(api):
        await eventually(lambda: serving(api) == 0, "blue serves")
        before = writes(api)
        for step in range(20):  # twice the time between two writes, in which the shares move all the time
            proxy.requests = [proxy.requests[0] + 10, proxy.requests[1] + 10 * (step % 4)]
            await asyncio.sleep(0.1 / 5)
        assert failover(api)["priorities"][0]["requestShare"] not in (None, 100), "they are written"
        assert writes(api) - before <= 4, "but not at every question"


@pytest.mark.usefixtures("often")
async def test_a_restarted_control_plane_knows_since_when() -> None:
    proxy = ProxyDouble(flags=[{"failed_active_health_check": True}, {}])
    async with proxy.running(), world(proxy) as api:
        async with service(api):
            await eventually(lambda: serving(api) == 1, "green serves")
        before, count = failover(api)["serving"], writes(api)
        async with service(api):
            await asyncio.sleep(3 * OFTEN)
            assert failover(api)["serving"] == before, "it read it in the status"
            assert writes(api) == count, "and has nothing to add"


@pytest.mark.usefixtures("often")
async def test_a_proxy_that_goes_silent_is_flagged_and_then_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "STALE_SECONDS", 0.2)
    proxy = ProxyDouble()
    async with world(proxy) as api:
        async with proxy.running(), service(api):
            await eventually(lambda: serving(api) == 0, "blue serves")
        async with service(api):
            await eventually(lambda: failover(api)["proxies"].get("staleSince"), "nobody answers")
            assert serving(api) == 0, "the last that was known"
            assert "ConnectError" in failover(api)["proxies"]["message"], "and why nothing new is"
            async with proxy.running():
                await eventually(lambda: "staleSince" not in failover(api)["proxies"], "it answers again")


@pytest.mark.usefixtures("often")
async def test_one_of_two_proxies_is_enough_and_the_other_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poller, "STALE_SECONDS", 0.2)
    one, two = ProxyDouble(), ProxyDouble()
    async with one.running(), world(one, two) as api, service(api):
        await eventually(lambda: failover(api).get("proxies", {}).get("message", "").startswith("proxy-1"), "the other does not answer")
        assert (failover(api)["proxies"]["total"], failover(api)["proxies"]["answering"]) == (2, 1), "one of two"
        assert serving(api) == 0, "blue serves"


def proven(priority: int) -> float | None:
    labels = {"namespace": "gloo-system", "upstream": BLUE, "priority": str(priority)}
    return metrics.REGISTRY.get_sample_value("service_failover_standby_proven", labels)


async def test_a_tier_that_is_gone_is_gone_from_the_metrics_too() -> None:
    proxy = ProxyDouble()
    async with proxy.running(), world(proxy) as api, service(api):
        obj = api.get(UPSTREAM, "gloo-system", BLUE)
        assert obj is not None, "it is there"
        tiers = FAILOVER["prioritizedLocalities"]
        two = {**SPEC, "failover": {"prioritizedLocalities": [*tiers, *tiers]}}
        await api.put(UPSTREAM, "gloo-system", BLUE, spec=two, metadata=obj["metadata"])
        await eventually(lambda: proven(2) == 0, "the second standby has no endpoint")
        await api.put(UPSTREAM, "gloo-system", BLUE, spec=SPEC, metadata=obj["metadata"])
        await eventually(lambda: proven(2) is None, "or its alert would stay for ever")
        assert proven(1) == 1, "the first one is as it was"


@pytest.mark.usefixtures("often")
async def test_without_failover_there_is_no_such_status() -> None:
    proxy = ProxyDouble()
    async with proxy.running(), world(proxy) as api, service(api):
        await eventually(lambda: serving(api) == 0, "blue serves")
        obj = api.get(UPSTREAM, "gloo-system", BLUE)
        assert obj is not None, "it is there"
        spec = {name: value for name, value in SPEC.items() if name != "failover"}
        await api.put(UPSTREAM, "gloo-system", BLUE, spec=spec, status=obj["status"], metadata=obj["metadata"])
        await eventually(lambda: not failover(api), "it is taken away")
        await asyncio.sleep(2 * OFTEN)
        asked = proxy.questions
        await asyncio.sleep(2 * OFTEN)
        assert proxy.questions == asked, "and nobody is asked"


async def test_without_a_proxy_the_status_says_so() -> None:
    async with world() as api, service(api):
        await eventually(lambda: "no proxy" in failover(api).get("proxies", {}).get("message", ""), "there is none")


def test_the_proxies_are_the_ready_endpoints_of_status_ports() -> None:
    def slice_of(port: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": {"name": "s"}, "ports": [{"name": port, "port": 9979}], "endpoints": list(endpoints)}

    ready = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": {"name": "gateway-proxy-a"}}
    starting = {"addresses": ["10.0.0.2"], "conditions": {"ready": False}}
    nameless = {"addresses": ["fd00::1"]}
    found = targets([slice_of("proxy-status", ready, starting, nameless), slice_of("http", ready)], realise=lambda ip: ip.replace("10.", "127.", 1))
    expected = {Target(name="gateway-proxy-a", address="127.0.0.1:9979"), Target(name="fd00::1", address="[fd00::1]:9979")}
    assert found == expected, "one that starts is not asked, and another Service's port is not"


@pytest.mark.parametrize(
    "spec",
    [None, {}, {"failover": None}, {"failover": []}, {"failover": {"prioritizedLocalities": 3}}, {"failover": {"prioritizedLocalities": [3]}}, 7],
)
def test_an_upstream_without_a_readable_failover_is_not_watched(spec: Any) -> None:
    assert watched({"metadata": {"namespace": "n", "name": "u"}, "spec": spec}) is None, "its status says what is wrong"


def test_what_envoys_rule_depends_on_is_read_from_the_spec() -> None:
    found = watched(
        {
            "metadata": {"namespace": "n", "name": "u"},
            "spec": {
                "failover": {**FAILOVER, "policy": {"overprovisioningFactor": 200}},
                "loadBalancerConfig": {"healthyPanicThreshold": 0},
            },
        }
    )
    assert found is not None, "it fails over"
    assert (found.cluster, found.endpoints, found.checked, found.factor, found.panic_percent) == ("u_n", (1,), False, 200, 0.0), "all of it"


def test_asking_costs_no_more_than_its_share() -> None:
    assert pause(count=1, took=0.01, size=3_000, own=0.0002, proxies=1) == pytest.approx(INTERVAL_SECONDS - 0.01), "few Upstreams: every 250 ms"
    heavy = pause(count=16, took=0.01, size=177_000, own=0.004, proxies=1)
    assert heavy == pytest.approx(177_000 * 30e-9 / SHARE), "many: as long as the proxy's main thread needs to stay below its share"
    assert pause(count=16, took=0.01, size=1_000, own=0.004, proxies=3) == pytest.approx(0.012 / SHARE), "gloo's share is for all proxies together"


def test_questions_are_short() -> None:
    names = [f"u{each}" for each in range(150)]
    assert [len(batch) for batch in batches(names)] == [BATCH, BATCH, 22], "64 at a time"
    assert batches([]) == [], "nothing to ask"


def test_noise_in_the_shares_is_not_news() -> None:
    def body(share: int | None, confirmed: str = "Confirmed") -> dict[str, Any]:
        return {"serving": {"confirmed": confirmed}, "priorities": [{"priority": 0, "requestShare": share}]}

    assert not writer.counts_differ(body(70), body(71)), "one point"
    assert writer.counts_differ(body(70), body(74)), "four points"
    assert writer.counts_differ(body(99), body(100)), "everything"
    assert writer.counts_differ(body(None), body(1)), "the first request"
    assert writer.counts_differ(body(70), body(70, "Differs")), "they go elsewhere"


async def test_a_proxy_that_is_asked_nothing_is_not_silent(often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a cluster without an Upstream that fails over. An alert is on the age, and a status that comes later would begin as an old one."""
    clock = [1000.0]
    monkeypatch.setattr(poller.time, "time", lambda: clock[0])
    target = Target(name="resting", address="127.0.0.1:1")

    def age() -> float | None:
        return metrics.REGISTRY.get_sample_value("service_failover_poll_age_seconds", {"proxy": "resting"})

    asker = poller.Poller(client=None, upstreams=dict, targets=lambda: frozenset({target}), before=lambda _: None, said=lambda *_: None)  # type: ignore[arg-type]
    async with running(asker.run()):
        await eventually(lambda: age() == 0, "it is known")
        clock[0] += 3600
        await eventually(lambda: age() == 0, "an hour later its age is what it was")
