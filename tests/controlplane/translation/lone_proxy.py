"""One proxy in a real Envoy with HTTP, HTTPS and TCP Gateways, and shorthands for what it serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from envoy_on_disk import on_loopback, pod, running, write_bootstrap
from translation_support import AUTHORITY, NAMESPACE, inputs, metadata, secret, upstream

from controlplane.translation import translate
from controlplane.translation.types import Key, ProxyRef, Translation
from gloo_api.virtual_service import VirtualService

PROXY, ONE, TWO, PORT = pod(50), pod(51), pod(52), 10000
HTTP, HTTPS, TCP = (on_loopback(PROXY), 8080), (on_loopback(PROXY), 8443), (on_loopback(PROXY), 9000)
ADMIN = (on_loopback(PROXY), 19000)


def at(name: str, address: str) -> Any:
    return upstream(name, {"static": {"hosts": [{"addr": address, "port": PORT}]}})


def to(name: str, **more: Any) -> dict[str, Any]:
    return {"routeAction": {"single": {"upstream": {"name": name}}}, **more}


def says(text: str, *matchers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"matchers": list(matchers), "directResponseAction": {"status": 200, "body": text}, **more}


def translation(*objects: Any) -> Translation:
    secrets = {Key(NAMESPACE, name): secret(AUTHORITY.issue(f"{name}.example.com")) for name in ("one", "two", "failover-downstream")}
    return translate(inputs(*objects, secrets=secrets), proxy=ProxyRef(namespace=NAMESPACE, bind_address=on_loopback(PROXY)), realise=on_loopback)


@contextmanager
def proxy(folder: Path, *objects: Any) -> Iterator[None]:
    with running(write_bootstrap(translation(*objects), folder / "proxy", admin=ADMIN), admin=ADMIN):
        yield


def secured(name: str, domains: tuple[str, ...], **config: Any) -> VirtualService:
    routes = [{"directResponseAction": {"status": 200, "body": name}}]
    return VirtualService.parse(
        {"metadata": metadata(name), "spec": {"virtualHost": {"domains": list(domains), "routes": routes}, "sslConfig": config}}
    )
