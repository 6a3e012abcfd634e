"""A Kubernetes client of seven verbs: get, list, watch, apply, merge, create, delete.

lightkube supplies what is hard: kubeconfig, authentication, TLS. The verbs are our own because the informers need more of a watch than it offers:
bookmarks, a bound on silence, and the error of a stream as a value to decide by.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx2 as httpx
import yaml
from lightkube.config.client_adapter import user_auth
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from controlplane.kube.backoff import Backoff
from controlplane.kube.errors import BadKubeconfig, Forbidden, Gone, Modified, Unreachable, api_error
from controlplane.kube.objects import Kind, Object
from controlplane.kube.tls import server_context

WATCH_SECONDS = 240
"""How long one watch request lasts; then it is renewed from the last version seen. Idle watches are known to go silent unnoticed."""

_SILENCE_SECONDS = 90
"""A watch without even a bookmark (the API server sends one a minute) for so long is taken for dead."""

_PAGE = "250"
"""Objects asked for at a time."""

_RACES = 8
"""How often an apply that lost a race is tried again before its caller hears of it."""

_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *([(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)] if hasattr(socket, "TCP_KEEPIDLE") else []),
    *([(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)] if hasattr(socket, "TCP_KEEPINTVL") else []),
    *([(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)] if hasattr(socket, "TCP_KEEPCNT") else []),
]


@dataclass(frozen=True)
class Listing:
    """A list, or a part of one, and the version at which it was read."""

    items: list[Object]
    version: str


@dataclass(frozen=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK as the server says; the first one is OPEN: the server has accepted the watch."""

    type: str
    object: Object


class Writer(Protocol):
    """What a controller needs in order to write; KubeClient is one."""

    async def apply(self, kind: Kind, body: Object, *, manager: str, force: bool = False, subresource: str | None = None) -> Object: ...

    async def merge(self, kind: Kind, *, namespace: str, name: str, patch: Object) -> Object: ...

    async def create(self, kind: Kind, body: Object) -> Object: ...

    async def delete(self, kind: Kind, *, namespace: str, name: str, uid: str, version: str | None = None) -> None: ...


def config_from_environment() -> SingleConfig:
    """$KUBECONFIG if set, else the pod's service account."""
    if path := os.environ.get("KUBECONFIG"):
        return _single(KubeConfig.from_file(path))
    if Path(SERVICE_ACCOUNT).is_dir():
        return _single(KubeConfig.from_service_account())
    raise BadKubeconfig("no Kubernetes API server is named: set KUBECONFIG to a kubeconfig file, or run in a pod with a service account")


def config_from_text(text: str) -> SingleConfig:
    """The current context of a kubeconfig document."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadKubeconfig("the kubeconfig is not YAML") from error
    if not isinstance(document, dict):
        raise BadKubeconfig("the kubeconfig is not a YAML mapping")
    try:
        return _single(KubeConfig.from_dict(document))
    except (KeyError, TypeError, ValueError) as error:
        raise BadKubeconfig(f"the kubeconfig lacks or misnames a field ({type(error).__name__})") from error


def _single(config: KubeConfig) -> SingleConfig:
    try:
        single = config.get()
    except ConfigError as error:
        raise BadKubeconfig(str(error)) from error
    if single is None or single.user is None:
        raise BadKubeconfig("the kubeconfig's current context names no cluster and user")
    return single


class KubeClient:
    """One API server. `load` yields its configuration; it is asked again when the server no longer accepts the credentials (rotated tokens)."""

    def __init__(self, load: Callable[[], SingleConfig]) -> None:
        self._load = load
        self._config = load()
        self._http = _connect(self._config)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self._config.cluster.server

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, kind: Kind, *, namespace: str, name: str) -> Object:
        """One object; NotFound when it is not there."""
        return await self._json("GET", kind.path(namespace=namespace, name=name))

    async def list(self, kind: Kind, *, namespace: str | None = None, field_selector: str | None = None) -> Listing:
        """All objects of `kind`, in one namespace or in all."""
        parts = [part async for part in self.pages(kind, namespace=namespace, field_selector=field_selector)]
        return Listing(items=[item for part in parts for item in part.items], version=parts[-1].version)

    async def pages(self, kind: Kind, *, namespace: str | None = None, field_selector: str | None = None) -> AsyncIterator[Listing]:
        """The same in parts of some hundreds, so that not all of it has to be in memory at once. Raises Gone when it takes minutes."""
        params = {"limit": _PAGE} | ({"fieldSelector": field_selector} if field_selector else {})
        while True:
            page = await self._json("GET", kind.path(namespace=namespace), params=params)
            items: list[Object] = [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page.get("items") or ()]
            meta = page.get("metadata") or {}
            yield Listing(items=items, version=meta.get("resourceVersion", ""))
            if not meta.get("continue"):
                return
            params["continue"] = meta["continue"]

    async def watch(self, kind: Kind, *, version: str, namespace: str | None = None, field_selector: str | None = None) -> AsyncIterator[WatchEvent]:
        """Events after `version`, until the server ends the request (normal, after minutes). Raises Gone, ApiError or Unreachable."""
        seconds = WATCH_SECONDS + random.randrange(60)  # noqa: S311 - spreads the renewals
        params = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        if field_selector:
            params["fieldSelector"] = field_selector
        request = self._http.build_request("GET", kind.path(namespace=namespace), params=params, timeout=httpx.Timeout(10, read=_SILENCE_SECONDS))
        try:
            response = await self._http.send(request, stream=True)
            try:
                if response.status_code >= 400:
                    await response.aread()
                    self._raise(response)
                yield WatchEvent(type="OPEN", object={})
                async for line in response.aiter_lines():
                    if line:
                        yield _event(line)
            finally:
                await response.aclose()
        except (httpx.HTTPError, OSError) as error:
            raise Unreachable(f"{type(error).__name__} while watching {kind.plural} at {self.server}: {error}") from error

    async def apply(self, kind: Kind, body: Object, *, manager: str, force: bool = False, subresource: str | None = None) -> Object:
        """Server-side apply: `manager` owns exactly the fields of `body` afterwards. A `metadata.uid` in it forbids creation.

        A race with another writer of the object is run again, a few times: the API server itself gives up after five (solo-io/gloo#7309).
        """
        meta = body["metadata"]
        document = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        params = {"fieldManager": manager} | ({"force": "true"} if force else {})
        path = kind.path(namespace=meta.get("namespace"), name=meta["name"], subresource=subresource)
        backoff = Backoff(first=0.01, cap=0.2)
        while True:
            try:
                return await self._json("PATCH", path, params=params, body=document, content_type="application/apply-patch+yaml")
            except Modified:
                if backoff.failures >= _RACES:
                    raise
                await asyncio.sleep(backoff.next())

    async def merge(self, kind: Kind, *, namespace: str, name: str, patch: Object) -> Object:
        """A JSON merge patch; a `metadata.resourceVersion` in it makes it fail with Modified when the object has changed since."""
        return await self._json("PATCH", kind.path(namespace=namespace, name=name), body=patch, content_type="application/merge-patch+json")

    async def create(self, kind: Kind, body: Object) -> Object:
        document = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        return await self._json("POST", kind.path(namespace=body["metadata"].get("namespace")), body=document)

    async def delete(self, kind: Kind, *, namespace: str, name: str, uid: str, version: str | None = None) -> None:
        """Delete exactly the object with this uid (and, when given, this resourceVersion); Conflict when it is another one by now."""
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        await self._json("DELETE", kind.path(namespace=namespace, name=name), body=body)

    async def _json(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Object | None = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        content = None if body is None else _encoded(body)
        headers = {"Accept": "application/json"} | ({"Content-Type": content_type} if content else {})
        try:
            response = await self._http.request(method, path, params=params, content=content, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            raise Unreachable(f"{type(error).__name__} at {self.server}: {error}") from error
        if response.status_code >= 400:
            self._raise(response)
        result: dict[str, Any] = response.json()
        return result

    def _raise(self, response: httpx.Response) -> None:
        try:
            status = response.json()
            reason, message = str(status.get("reason", "")), str(status.get("message", ""))
        except (ValueError, AttributeError):
            reason, message = "", response.text[:200]
        error = api_error(status=response.status_code, reason=reason, message=message)
        if response.status_code == 401 and isinstance(error, Forbidden):
            self._refresh()
        raise error

    def _refresh(self) -> None:
        """Read the credentials again; open watches keep their connection until it ends."""
        try:
            config = self._load()
        except (BadKubeconfig, ConfigError, OSError):
            return
        if config != self._config:
            self._config = config
            self._http = _connect(config)


def _connect(config: SingleConfig) -> httpx.AsyncClient:
    assert config.user is not None, "checked where the configuration is read"  # noqa: S101
    try:
        # Without TLS there is no certificate to verify, and the system's authorities need not be read, which takes 50 ms.
        verify = server_context(config) if config.cluster.server.startswith("https:") else False
        auth = user_auth(config.user)
    except (ConfigError, OSError, ValueError) as error:
        raise BadKubeconfig(f"the kubeconfig's certificates or credentials cannot be used: {type(error).__name__}") from error
    transport = httpx.AsyncHTTPTransport(verify=verify, socket_options=_KEEPALIVE, limits=httpx.Limits(max_connections=None, keepalive_expiry=60))
    return httpx.AsyncClient(base_url=config.cluster.server, transport=transport, auth=auth, timeout=httpx.Timeout(10), trust_env=False)


def _encoded(body: Object) -> bytes:
    """JSON that is YAML too, as which the API server reads what is applied: no escaped surrogate pairs, and only printable characters."""
    text = json.dumps(body, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def _event(line: str) -> WatchEvent:
    event = json.loads(line)
    if event["type"] == "ERROR":
        status = event.get("object") or {}
        code = int(status.get("code", 500))
        if code == 410 or status.get("reason") in ("Expired", "Gone"):
            raise Gone(status=410, reason="Gone", message=str(status.get("message", "")))
        raise api_error(status=code, reason=str(status.get("reason", "")), message=str(status.get("message", "")))
    return WatchEvent(type=event["type"], object=event["object"])
