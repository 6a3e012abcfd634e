"""FailoverSchemes: each becomes `spec.failover` of its primary Upstream, and says in its status whether it did.

`gloo-fed` owns that one field of the primary, by server-side apply. The field goes when no scheme asks for it any more: that is looked for in every
cluster (`sweep`), so it also happens when a scheme's primary changes, or when its cluster was away at that moment. What is not known (a cluster that
is lost, a GlooInstance that is not there yet) never takes a working failover away.

A finalizer holds a deleted scheme until its primary is clean, and never longer than the primary's cluster can be reached.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from controlplane.fed import status
from controlplane.fed.farewell import Reader
from controlplane.fed.kinds import FAILOVER_SCHEME, FINALIZER, GLOO_INSTANCE, KUBERNETES_CLUSTER, MANAGER, UPSTREAM
from controlplane.fed.primaries import Primaries, Primary, primary_of
from controlplane.fed.registry import Registry
from controlplane.fed.status import Outcome
from controlplane.kube.client import Writer
from controlplane.kube.errors import Forbidden, KubeError, NotFound, Owned, Unreachable
from controlplane.kube.objects import EVENT, Key, Kind, Object, deleting, generation, key_of, resource_version, uid_of
from controlplane.kube.view import ClusterView
from controlplane.kube.workqueue import WorkQueue
from controlplane.translation.fed import failover_spec
from controlplane.translation.types import Key as UpstreamKey
from gloo_api.failover_scheme import FailoverScheme
from gloo_api.meta import InvalidResource
from gloo_api.status import FedState

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """What the queue holds: a scheme to carry out, or (without a key) a cluster to sweep."""

    cluster: str = ""
    scheme: Key | None = None


class Schemes:
    """`view` and `writer` are those of the management cluster, `registry` knows the registered clusters as they are now."""

    def __init__(self, *, view: ClusterView, writer: Writer, namespace: str, registry: Registry) -> None:
        self._view = view
        self._writer = writer
        self._namespace = namespace
        self._registry = registry
        self._statuses = status.StatusWriter(writer)
        self._queue: WorkQueue[Job] = WorkQueue(self._handle)
        self._primaries = Primaries(view=view, registry=registry)

    def changed(self, kind: Kind, key: Key) -> None:
        """An object of the management cluster has changed."""
        if kind in (FAILOVER_SCHEME, GLOO_INSTANCE, KUBERNETES_CLUSTER):
            self._all(sweep=tuple(self._registry.members) if kind == FAILOVER_SCHEME else ())

    def member_changed(self, cluster: str, kind: Kind | None) -> None:
        """Something in a registered cluster has changed; with None, the cluster itself."""
        self._all(sweep=(cluster,) if kind in (None, UPSTREAM) else ())

    def _all(self, *, sweep: tuple[str, ...]) -> None:
        for key in self._view.objects(FAILOVER_SCHEME):
            self._queue.add(Job(scheme=key))
        for cluster in sweep:
            self._queue.add(Job(cluster=cluster))

    async def run(self) -> None:
        """One term of writing: another replica may have written since this one did, so nothing is taken for written. Needs a synced view."""
        self._statuses.forget()
        self._primaries.forget()
        self._all(sweep=tuple(self._registry.members))
        await self._queue.run()

    async def let_go(self, reader: Reader) -> None:
        """Release the finalizer of every scheme, whatever its primary is like: nobody will be there to do it. The view is old by now."""
        for namespace, name in self._view.objects(FAILOVER_SCHEME):
            try:
                scheme = await reader.get(FAILOVER_SCHEME, namespace=namespace, name=name)
                if FINALIZER in (finalizers := scheme["metadata"].get("finalizers") or ()):
                    await self._set_finalizers(scheme, [each for each in finalizers if each != FINALIZER])
            except KubeError as error:
                log.warning("finalizer not released", extra={"scheme": f"{namespace}/{name}", "error": str(error)})

    async def _handle(self, job: Job) -> None:
        if job.scheme is None:
            await self._primaries.sweep(job.cluster)
            return
        scheme = self._view.get(FAILOVER_SCHEME, job.scheme)
        if scheme is None:
            return
        if deleting(scheme):
            await self._finish(scheme)
            return
        try:
            outcome = await self._carry_out(scheme)
        except (Unreachable, Forbidden) as error:
            await self._say(scheme, Outcome(FedState.FAILED, f"{error}; it is tried again"))
            raise
        if outcome is not None:
            await self._say(scheme, outcome)

    async def _say(self, scheme: Object, outcome: Outcome) -> None:
        desired = status.scheme_status(outcome, generation=generation(scheme), namespace=self._namespace, time=status.now())
        await self._statuses.write(FAILOVER_SCHEME, scheme, desired, outcome)

    async def _carry_out(self, obj: Object) -> Outcome | None:
        """What came of it; None when a cluster is still being read, so that nothing new can be said yet."""
        try:
            scheme = FailoverScheme.parse(dict(obj))
        except InvalidResource as error:
            return Outcome(FedState.INVALID, str(error))
        primary = Primary(scheme.spec.primary.cluster_name, (scheme.spec.primary.namespace, scheme.spec.primary.name))
        if (rival := self._rival(obj, primary)) is not None:
            return Outcome(FedState.INVALID, f"spec.primary: {primary} is already the primary of FailoverScheme {rival[0]}/{rival[1]}")
        result = failover_spec(scheme, clusters=self._registry.registrations(), instances=self._registry.instances(), upstreams=self._upstreams())
        member = self._registry.members.get(primary.cluster)
        if result.state is FedState.INVALID:
            return Outcome(result.state, result.message)
        if member is None:
            return Outcome(FedState.PENDING, f"cluster {primary.cluster} is not connected; see its KubernetesCluster")
        upstream = member.upstream(primary.key)
        reading = self._being_read(scheme)
        if reading and (upstream is None or result.state is not FedState.ACCEPTED):
            return None if obj.get("status") else Outcome(FedState.PENDING, f"reading {', '.join(reading)}")
        if upstream is None:
            return Outcome(FedState.PENDING, f"spec.primary: there is no {primary}" if member.lost is None else member.trouble)
        await self._hold(obj)
        if result.failover is not None and (result.state is FedState.ACCEPTED or "failover" not in upstream["spec"]):
            try:
                await self._primaries.apply(member, primary, upstream, result.failover.to_object())
            except NotFound:
                return Outcome(FedState.PENDING, f"spec.primary: there is no {primary}")
            except Owned as error:
                return Outcome(FedState.FAILED, f"{primary}: {error.message}")
        return Outcome(result.state, "; ".join(filter(None, [result.message, *self._lost(scheme)])))

    def _upstreams(self) -> dict[str, set[UpstreamKey]]:
        """The Upstreams of each cluster that is known now."""
        known = {name: member for name, member in self._registry.members.items() if member.synced and member.lost is None}
        return {name: {UpstreamKey(*key) for key in member.upstreams()} for name, member in known.items()}

    def _being_read(self, scheme: FailoverScheme) -> list[str]:
        """Clusters of the scheme that have not been read yet, so that nothing can be said about what they lack."""
        members = self._registry.members
        return [name for name in _clusters(scheme) if (member := members.get(name)) and not member.synced and member.lost is None]

    def _lost(self, scheme: FailoverScheme) -> list[str]:
        """What is to be said of clusters that serve as last known."""
        members = self._registry.members
        return [f"cluster {name}: {member.trouble}" for name in _clusters(scheme) if (member := members.get(name)) and member.trouble]

    def _rival(self, obj: Object, primary: Primary) -> Key | None:
        """An older scheme with the same primary."""
        rivals = [each for each in self._view.objects(FAILOVER_SCHEME).values() if primary_of(each) == primary and not deleting(each)]
        first = min(rivals, key=lambda each: (each["metadata"].get("creationTimestamp", ""), key_of(each)), default=obj)
        return None if key_of(first) == key_of(obj) else key_of(first)

    async def _hold(self, scheme: Object) -> None:
        if FINALIZER not in (scheme["metadata"].get("finalizers") or ()):
            await self._set_finalizers(scheme, [*(scheme["metadata"].get("finalizers") or ()), FINALIZER])

    async def _finish(self, scheme: Object) -> None:
        """The scheme is being deleted: clean its primary, then let it go."""
        finalizers = scheme["metadata"].get("finalizers") or ()
        if FINALIZER not in finalizers:
            return
        primary = primary_of(scheme)
        left = await self._primaries.clean(primary) if primary is not None else None
        if left is not None:
            log.warning("failover scheme released without cleaning its primary", extra={"scheme": str(key_of(scheme)), "reason": left})
            await self._event(scheme, f"{left}: spec.failover of {primary} is left as it is, and removed when the cluster is connected again")
        await self._set_finalizers(scheme, [each for each in finalizers if each != FINALIZER])

    async def _set_finalizers(self, scheme: Object, finalizers: list[str]) -> None:
        namespace, name = key_of(scheme)
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": resource_version(scheme)}}
        try:
            await self._writer.merge(FAILOVER_SCHEME, namespace=namespace, name=name, patch=patch)
        except NotFound:
            return

    async def _event(self, scheme: Object, message: str) -> None:
        namespace, name = key_of(scheme)
        about = {"apiVersion": FAILOVER_SCHEME.api_version, "kind": FAILOVER_SCHEME.kind, "namespace": namespace, "name": name, "uid": uid_of(scheme)}
        time = status.now()
        event = {
            "metadata": {"namespace": namespace, "generateName": f"{name}-"},
            "involvedObject": about,
            "type": "Warning",
            "reason": "PrimaryNotCleaned",
            "message": message,
            "source": {"component": MANAGER},
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        }
        try:
            await self._writer.create(EVENT, event)
        except Forbidden as error:
            log.warning("event not written", extra={"error": str(error)})


def _clusters(scheme: FailoverScheme) -> list[str]:
    """The clusters that a scheme names."""
    targets = {entry.cluster for group in scheme.spec.failover_groups for entry in group.priority_group}
    return sorted(targets | {scheme.spec.primary.cluster_name})
