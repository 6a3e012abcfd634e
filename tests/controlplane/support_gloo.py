"""gloo in this process on an API double, a real Envoy that it configures, and requests through both that count every answer."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from support_api import ApiDouble, api_double
from support_certs import Authority, Pair
from support_envoy import CLIENT_NAME, SERVER_NAME, Envoy, free_port, running_envoy

from controlplane.gloo import process
from controlplane.gloo.kinds import GATEWAY, UPSTREAM, VIRTUAL_SERVICE
from controlplane.gloo.process import Options
from controlplane.kube.objects import ENDPOINT_SLICE, SECRET, SERVICE
from controlplane.net import realiser
from controlplane.xds.server import ServerTls

NAME = "default-service-blue-10000"
CLUSTER = f"{NAME}_gloo-system"


@dataclass
class Chain:
    """A Gateway on `port` whose only route leads to the Upstream NAME."""

    api: ApiDouble
    envoy: Envoy
    port: int
    answers: Counter[str] = field(default_factory=Counter)

    async def upstream(self, **spec: Any) -> None:
        await self.api.put(UPSTREAM, "gloo-system", NAME, spec=spec)

    async def endpoints(self, *ports: int) -> None:
        """The pods behind the Service: one slice for each port of loopback, as each slice has its own ports."""
        for number in range(4):
            name = f"service-blue-{number}"
            if number >= len(ports):
                await self.api.remove(ENDPOINT_SLICE, "default", name)
                continue
            await self.api.put(
                ENDPOINT_SLICE,
                "default",
                name,
                metadata={"labels": {"kubernetes.io/service-name": "service-blue"}},
                addressType="IPv4",
                endpoints=[{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
                ports=[{"name": "color", "port": ports[number], "protocol": "TCP"}],
            )

    async def secret(self, name: str, pair: Pair, *, ca: str) -> None:
        data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": ca}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        await self.api.put(SECRET, "gloo-system", name, type="kubernetes.io/tls", data=encoded)

    async def ask(self) -> str:
        """One answer, as `status body`."""
        async with httpx.AsyncClient(timeout=10) as http:
            answer = await http.get(f"http://127.0.0.1:{self.port}/")
            return f"{answer.status_code} {answer.text}"

    async def serves(self, text: str, *, seconds: float = 15.0) -> None:
        seen = "nothing"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                seen = await self.ask()
            if seen == f"200 {text}":
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"within {seconds} s the answer was not {text!r} but {seen!r}")

    @asynccontextmanager
    async def load(self, workers: int = 3) -> AsyncIterator[Counter[str]]:
        """Requests without a pause for as long as the block lasts; the answers by what they were."""
        self.answers = Counter()
        stop = asyncio.Event()

        async def worker() -> None:
            async with httpx.AsyncClient(timeout=10) as http:
                while not stop.is_set():
                    try:
                        answer = await http.get(f"http://127.0.0.1:{self.port}/")
                        self.answers[f"{answer.status_code} {answer.text}"] += 1
                    except httpx.HTTPError as error:
                        self.answers[type(error).__name__] += 1
                    await asyncio.sleep(0.005)

        tasks = [asyncio.ensure_future(worker()) for _ in range(workers)]
        try:
            yield self.answers
        finally:
            stop.set()
            await asyncio.gather(*tasks)


@asynccontextmanager
async def chain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Chain]:
    """The Service, its Gateway and route; the Upstream and the endpoints are the test's."""
    ca = Authority()
    server = ca.issue(SERVER_NAME)
    port = free_port()
    async with api_double() as api:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(api.kubeconfig())
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        xds = f"127.0.0.1:{free_port()}"
        options = Options(
            namespace="gloo-system",
            xds_address=xds,
            tls=ServerTls(certificate=server.certificate, key=server.key, client_ca=ca.pem, client_names=frozenset({CLIENT_NAME})),
            watch_namespaces=("default", "gloo-system"),
            realise=realiser(None),
            health_address=None,
            started=time.monotonic(),
        )
        ports = [{"name": "color", "port": 10000, "protocol": "TCP", "targetPort": 10000}]
        await api.put(SERVICE, "default", "service-blue", spec={"ports": ports})
        await api.put(GATEWAY, "gloo-system", "gateway-proxy", spec={"bindAddress": "127.0.0.1", "bindPort": port, "httpGateway": {}})
        route = {"matchers": [{"prefix": "/"}], "routeAction": {"single": {"upstream": {"name": NAME, "namespace": "gloo-system"}}}}
        await api.put(VIRTUAL_SERVICE, "gloo-system", "default", spec={"virtualHost": {"domains": ["*"], "routes": [route]}})
        gloo = asyncio.ensure_future(process.main(options))
        try:
            async with running_envoy(tmp_path, xds_port=int(xds.rpartition(":")[2]), ca=ca) as envoy:
                yield Chain(api=api, envoy=envoy, port=port)
            if gloo.done():
                gloo.result()
        finally:
            gloo.cancel()
            with suppress(asyncio.CancelledError):
                await gloo
