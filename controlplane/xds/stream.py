"""The rules of one ADS stream: what to send next, and what a request means. No I/O, no clock; the server feeds and drains it.

State of the world, ordered, make before break:

* one response per type is outstanding. Clusters, endpoints and secrets go out together, in this order: Envoy acknowledges clusters only when they are
  warm, and for that it needs the other two (it pauses CDS while clusters warm). So that acknowledgement is also the signal that routes may use them:
  listeners wait for it, routes wait for the listeners;
* names that a client newly asks for are answered at once, whatever else is under way;
* a cluster that is gone from the snapshot stays at the client until listeners and routes no longer need it;
* a cluster that changed gets its endpoints again, even when these did not change: Envoy warms a changed cluster only after an answer
  (xds_protocol, "resource warming"; without it a change takes effect after 15 s). So the key of an endpoint entry holds the version of the
  cluster that this client was sent;
* a refused resource stays at its last good version and does not hold up the others; nothing that was refused is sent a second time.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controlplane.xds.nack import Rejection
from controlplane.xds.resources import Resource, ResourceType, version_of
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.subscription import Entries, Entry, Subscription

LastGood = Mapping[tuple[ResourceType, str], Resource]

_RE_REQUESTED = (ResourceType.SECRET, ResourceType.ROUTE)
_WAIT_FOR_EARLIER = (ResourceType.LISTENER, ResourceType.ROUTE)


@dataclass(frozen=True)
class Request:
    """A DiscoveryRequest, reduced to what decides."""

    type: ResourceType
    names: tuple[str, ...] = ()
    response_nonce: str = ""
    version: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Response:
    """A DiscoveryResponse to be written."""

    type: ResourceType
    version: str
    nonce: str
    resources: tuple[Resource, ...]


class Verdict(enum.Enum):
    """What a request says about the response before it."""

    ACK = "ack"
    NACK = "nack"
    NONE = "none"
    """A subscription only, or a stale request."""


class Stream:
    """One client on one ADS stream."""

    def __init__(self, *, last_good: LastGood) -> None:
        self._subscriptions: dict[ResourceType, Subscription] = {}
        self._last_good = last_good
        self._responses = 0
        self._epoch = 1
        """Grows with every CLUSTER or LISTENER response: these make the client re-request what it already has."""

    def receive(self, request: Request) -> tuple[Verdict, Iterable[Resource]]:
        """Take a request; returns the verdict and, for an ACK, the resources that were accepted."""
        subscription = self._subscriptions.get(request.type)
        if subscription is None:
            subscription = self._subscriptions[request.type] = Subscription(type=request.type, resumed=bool(request.version))
        elif subscription.answered and request.response_nonce not in ("", subscription.nonce):
            return Verdict.NONE, ()  # Crossed a newer response on the wire; the client will answer that one too, with all its names.
        verdict: Verdict = Verdict.NONE
        accepted: Iterable[Resource] = ()
        if subscription.awaiting is not None and request.response_nonce == subscription.nonce:
            if request.error is None:
                verdict, accepted = Verdict.ACK, [entry.resource for entry in subscription.acknowledge().values()]
            else:
                verdict = Verdict.NACK
                subscription.refuse(request.error, last_good=self._last_good_of(request.type))
        names_changed = subscription.ask(request.names)
        if verdict is Verdict.NONE and not names_changed and request.error is None and self._must_repeat(subscription, request):
            subscription.forget(list(subscription.sent))
        return verdict, accepted

    def _must_repeat(self, subscription: Subscription, request: Request) -> bool:
        """A request that says nothing new means that something new at the client waits for what the client already has.

        That happens after clusters or listeners were replaced. It is honoured once per such replacement, so that it can never become a loop.
        """
        if request.response_nonce == "" and subscription.answered:
            return True
        return subscription.awaiting is None and request.type in _RE_REQUESTED and subscription.sent_epoch < self._epoch

    def next_response(self, snapshot: Snapshot) -> Response | None:
        """The next response to write, or None when there is nothing (more) to send. To be called until it returns None."""
        unsettled = False
        for type_ in ResourceType:
            subscription = self._subscriptions.get(type_)
            if type_ is ResourceType.LISTENER:
                unsettled = unsettled or not self._clusters_ready(snapshot)
            if subscription is None:
                continue
            subscription.prune(snapshot.of(type_).items)
            wanted = self._wanted(subscription, snapshot)
            entries = subscription.due(wanted, blocked=unsettled and type_ in _WAIT_FOR_EARLIER)
            if entries is not None:
                return self._respond(subscription, wanted, entries)
            unsettled = unsettled or subscription.awaiting is not None
        return None

    def rejections(self) -> list[Rejection]:
        """What this client refuses at present."""
        return [rejection for subscription in self._subscriptions.values() for rejection in subscription.rejections()]

    def _respond(self, subscription: Subscription, wanted: Entries, entries: Entries) -> Response:
        self._responses += 1
        if subscription.type.full_state:
            self._epoch += 1
        nonce = str(self._responses)
        subscription.send(entries, nonce=nonce, epoch=self._epoch)
        version = version_of((name, entry.key) for name, entry in wanted.items())
        return Response(type=subscription.type, version=version, nonce=nonce, resources=tuple(entry.resource for entry in entries.values()))

    def _wanted(self, subscription: Subscription, snapshot: Snapshot) -> Entries:
        """What the client should have of one type: the snapshot, with last good versions in place of what it refuses."""
        last_good = self._last_good
        type_ = subscription.type
        wanted: Entries = {}
        for name, resource in snapshot.of(type_).items.items():
            if not subscription.wants(name):
                continue
            if (name, resource.version) in subscription.rejected:
                before = subscription.accepted.get(name)
                good = before.resource if before else last_good.get((type_, name))
                if good is None or (name, good.version) in subscription.rejected:
                    continue
                resource = good
            wanted[name] = Entry(resource=resource, key=self._key(type_, resource))
        if type_ is ResourceType.CLUSTER and not self._routes_settled(snapshot):
            for name, entry in subscription.accepted.items():
                wanted.setdefault(name, entry)
        return wanted

    def _key(self, type_: ResourceType, resource: Resource) -> str:
        clusters = self._subscriptions.get(ResourceType.CLUSTER)
        if type_ is not ResourceType.ENDPOINT or clusters is None or resource.name not in clusters.sent:
            return resource.version
        return f"{resource.version}/{clusters.sent[resource.name].resource.version}"

    def _clusters_ready(self, snapshot: Snapshot) -> bool:
        """Every cluster was accepted, and so were the endpoints of each that has some."""
        clusters = self._subscriptions.get(ResourceType.CLUSTER)
        if clusters is None:
            return True
        if clusters.held is not None and clusters.is_held(self._wanted(clusters, snapshot)):
            return False
        endpoints = self._subscriptions.get(ResourceType.ENDPOINT)
        if endpoints is None:
            return True
        return all(
            name in endpoints.accepted or (name, resource.version) in endpoints.rejected
            for name, resource in snapshot.endpoints.items.items()
            if name in clusters.accepted
        )

    def _routes_settled(self, snapshot: Snapshot) -> bool:
        """Listeners and routes at the client are those of the snapshot, so no other cluster is in use."""
        for type_ in (ResourceType.LISTENER, ResourceType.ROUTE):
            subscription = self._subscriptions.get(type_)
            if subscription is None:
                continue
            if type_ is ResourceType.ROUTE and subscription.names and not snapshot.routes.items.keys() <= subscription.names:
                return False  # A new listener is about to ask for its routes.
            if subscription.answered and not subscription.settled(self._wanted(subscription, snapshot)):
                return False
        return True

    def _last_good_of(self, type_: ResourceType) -> dict[str, Resource]:
        return {name: resource for (each, name), resource in self._last_good.items() if each is type_}
