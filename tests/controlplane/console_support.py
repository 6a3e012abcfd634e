"""A console without clusters: objects and connections as a test wants them, served by the real thing on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx2 as httpx

from controlplane.fed.console.console import Console
from controlplane.fed.kinds import FAILOVER_SCHEME, GLOO_INSTANCE, KUBERNETES_CLUSTER
from controlplane.kube.informer import Lost
from controlplane.kube.objects import Key, Kind

T = TypeVar("T")
Body = dict[str, Any]
SINCE = "2026-03-01T12:00:00.000Z"


def cluster(name: str, **status: Any) -> Body:
    entry = {"state": "ACCEPTED", "message": "", "owner": "gloo-fed"} | status
    return {
        "kind": "KubernetesCluster",
        "metadata": {"namespace": "gloo-fed", "name": name},
        "spec": {"secretName": name},
        "status": {"status": [entry]},
    }


def instance(name: str) -> Body:
    proxy = {
        "name": "gateway-proxy",
        "namespace": "gloo-system",
        "replicas": 2,
        "readyReplicas": 2,
        "version": "v1.40.0",
        "zones": ["a", "b"],
        "ingressEndpoints": [{"address": "10.77.192.1", "serviceName": "failover", "ports": [{"port": 15443, "name": "failover"}]}],
    }
    spec = {"cluster": name, "region": "us-west-2", "controlPlane": {"version": "0.1.0", "namespace": "gloo-system"}, "proxies": [proxy]}
    return {"kind": "GlooInstance", "metadata": {"namespace": "gloo-fed", "name": f"{name}-gloo-system"}, "spec": spec}


def scheme(name: str = "failover-scheme", *, primary: str = "local", standby: str = "remote", priority: int | None = 0, **changes: Any) -> Body:
    """A scheme with two tiers; `priority` serves. The primary is unhealthy unless it serves."""
    upstream = {"namespace": "gloo-system"}
    group = {"priorityGroup": [{"cluster": standby, "upstreams": [{**upstream, "name": "green"}]}]}
    names = {0: f"primary ({primary})", 1: f"tier 1 ({standby})", None: "nobody"}
    tiers = [
        {
            "priority": number,
            "clusters": [where],
            "upstreams": [f"{where}/gloo-system/{color}"],
            "healthy": int(priority is not None and number >= priority),
            "total": 1,
            "requestShare": 100 * (number == priority),
            **({"proven": True} if number else {}),
        }
        for number, where, color in ((0, primary, "blue"), (1, standby, "green"))
    ]
    serving = {"name": names[priority], "since": SINCE, "reason": "HealthCheckFailed" if priority else "FirstSeen", "confirmed": "Confirmed"}
    if priority is not None:
        serving |= {"priority": priority}
    status = {"state": "ACCEPTED", "message": "", "serving": serving, "standbyProven": True, "tiers": tiers} | changes
    spec = {"primary": {**upstream, "name": "blue", "clusterName": primary}, "failoverGroups": [group]}
    return {"kind": "FailoverScheme", "metadata": {"namespace": "gloo-fed", "name": name}, "spec": spec, "status": status}


def member(*, trouble: str = "", lost: bool = False) -> SimpleNamespace:
    """A registered cluster as gloo-fed holds it."""

    def upstream(key: Key) -> Body:
        return {
            "kind": "Upstream",
            "metadata": {"namespace": key[0], "name": key[1]},
            "spec": {"password": "hidden"},
            "status": {"state": "Accepted"},
        }

    return SimpleNamespace(
        access=SimpleNamespace(text=""), synced=True, lost=Lost(since=0.0, reason="refused") if lost else None, trouble=trouble, upstream=upstream
    )


@dataclass
class World:
    """What the console reads, in place of a view and a registry."""

    found: dict[Kind, dict[Key, Body]] = field(default_factory=lambda: {KUBERNETES_CLUSTER: {}, FAILOVER_SCHEME: {}, GLOO_INSTANCE: {}})
    members: dict[str, Any] = field(default_factory=dict)
    lost: Lost | None = None
    leader: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(is_leader=True, holder="gloo-fed-1"))

    def objects(self, kind: Kind) -> dict[Key, Body]:
        return self.found[kind]

    def keys(self, kind: Kind) -> list[Key]:
        return list(self.found[kind])

    def get(self, kind: Kind, key: Key) -> Body | None:
        return self.found[kind].get(key)

    def have(self, *objects: Body) -> None:
        for obj in objects:
            kind = next(kind for kind in self.found if kind.kind == obj["kind"])
            self.found[kind][(obj["metadata"]["namespace"], obj["metadata"]["name"])] = obj
            if kind == KUBERNETES_CLUSTER:
                self.members.setdefault(obj["metadata"]["name"], member())

    def federation(self, clusters: int) -> None:
        """So many clusters, each the primary of a scheme whose standby is the next one."""
        names = [f"cluster-{number:02}" for number in range(1, clusters + 1)]
        for number, name in enumerate(names):
            self.have(cluster(name), instance(name), scheme(f"scheme-{number + 1:02}", primary=name, standby=names[(number + 1) % clusters]))

    def console(self) -> Console:
        with socket.create_server(("127.0.0.1", 0)) as free:  # A port that it has again after a restart.
            address = f"127.0.0.1:{free.getsockname()[1]}"
        return Console(address=address, view=self, registry=self, leader=self.leader, namespace="gloo-fed", name="gloo-fed-1")  # type: ignore[arg-type]


@dataclass
class Served:
    """A console that runs in a thread of its own, so that a test may drive a browser meanwhile."""

    world: World
    console: Console
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.console.port}"

    def do(self, change: Callable[[], T]) -> T:
        """Run `change` where the console runs."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(change())
            except BaseException as error:  # whoever waits gets it
                done.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return done.result(timeout=10)

    def show(self, obj: Body) -> None:
        """Have an object as the watch would bring it."""

        def change() -> None:
            self.world.have(obj)
            kind = next(kind for kind in self.world.found if kind.kind == obj["kind"])
            self.console.changed(kind, (obj["metadata"]["namespace"], obj["metadata"]["name"]))

        self.do(change)

    def connect(self, name: str, found: SimpleNamespace) -> None:
        def change() -> None:
            self.world.members[name] = found
            self.console.member_changed(name, None)

        self.do(change)

    def wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout=10)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=5)

    def state(self) -> Body:
        found: Body = self.get("/api/state").json()
        return found


@contextmanager
def served(world: World) -> Iterator[Served]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        console = world.console()
        found = Served(world=world, console=console, loop=loop)
        found.wait(console.start())
        found.do(console.begin)
        yield found
        found.wait(console.stop())
    finally:

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
