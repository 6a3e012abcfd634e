"""What a client of the xDS server was sent and when it acknowledged what. Pure bookkeeping: the streams themselves are in `ads.py` and `tap.py`.

Content is compared by hash, so that a resource that was sent again without a change does not count as the change that is waited for.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.any_pb2 import Any as PackedAny

CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET = (
    f"type.googleapis.com/{message.DESCRIPTOR.full_name}" for message in (Cluster, ClusterLoadAssignment, Listener, RouteConfiguration, Secret)
)
_NAMES = {CLUSTER: (Cluster, "name"), ENDPOINT: (ClusterLoadAssignment, "cluster_name"), LISTENER: (Listener, "name")} | {
    ROUTE: (RouteConfiguration, "name"),
    SECRET: (Secret, "name"),
}


class Refused(RuntimeError):
    """The client refused a configuration, which no benchmark expects."""


@dataclass
class Change:
    """A change that is waited for: `acked` is when it was acknowledged, by time.monotonic."""

    type_url: str
    name: str
    acked: asyncio.Future[float]
    before: int | None


@dataclass
class Journal:
    """`payload` counts the bytes of all responses, as protobuf, without the framing of HTTP/2 and TLS."""

    payload: int = 0
    responses: int = 0
    resources: int = 0
    known: dict[str, dict[str, int]] = field(default_factory=dict)
    """Hash of the content of each resource, by type URL and name."""
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    """Version of each resource, where the protocol says it (delta)."""
    _waiting: list[Change] = field(default_factory=list)
    _unacked: dict[str, list[Change]] = field(default_factory=dict)

    def change(self, type_url: str, name: str) -> Change:
        """Wait for the next content of one resource; to be called before the change is made."""
        change = Change(type_url, name, asyncio.get_running_loop().create_future(), self.known.get(type_url, {}).get(name))
        self._waiting.append(change)
        return change

    def responded(self, *, type_url: str, nonce: str, size: int, bodies: dict[str, bytes], removed: tuple[str, ...] = ()) -> None:
        """The server has sent a response with these resources."""
        self.payload += size
        self.responses += 1
        self.resources += len(bodies)
        known = self.known.setdefault(type_url, {})
        known.update((name, hash(body)) for name, body in bodies.items())
        for name in removed:
            known.pop(name, None)
        arrived = [change for change in self._waiting if change.type_url == type_url and known.get(change.name) != change.before]
        if arrived:
            self._waiting = [change for change in self._waiting if change not in arrived]
            self._unacked.setdefault(nonce, []).extend(arrived)

    def acked(self, nonce: str, *, at: float | None = None) -> None:
        """The client has acknowledged a response. An answer to none, such as a first request, has an empty nonce and changes nothing."""
        for change in self._unacked.pop(nonce, ()):
            if not change.acked.done():
                change.acked.set_result(time.monotonic() if at is None else at)


def name_of(type_url: str, body: bytes) -> str:
    """The name in a resource of the state-of-the-world protocol, whose responses do not say it."""
    message, field_name = _NAMES[type_url]
    return str(getattr(message.FromString(body), field_name))


def named(type_url: str, resources: list[PackedAny]) -> dict[str, bytes]:
    """Bodies of such a response by name."""
    return {name_of(type_url, resource.value): resource.value for resource in resources}
