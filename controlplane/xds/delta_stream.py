"""The rules of one incremental (delta) ADS stream: what to send next, and what a request means. No I/O, no clock; the server feeds and drains it.

Ordered, make before break, and never more work than there are changes:

* a response has a bounded number of resources, and the next one of the type waits until the client is through with it: Envoy's health checks run on
  the thread that takes in configuration, so a large push must leave it room to breathe. That is, until its acknowledgement; but clusters are only
  acknowledged when all of them are warm, and one whose endpoints do not answer takes its health check's timeout for that. So for the next
  clusters an acknowledgement of endpoints sent after them will do;
* clusters, endpoints and secrets go out together, in this order: Envoy acknowledges clusters only when they are warm, and for that it needs the
  other two. So that acknowledgement is also the signal that routes may use them: listeners wait for it, routes wait for the listeners;
* names that a client newly asks for are answered at once, whatever else is under way; those that do not exist are answered as removed;
* a cluster that changed gets its endpoints again, even when these did not change: it warms only after an answer, and because its name is subscribed
  already Envoy does not ask (envoy#47302). So that this survives a reconnect, the version of endpoints holds the version of their cluster;
* what is gone is removed last: clusters, endpoints and secrets stay at the client until its listeners and routes are those of the snapshot;
* a refused resource is not sent again before it changes and does not hold up the others: the client keeps what it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from controlplane.xds.delta_subscription import LATE, Delta, DeltaSubscription, Source
from controlplane.xds.nack import Rejection
from controlplane.xds.resources import Resource, ResourceType
from controlplane.xds.snapshot import Snapshot
from controlplane.xds.stream import LastGood, Verdict
from controlplane.xds.subscription import Entry

CHUNKS = {ResourceType.CLUSTER: 5, ResourceType.ENDPOINT: 50, ResourceType.SECRET: 10, ResourceType.LISTENER: 10, ResourceType.ROUTE: 10}
"""How many resources a response has at most.

Measured with Envoy 1.40 and 1,000 failover clusters with TLS: a cluster takes 2 to 5 ms of its main thread, endpoints 0.3 ms. In one response they
stop the health checks for 3 to 9 s, and many first ones fail; in parts of 10 they come at most 50 ms late; the whole is not slower. Workers take a
part as a whole too, between two requests: parts of 5, and rests in between (see server), keep a failover during a push below 1.5 times its time.
"""


@dataclass(frozen=True)
class DeltaRequest:
    """A DeltaDiscoveryRequest, reduced to what decides."""

    type: ResourceType
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    """`initial_resource_versions`: what the client kept from an earlier stream."""
    response_nonce: str = ""
    error: str | None = None


@dataclass(frozen=True)
class DeltaResponse:
    """A DeltaDiscoveryResponse to be written."""

    type: ResourceType
    version: str
    """Of everything of this type; for people only."""
    nonce: str
    entries: Mapping[str, Entry]
    removed: Collection[str]


class DeltaStream:
    """One client on one incremental ADS stream."""

    def __init__(self, *, last_good: LastGood, chunks: Mapping[ResourceType, int] = CHUNKS) -> None:
        self._subscriptions: dict[ResourceType, DeltaSubscription] = {}
        self._last_good = last_good
        self._chunks = chunks
        self._snapshot = Snapshot()
        self._responses = 0
        self._newest_clusters = 0
        """The number of the newest response with clusters."""
        self._unasked: set[str] = set()
        """Clusters that were sent, whose endpoints the client has not asked for yet."""
        self._resumed = False
        self.introduced = False
        """The client has had time to say all that it subscribes to; until then, one that comes from an earlier stream may have unknown routes."""

    def update(self, snapshot: Snapshot, changed: Mapping[ResourceType, Iterable[str]]) -> None:
        """The snapshot is now this one; `changed` names what may differ from the one before (for the first one: everything)."""
        self._snapshot = snapshot
        for type_, names in changed.items():
            if type_ in self._subscriptions:
                self._subscriptions[type_].look_again(names)

    def receive(self, request: DeltaRequest) -> tuple[Verdict, Iterable[Resource]]:
        """Take a request; returns the verdict and, for an ACK, the resources that were accepted."""
        there = self._snapshot.of(request.type).items
        subscription = self._subscriptions.get(request.type)
        if subscription is None:
            subscription = self._subscriptions[request.type] = DeltaSubscription(type=request.type)
            subscription.open(request.subscribe, known=request.known, everything=there)
            self._resumed = self._resumed or bool(request.known)
            verdict: tuple[Verdict, Iterable[Resource]] = (Verdict.NONE, ())
        else:
            # Also a request that answers an older response counts as far as names go: each tells only what is new.
            verdict = self._judge(subscription, request)
            subscription.unsubscribe(request.unsubscribe)
            subscription.subscribe(request.subscribe, everything=there)
        if request.type is ResourceType.ENDPOINT:
            self._unasked.difference_update(request.subscribe)
        return verdict

    def _judge(self, subscription: DeltaSubscription, request: DeltaRequest) -> tuple[Verdict, Iterable[Resource]]:
        if request.response_nonce not in subscription.outstanding:
            return Verdict.NONE, ()
        clusters = self._subscriptions.get(ResourceType.CLUSTER)
        if request.type is ResourceType.ENDPOINT and clusters is not None and int(request.response_nonce) > self._newest_clusters:
            clusters.taken_in = True
        if request.error is None:
            return Verdict.ACK, subscription.acknowledge(request.response_nonce)
        blamed = subscription.refuse(request.response_nonce, request.error)
        if request.type is ResourceType.CLUSTER:
            self._unasked.difference_update(blamed)
        return Verdict.NACK, ()

    def next_response(self) -> DeltaResponse | None:
        """The next response to write, or None when there is nothing (more) to send. To be called until it returns None."""
        settled = True
        for type_ in ResourceType:
            subscription = self._subscriptions.get(type_)
            if type_ is ResourceType.LISTENER:
                settled = settled and self._endpoints_asked_for()
            if subscription is None:
                continue
            delta = subscription.due(self._source(type_), blocked=not settled and type_ in LATE, limit=self._chunks[type_])
            if delta is None and type_ is ResourceType.ENDPOINT and self._must_ask_whether_clusters_were_taken_in():
                delta = Delta({})
            if delta is not None:
                return self._respond(subscription, delta)
            settled = settled and subscription.quiet
        return self._next_removal() if settled and self._nothing_else_in_use() else None

    def _must_ask_whether_clusters_were_taken_in(self) -> bool:
        """More clusters are to follow, and no endpoints are on the way whose answer would tell: empty ones do as well."""
        clusters, endpoints = self._subscriptions.get(ResourceType.CLUSTER), self._subscriptions[ResourceType.ENDPOINT]
        waits = clusters is not None and not clusters.taken_in and (clusters.waiting or clusters.changed)
        return bool(waits and endpoints.quiet and not self._unasked)

    def rejections(self) -> list[Rejection]:
        """What this client refuses at present."""
        return [rejection for subscription in self._subscriptions.values() for rejection in subscription.rejections()]

    def _next_removal(self) -> DeltaResponse | None:
        for type_ in ResourceType:
            subscription = self._subscriptions.get(type_)
            if subscription is not None and (delta := subscription.due_to_leave()) is not None:
                return self._respond(subscription, delta)
        return None

    def _respond(self, subscription: DeltaSubscription, delta: Delta) -> DeltaResponse:
        self._responses += 1
        nonce = str(self._responses)
        subscription.send(delta, nonce=nonce)
        endpoints = self._subscriptions.get(ResourceType.ENDPOINT)
        if subscription.type is ResourceType.CLUSTER:
            self._newest_clusters = self._responses
            there = self._snapshot.endpoints.items
            self._unasked.difference_update(delta.removed)
            self._unasked.update(name for name in delta.entries if name in there and not (endpoints and endpoints.wants(name)))
            if endpoints is not None:
                endpoints.repeat(delta.entries, there=there)
        version = self._snapshot.of(subscription.type).version
        return DeltaResponse(type=subscription.type, version=version, nonce=nonce, entries=delta.entries, removed=delta.removed)

    def _source(self, type_: ResourceType) -> Source:
        return Source(
            current=lambda name: self._entry(type_, self._snapshot.of(type_).items.get(name)),
            last_good=lambda name: self._entry(type_, self._last_good.get((type_, name))),
        )

    def _entry(self, type_: ResourceType, resource: Resource | None) -> Entry | None:
        if resource is None:
            return None
        clusters = self._subscriptions.get(ResourceType.CLUSTER)
        cluster = clusters.told(resource.name) if clusters is not None and type_ is ResourceType.ENDPOINT else None
        return Entry(resource=resource, key=f"{resource.version}/{cluster}" if cluster else resource.version)

    def _endpoints_asked_for(self) -> bool:
        """The client knows of no cluster whose endpoints it has still to ask for."""
        if ResourceType.ENDPOINT not in self._subscriptions:
            return True
        return not any(name in self._snapshot.endpoints.items for name in self._unasked)

    def _nothing_else_in_use(self) -> bool:
        """Listeners and routes at the client are those of the snapshot, so it uses nothing else."""
        listeners, routes = (self._subscriptions.get(type_) for type_ in LATE)
        if self._resumed and not self.introduced and (listeners is None or routes is None):
            return False
        if routes is not None and not self._snapshot.routes.items.keys() <= routes.names:
            return False  # A new listener is about to ask for its routes.
        return not any(subscription is not None and subscription.refused for subscription in (listeners, routes))
