"""The console as a part of gloo-fed: it listens where only a port-forward comes, and answers with what this replica has read. It writes nothing.

Every replica reads all clusters and all statuses, so each shows the truth, whoever leads; the page names the replica and the leader. A defect here
must never cost a failover: whatever goes wrong while it looks is logged and forgotten.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from controlplane import VERSION
from controlplane.fed.console import state
from controlplane.fed.console.history import KEPT, History, current, utc
from controlplane.fed.console.state import MOST_EVENTS, Cluster, Connection
from controlplane.fed.kinds import FAILOVER_SCHEME, GLOO_INSTANCE, KUBERNETES_CLUSTER, UPSTREAM
from controlplane.fed.member import Member
from controlplane.fed.registry import Registry
from controlplane.kube.leadership import Leadership
from controlplane.kube.objects import Key, Kind, Object, deleting
from controlplane.kube.view import ClusterView
from controlplane.log import redact
from controlplane.web import Request, Response, WebServer

log = logging.getLogger(__name__)

_PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/console.css": ("console.css", "text/css; charset=utf-8"),
    "/console.js": ("console.js", "text/javascript; charset=utf-8"),
    "/rows.js": ("rows.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
JSON = "application/json; charset=utf-8"
_OWN = (KUBERNETES_CLUSTER, FAILOVER_SCHEME, GLOO_INSTANCE)


class Console:
    """`view` is that of the management cluster, `registry` knows the registered clusters, `name` is this replica's."""

    def __init__(self, *, address: str, view: ClusterView, registry: Registry, leader: Leadership, namespace: str, name: str) -> None:
        self._view = view
        self._registry = registry
        self._leader = leader
        self._namespace = namespace
        self._name = name
        self._history = History()
        self._pages = {path: (files(__package__).joinpath("pages", name).read_bytes(), kind) for path, (name, kind) in _PAGES.items()}
        self._server = WebServer(address=address, respond=self._respond)

    @property
    def port(self) -> int:
        return self._server.port

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    def begin(self) -> None:
        """The view of the management cluster is complete: what is there now is no news."""
        with _harmless():
            for key in self._view.keys(FAILOVER_SCHEME):
                self.changed(FAILOVER_SCHEME, key)
            for key in self._view.keys(KUBERNETES_CLUSTER):
                self.changed(KUBERNETES_CLUSTER, key)
            self._history.begin()

    def changed(self, kind: Kind, key: Key) -> None:
        """An object of the management cluster, or its status, has changed."""
        with _harmless():
            if kind == FAILOVER_SCHEME:
                obj = self._view.get(kind, key)
                self._history.scheme(key[1], state.scheme(obj) if obj is not None and not deleting(obj) else None)
            elif kind == KUBERNETES_CLUSTER:
                self.member_changed(key[1], None)

    def member_changed(self, cluster: str, kind: Kind | None) -> None:
        """Something in a registered cluster has changed; with None, the cluster itself."""
        if kind is None:
            with _harmless():
                obj = self._view.get(KUBERNETES_CLUSTER, (self._namespace, cluster))
                if obj is None:
                    self._history.cluster(cluster, None)
                else:
                    found = self._cluster(obj)
                    self._history.cluster(cluster, found.connection, redact(found.trouble))

    def _respond(self, request: Request) -> Response:
        with _harmless():
            return self._answer(request)
        return Response.text(HTTPStatus.INTERNAL_SERVER_ERROR, "a defect of the console: gloo-fed's log has it")

    def _answer(self, request: Request) -> Response:
        match request.path:
            case "/api/state":
                return _json(self._state(), known=request.headers.get("if-none-match", ""))
            case "/api/object":
                return self._object(request.query)
            case path if path in self._pages:
                body, content_type = self._pages[path]
                return Response(body=body, content_type=content_type)
        return Response.text(HTTPStatus.NOT_FOUND, "there is no such page")

    def _state(self) -> dict[str, Any]:
        events = self._history.recent()
        lost = self._view.lost
        leads = self._leader.is_leader
        return {
            "version": VERSION,
            "namespace": self._namespace,
            "replica": {"name": self._name, "leads": leads, "leader": self._leader.holder or (self._name if leads else "")},
            "old": _old(lost.since, lost.reason) if lost is not None else "",
            "watchingSince": self._history.since,
            **state.state(
                clusters=[self._cluster(each) for each in self._view.objects(KUBERNETES_CLUSTER).values()],
                instances=self._view.objects(GLOO_INSTANCE).values(),
                schemes=self._view.objects(FAILOVER_SCHEME).values(),
            ),
            "events": [event.to_object() for event in events[:MOST_EVENTS]],
            "moreEvents": max(0, len(events) - MOST_EVENTS),
            "eventsKept": KEPT,
        }

    def _cluster(self, obj: Object) -> Cluster:
        member = self._registry.members.get(obj["metadata"]["name"])
        return Cluster(obj=obj, connection=_connection(member), trouble=member.trouble if member is not None else "")

    def _object(self, query: Mapping[str, str]) -> Response:
        """One object in full: its status, and of a GlooInstance, which has none, what gloo-fed has found. Nothing else of it is shown."""
        kind, cluster, namespace, name = (query.get(each, "") for each in ("kind", "cluster", "namespace", "name"))
        known = next((each for each in (*_OWN, UPSTREAM) if each.kind == kind), None)
        obj = self._find(known, cluster, (namespace, name)) if known is not None else None
        if known is None or obj is None:
            return Response.text(HTTPStatus.NOT_FOUND, f"there is no {kind or 'object'} {namespace}/{name} that this page shows")
        meta = {each: obj["metadata"][each] for each in ("namespace", "name", "generation", "creationTimestamp") if each in obj["metadata"]}
        shown = "spec" if known == GLOO_INSTANCE else "status"
        where = {"cluster": cluster} if cluster else {}
        return _json({"apiVersion": known.api_version, "kind": kind, **where, "metadata": meta, shown: obj.get(shown)})

    def _find(self, kind: Kind, cluster: str, key: Key) -> Object | None:
        """Only kinds of the federation, and the Upstreams that its schemes name."""
        if kind in _OWN:
            return self._view.get(kind, key)
        schemes = self._view.objects(FAILOVER_SCHEME).values()
        member = self._registry.members.get(cluster)
        named = member is not None and any((cluster, *key) in state.upstreams(each) for each in schemes)
        return member.upstream(key) if member is not None and named else None


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception:
        log.exception("defect of the console; the federation goes on")


def _connection(member: Member | None) -> Connection:
    if member is None:
        return Connection.NONE
    if member.access.text:
        return Connection.DENIED
    if member.lost is not None:
        return Connection.LOST
    return Connection.CONNECTED if member.synced else Connection.READING


def _old(since: float, reason: str) -> str:
    moment = utc(current().fromtimestamp(since, current().tzinfo))
    return f"The API server of the management cluster does not answer since {moment}: this is what was known then ({reason})"


def _json(body: Mapping[str, Any], *, known: str = "") -> Response:
    """`body` without anything that looks like a secret; nothing when the browser has it already (ETag)."""
    text = json.dumps(_each_text(body, redact), ensure_ascii=False, separators=(",", ":")).encode()
    tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    headers = {"ETag": tag, "X-Now": utc(current())}
    if known == tag:
        return Response(status=HTTPStatus.NOT_MODIFIED, content_type=JSON, headers=headers)
    return Response(body=text, content_type=JSON, headers=headers)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _each_text(inner, change) for name, inner in value.items()}
    return [_each_text(inner, change) for inner in value] if isinstance(value, list | tuple) else value
