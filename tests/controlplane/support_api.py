"""A double of a Kubernetes API server for tests: list, watch, server-side apply (simplified), delete, over HTTP on loopback.

It holds what it is told; it can forget versions (410), drop connections, refuse everything, or be stopped and started on the same port. Its
managedFields are those of whole paths, which is what the code under test reads. Real API servers are in the `cluster` tests.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from controlplane.kube.client import KubeClient, config_from_text
from controlplane.kube.objects import Kind

Path = tuple[str, str, str]
"""(plural, namespace, name)."""


class ApiDouble:
    """An API server that tests can break."""

    def __init__(self) -> None:
        self.objects: dict[Path, dict[str, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.failing: tuple[int, str] | None = None
        """Answer every request with this status and message."""
        self.forbidden: set[tuple[str, str]] = set()
        """(verb, plural): what a SelfSubjectAccessReview says no to, as after the end of a role. Requests are still answered, as an open watch is."""
        self.failing_writes: tuple[int, str] | None = None
        """Answer every write of an object that is there so."""
        self.races = 0
        """How many more writes of objects that are there lose a race with another writer."""
        self.token = "first"
        """The only one that is accepted."""
        self.port = 0
        self._version = 100
        self._events: list[tuple[int, str, str, dict[str, Any]]] = []
        self._forgotten = 0
        self._news = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[Any]] = {}

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        self._server = None
        tasks = list(self._connections.values())
        self.drop_connections()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def drop_connections(self) -> None:
        for writer in list(self._connections):
            writer.transport.abort()

    def kubeconfig(self) -> str:
        return json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
                "users": [{"name": "u", "user": {"token": self.token}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )

    def client(self) -> KubeClient:
        return KubeClient(lambda: config_from_text(self.kubeconfig()))

    async def put(self, kind: Kind, namespace: str, name: str, *, manager: str = "test", **fields: Any) -> dict[str, Any]:
        """Create or replace an object, as somebody else would; the generation grows when the spec changes."""
        path = (kind.plural, namespace, name)
        before = self.objects.get(path)
        meta = {**(before or {}).get("metadata", {}), **fields.pop("metadata", {}), "name": name}
        if namespace:
            meta["namespace"] = namespace
        meta.setdefault("uid", f"uid-{self._version}")
        if before is None or before.get("spec") != fields.get("spec", before.get("spec")):
            meta["generation"] = meta.get("generation", 0) + 1
        _own(meta, manager, {f"f:{field}": _fields(value) for field, value in fields.items()}, "")
        obj = {**(before or {}), **fields, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
        await self._store(path, obj)
        return obj

    async def remove(self, kind: Kind, namespace: str, name: str) -> None:
        await self._delete((kind.plural, namespace, name))

    async def _delete(self, path: Path) -> None:
        obj = self.objects.get(path)
        if obj is not None and obj["metadata"].get("finalizers"):
            await self._store(path, {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
        else:
            await self._store(path, None)

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        return self.objects.get((kind.plural, namespace, name))

    def history(self, kind: Kind, namespace: str, name: str) -> list[dict[str, Any]]:
        """The object after each write, in order."""
        return [obj for _, _, where, obj in self._events if where == f"{kind.plural}/{namespace}" and obj["metadata"]["name"] == name]

    def forget_versions(self) -> None:
        """From now on a watch from any version seen so far is answered 410 Gone."""
        self._version += 1
        self._forgotten = self._version

    async def _store(self, path: Path, obj: dict[str, Any] | None) -> None:
        self._version += 1
        before = self.objects.get(path)
        if obj is None:
            if before is None:
                return
            event, shown = "DELETED", copy.deepcopy(before)
            del self.objects[path]
        else:
            event, shown = ("MODIFIED" if before else "ADDED"), copy.deepcopy(obj)
            self.objects[path] = shown
        shown["metadata"]["resourceVersion"] = str(self._version)
        async with self._news:
            self._events.append((self._version, event, f"{path[0]}/{path[1]}", copy.deepcopy(shown)))
            self._news.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.ensure_future(self._talk(reader, writer))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in head[1:] if ":" in line}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = head[0].split(" ")
                if headers.get("authorization") == f"Bearer {self.token}":
                    await self._route(method, target, json.loads(body) if body else {}, headers.get("content-type", ""), writer)
                else:
                    _send(writer, 401, _status(401, "Unauthorized", "Unauthorized"))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.pop(writer, None)
            writer.close()

    async def _route(self, method: str, target: str, body: dict[str, Any], content_type: str, writer: asyncio.StreamWriter) -> None:
        split = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        self.requests.append((method, split.path))
        if self.failing:
            return _send(writer, self.failing[0], _status(self.failing[0], "Broken", self.failing[1]))
        parts = split.path.strip("/").split("/")[2 if split.path.startswith("/api/") else 3 :]
        namespace = ""
        if len(parts) > 2 and parts[0] == "namespaces":
            namespace, parts = parts[1], parts[2:]
        plural, name, subresource = (*parts, "", "")[:3]
        if method == "GET" and query.get("watch"):
            return await self._watch(plural, namespace, query, writer)
        if method == "GET" and name:
            found = self.objects.get((plural, namespace, name))
            return _send(writer, 200, found) if found else _send(writer, 404, _status(404, "NotFound", f"{plural} {name} not found"))
        if method == "GET":
            items = [
                obj for (kind, where, _), obj in sorted(self.objects.items()) if kind == plural and namespace in ("", where) and _selected(obj, query)
            ]
            start, limit = int(query.get("continue", 0)), int(query.get("limit", len(items) or 1))
            more = {"continue": str(start + limit)} if start + limit < len(items) else {}
            return _send(writer, 200, {"metadata": {"resourceVersion": str(self._version), **more}, "items": items[start : start + limit]})
        if method == "POST":
            if plural == "selfsubjectaccessreviews":
                attributes = body["spec"]["resourceAttributes"]
                return _send(writer, 201, {**body, "status": {"allowed": (attributes["verb"], attributes["resource"]) not in self.forbidden}})
            name = body["metadata"].get("name") or body["metadata"].get("generateName", "") + str(self._version)
            if (plural, namespace, name) in self.objects:
                return _send(writer, 409, _status(409, "AlreadyExists", f"{plural} {name} already exists"))
            await self._store((plural, namespace, name), body)
            return _send(writer, 201, body)
        path = (plural, namespace, name)
        before = self.objects.get(path)
        uid = (body.get("preconditions") or {}).get("uid") or body.get("metadata", {}).get("uid")
        if before is None and (method == "DELETE" or "apply" not in content_type or subresource):
            return _send(writer, 404, _status(404, "NotFound", f"{plural} {name} not found"))
        if uid and (before is None or before["metadata"]["uid"] != uid):
            return _send(writer, 409, _status(409, "Conflict", "uid mismatch"))
        version = body.get("metadata", {}).get("resourceVersion")
        if self.races > 0 or (before is not None and version and before["metadata"]["resourceVersion"] != version):
            self.races -= 1 if self.races else 0
            message = "the object has been modified; please apply your changes to the latest version and try again"
            return _send(writer, 409, _status(409, "Conflict", f"Operation cannot be fulfilled on {plural} {name}: {message}"))
        if self.failing_writes:
            return _send(writer, self.failing_writes[0], _status(self.failing_writes[0], "Invalid", self.failing_writes[1]))
        if method == "DELETE":
            await self._delete(path)
            return _send(writer, 200, {"status": "Success"})
        merged = _apply(before, body, query.get("fieldManager", "merge"), subresource) if "apply" in content_type else _merge(before or {}, body)
        merged["metadata"].setdefault("uid", f"uid-{self._version}")
        if before is None or before.get("spec") != merged.get("spec"):
            merged["metadata"]["generation"] = merged["metadata"].get("generation", 0) + 1
        if merged["metadata"].get("deletionTimestamp") and not merged["metadata"].get("finalizers"):
            await self._store(path, None)
        else:
            await self._store(path, merged)
        return _send(writer, 200, merged)

    async def _watch(self, plural: str, namespace: str, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        version = int(query["resourceVersion"])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        if version < self._forgotten:
            _chunk(writer, {"type": "ERROR", "object": _status(410, "Expired", "too old resource version")})
            writer.write(b"0\r\n\r\n")
            return
        while True:
            for number, event, where, obj in list(self._events):
                if number > version and where.split("/")[0] == plural and namespace in ("", where.split("/")[1]) and _selected(obj, query):
                    _chunk(writer, {"type": event, "object": obj})
            version = max(version, self._version)
            await writer.drain()
            async with self._news:
                if self._version <= version:
                    await self._news.wait()
            if writer.is_closing():
                return


def _selected(obj: dict[str, Any], query: dict[str, str]) -> bool:
    field, _, value = query.get("fieldSelector", "").partition("=")
    found: Any = obj
    for step in field.split("."):
        found = (found or {}).get(step)
    return not field or found == value


def _send(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    payload = json.dumps(body).encode()
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload)


def _chunk(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    payload = json.dumps(body).encode() + b"\n"
    writer.write(f"{len(payload):x}\r\n".encode() + payload + b"\r\n")


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}


def _fields(value: Any) -> dict[str, Any]:
    return {f"f:{name}": _fields(inner) for name, inner in value.items()} if isinstance(value, dict) else {}


def _own(meta: dict[str, Any], manager: str, fields: dict[str, Any], subresource: str) -> None:
    others = [entry for entry in meta.get("managedFields", []) if (entry["manager"], entry.get("subresource", "")) != (manager, subresource)]
    mine = [{"manager": manager, "operation": "Apply", "subresource": subresource, "fieldsV1": fields}] if fields else []
    meta["managedFields"] = others + mine


def _apply(before: dict[str, Any] | None, body: dict[str, Any], manager: str, subresource: str) -> dict[str, Any]:
    """The manager's earlier top-level fields below spec and status that are not in `body` go; the rest is merged."""
    obj = copy.deepcopy(before or {"metadata": {}})
    sections = {name: value for name, value in body.items() if name in ("spec", "status")}
    for entry in obj["metadata"].get("managedFields", []):
        if entry["manager"] == manager and entry.get("subresource", "") == subresource:
            for section in ("spec", "status"):
                for field in entry["fieldsV1"].get(f"f:{section}", {}):
                    if field.removeprefix("f:") not in sections.get(section, {}):
                        obj.get(section, {}).pop(field.removeprefix("f:"), None)
    meta = obj["metadata"]
    for name, value in body["metadata"].items():
        meta[name] = {**meta.get(name, {}), **value} if isinstance(value, dict) else value
    for name, value in sections.items():
        obj[name] = {**obj.get(name, {}), **copy.deepcopy(value)}
    obj |= {"apiVersion": body["apiVersion"], "kind": body["kind"]}
    owned = {f"f:{name}": _fields(value) for name, value in sections.items() if value}
    if labels := body["metadata"].get("labels"):
        owned["f:metadata"] = {"f:labels": _fields(labels)}
    _own(meta, manager, owned, subresource)
    return obj


def _merge(before: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(before)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _merge(merged.get(name) or {}, value)
        else:
            merged[name] = value
    return merged


@asynccontextmanager
async def api_double() -> AsyncIterator[ApiDouble]:
    double = ApiDouble()
    await double.start()
    try:
        yield double
    finally:
        await double.stop()


@asynccontextmanager
async def running(*loops: Any) -> AsyncIterator[None]:
    """Run loops for as long as the block lasts; a loop that fails fails the test."""
    tasks = [asyncio.ensure_future(loop) for loop in loops]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def eventually(check: Callable[[], Any], why: str, *, seconds: float = 5.0) -> Any:
    """Wait until `check()` is true; its value."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        if value := check():
            return value
        await asyncio.sleep(0.005)
    raise AssertionError(f"did not happen within {seconds} s: {why}")
