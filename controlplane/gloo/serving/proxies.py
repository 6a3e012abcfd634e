"""The proxies of a cluster that can be asked, and the asking: an HTTP client with mutual TLS and connections that are kept."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpx2 as httpx

from controlplane.gloo.serving import hosts
from controlplane.gloo.serving.hosts import Host
from controlplane.kube.objects import Object
from controlplane.translation.types import Realise
from gloo_api import names

TIMEOUT_SECONDS = 1.0


class NoAnswer(Exception):
    """A proxy did not say how its endpoints are; the text says why."""


@dataclass(frozen=True, order=True)
class Target:
    """One proxy: `name` is its pod's, `address` host:port as a socket can open it."""

    name: str
    address: str


def targets(slices: Iterable[Object], *, realise: Realise) -> frozenset[Target]:
    """The proxies behind the EndpointSlices that have a status port. One that is not ready is not asked: its listener is not open yet, or no more."""
    found = set()
    for each in slices:
        port = next((port.get("port") for port in each.get("ports") or () if port.get("name") == names.PROXY_STATUS_PORT_NAME), None)
        for endpoint in (each.get("endpoints") or ()) if port else ():
            if (endpoint.get("conditions") or {}).get("ready") is False or not endpoint.get("addresses"):
                continue
            host = realise(endpoint["addresses"][0])
            name = (endpoint.get("targetRef") or {}).get("name") or host
            found.add(Target(name=name, address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}"))
    return frozenset(found)


@dataclass(frozen=True)
class Answer:
    """What a proxy says: the endpoints by cluster, how many bytes that took, and how much computing to read them (seconds)."""

    hosts: Mapping[str, tuple[Host, ...]]
    size: int
    computing: float


class ProxyClient:
    """Asks proxies. `tls` None: plain text, for tests on loopback. `server_name`: who a proxy's certificate has to be for.

    `named`: what Kubernetes calls an address that the proxy has opened.
    """

    def __init__(self, *, tls: ssl.SSLContext | None, server_name: str, named: Realise = str) -> None:
        self._scheme = "http" if tls is None else "https"
        self._server_name = server_name
        self._named = named
        verify = tls if tls is not None else ssl.create_default_context()
        limits = httpx.Limits(max_connections=None, keepalive_expiry=60)
        self._http = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(verify=verify, limits=limits), timeout=TIMEOUT_SECONDS, trust_env=False)

    async def ask(self, target: Target, clusters: Iterable[str]) -> Answer:
        """The endpoints of those of `clusters` that the proxy has. Raises NoAnswer."""
        extensions = {"sni_hostname": self._server_name}
        try:
            response = await self._http.get(f"{self._scheme}://{target.address}/clusters", params=hosts.query(clusters), extensions=extensions)
            if response.status_code != 200:
                raise NoAnswer(f"it answers {response.status_code}")
            started = time.thread_time()
            found = hosts.parse(response.content, named=self._named)
            return Answer(hosts=found, size=len(response.content), computing=time.thread_time() - started)
        except (httpx.HTTPError, OSError, ValueError) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}".rstrip(": ")) from error

    async def close(self) -> None:
        await self._http.aclose()
