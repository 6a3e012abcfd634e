"""The registered clusters: each KubernetesCluster with its kubeconfig Secret is a Member, and each Member a GlooInstance.

Every replica connects; the leader writes. What a lost cluster was last known to be stays written: the GlooInstance is kept, and the
KubernetesCluster's status says since when it is old. A new kubeconfig is used at once, and what the old one showed is kept until the new one has
shown everything: the rotation of a token is not the loss of a cluster.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from controlplane.fed import status
from controlplane.fed.instance import instance_spec
from controlplane.fed.kinds import GLOO_INSTANCE, KUBERNETES_CLUSTER, MANAGER
from controlplane.fed.member import Member, fingerprint
from controlplane.fed.status import Outcome
from controlplane.kube.client import Writer
from controlplane.kube.errors import BadKubeconfig, Conflict, NotFound
from controlplane.kube.leadership import Leadership
from controlplane.kube.objects import SECRET, Key, Kind, Object, covers, deleting, generation, key_of, owns, uid_of
from controlplane.kube.view import ClusterView
from controlplane.kube.workqueue import WorkQueue
from gloo_api import names
from gloo_api.gloo_instance import GlooInstance
from gloo_api.kubernetes_cluster import KUBECONFIG_KEY, KUBECONFIG_SECRET_TYPE, KubernetesCluster
from gloo_api.meta import InvalidResource
from gloo_api.status import FedState

log = logging.getLogger(__name__)


class Registry:
    """`view` is that of the management cluster; `on_member(cluster, kind)` hears every change of and in a member,
    `on_status(cluster, key)` every change of only the status of an Upstream."""

    def __init__(
        self,
        *,
        view: ClusterView,
        writer: Writer,
        leader: Leadership,
        namespace: str,
        gloo_namespace: str,
        on_member: Callable[[str, Kind | None], None],
        on_status: Callable[[str, Key], None] = lambda cluster, key: None,
    ) -> None:
        self.members: dict[str, Member] = {}
        self._successors: dict[str, Member] = {}
        """Members by a new kubeconfig that are still being read."""
        self._leader = leader
        self._view = view
        self._writer = writer
        self._namespace = namespace
        self._gloo_namespace = gloo_namespace
        self._on_member = on_member
        self._on_status = on_status
        self._statuses = status.StatusWriter(writer)
        self._queue: WorkQueue[str] = WorkQueue(self._handle)
        self._instances: dict[Key, dict[str, Any]] = {}
        """The specs written last."""

    def changed(self, kind: Kind, key: Key) -> None:
        """An object of the management cluster has changed."""
        if kind == KUBERNETES_CLUSTER:
            self._queue.add(key[1])
        elif kind == SECRET:
            for cluster in self._view.objects(KUBERNETES_CLUSTER).values():
                if (cluster.get("spec") or {}).get("secretName") == key[1]:
                    self._queue.add(cluster["metadata"]["name"])
        elif kind == GLOO_INSTANCE and (instance := self._view.get(GLOO_INSTANCE, key)) is not None:
            self._queue.add(str((instance.get("spec") or {}).get("cluster", "")))

    def registrations(self) -> dict[str, KubernetesCluster]:
        """The valid KubernetesClusters by name."""
        found: dict[str, KubernetesCluster] = {}
        for (_, name), obj in self._view.objects(KUBERNETES_CLUSTER).items():
            with suppress(InvalidResource):
                found[name] = KubernetesCluster.parse(dict(obj))
        return found

    def instances(self) -> list[GlooInstance]:
        """A description of each registered cluster: from what was read in it, or before that as it was written last."""
        found = []
        for name in self.registrations():
            member = self.members.get(name)
            if member is not None and member.synced:
                spec = instance_spec(member.found(), cluster=name, namespace=self._gloo_namespace)
            else:
                spec = next((each.get("spec") for each in self._instances_of(name)), None)
            if spec is not None:
                with suppress(InvalidResource):
                    found.append(GlooInstance.parse({"metadata": {"name": name}, "spec": spec}))
        return found

    async def run(self) -> None:
        """Connect, on every replica. To be started when the view is synced. Ends all members when it is cancelled."""
        self._look_at_all()
        try:
            await self._queue.run()
        finally:
            for member in (*self.members.values(), *self._successors.values()):
                await member.stop()

    async def lead(self) -> None:
        """One term of writing: another replica may have written since this one did, so nothing is taken for written."""
        self._statuses.forget()
        self._instances.clear()
        self._look_at_all()
        await asyncio.Event().wait()

    def _look_at_all(self) -> None:
        for obj in self._view.objects(KUBERNETES_CLUSTER).values():
            self._queue.add(obj["metadata"]["name"])
        for key in self._view.objects(GLOO_INSTANCE):
            self.changed(GLOO_INSTANCE, key)

    def _member_changed(self, name: str, kind: Kind | None) -> None:
        self._queue.add(name)
        self._on_member(name, kind)

    async def _handle(self, name: str) -> None:
        obj = self._view.get(KUBERNETES_CLUSTER, (self._namespace, name))
        if obj is None or deleting(obj):
            await self._drop(name)
            for instance in self._instances_of(name) if self._leader.is_leader else ():
                await self._delete_instance(instance)
            return
        outcome = await self._connect(name, obj)
        if not self._leader.is_leader:
            return
        member = self.members.get(name)
        if member is not None and member.synced:
            await self._write_instance(member, obj)
        if outcome.state is FedState.PROCESSING and obj.get("status"):
            return  # After a restart: nothing is known that would make what was said last wrong.
        desired = status.cluster_status(outcome, generation=generation(obj), namespace=self._gloo_namespace, time=status.now())
        await self._statuses.write(KUBERNETES_CLUSTER, obj, desired, outcome)

    async def _connect(self, name: str, obj: Object) -> Outcome:
        """Have the member that the registration asks for; what to say about it."""
        try:
            registration = KubernetesCluster.parse(dict(obj))
        except InvalidResource as error:
            await self._drop(name)
            return Outcome(FedState.INVALID, str(error))
        secret_name = registration.spec.secret_name
        secret = self._view.get(SECRET, (self._namespace, secret_name))
        kubeconfig = _kubeconfig(secret) if secret is not None else None
        if kubeconfig is None:
            await self._drop(name)
            what = "does not exist" if secret is None else f"has no key {KUBECONFIG_KEY}"
            return Outcome(FedState.PENDING, f"spec.secretName: Secret {self._namespace}/{secret_name} of type {KUBECONFIG_SECRET_TYPE} {what}")
        try:
            member = await self._member(name, kubeconfig)
        except BadKubeconfig as error:
            return Outcome(FedState.INVALID, f"Secret {self._namespace}/{secret_name}: {error}")
        if member.trouble:
            return Outcome(FedState.FAILED, member.trouble)
        return Outcome(FedState.ACCEPTED) if member.synced else Outcome(FedState.PROCESSING, "reading the cluster")

    async def _member(self, name: str, kubeconfig: str) -> Member:
        """The member by this kubeconfig; it takes the place of one by an older kubeconfig when it has read everything."""
        present = self.members.get(name)
        if present is not None and present.fingerprint == fingerprint(kubeconfig):
            await self._discard(self._successors.pop(name, None))
            return present
        member = self._successors.get(name)
        if member is None or member.fingerprint != fingerprint(kubeconfig):
            made = Member(
                name=name,
                kubeconfig=kubeconfig,
                gloo_namespace=self._gloo_namespace,
                leader=self._leader,
                on_change=self._member_changed,
                on_status=self._on_status,
            )
            await self._discard(member)
            member = self._successors[name] = made
            log.info("cluster registered", extra={"cluster": name, "server": member.client.server})
            member.start()
        if present is None or member.synced:
            self.members[name] = self._successors.pop(name)
            await self._discard(present)
            self._on_member(name, None)
        return member

    async def _discard(self, member: Member | None) -> None:
        if member is not None:
            await member.stop()

    async def _drop(self, name: str) -> None:
        await self._discard(self._successors.pop(name, None))
        member = self.members.pop(name, None)
        if member is not None:
            await member.stop()
            log.info("cluster no longer registered", extra={"cluster": name})
            self._on_member(name, None)

    def _instances_of(self, name: str) -> list[Object]:
        instances = self._view.objects(GLOO_INSTANCE).values()
        return [each for each in instances if (each.get("spec") or {}).get("cluster") == name and owns(each, MANAGER, "spec")]

    async def _delete_instance(self, instance: Object) -> None:
        namespace, name = key_of(instance)
        self._instances.pop((namespace, name), None)
        try:
            await self._writer.delete(GLOO_INSTANCE, namespace=namespace, name=name, uid=uid_of(instance))
        except (NotFound, Conflict):
            return
        log.info("gloo instance removed", extra={"instance": name})

    async def _write_instance(self, member: Member, cluster: Object) -> None:
        key = (self._namespace, names.gloo_instance_name(member.name, self._gloo_namespace))
        observed = self._view.get(GLOO_INSTANCE, key)
        spec = instance_spec(member.found(), cluster=member.name, namespace=self._gloo_namespace)
        if spec is None:
            if observed is not None and owns(observed, MANAGER, "spec"):
                await self._delete_instance(observed)
            return
        if observed is not None and covers(observed.get("spec"), spec) and self._instances.get(key, spec) == spec:
            return
        owner = {
            "apiVersion": KUBERNETES_CLUSTER.api_version,
            "kind": KUBERNETES_CLUSTER.kind,
            "name": member.name,
            "uid": uid_of(cluster),
        }
        body = {"metadata": {"namespace": key[0], "name": key[1], "ownerReferences": [owner]}, "spec": spec}
        await self._writer.apply(GLOO_INSTANCE, body, manager=MANAGER, force=True)
        self._instances[key] = spec
        addresses = [endpoint["address"] for proxy in spec["proxies"] for endpoint in proxy["ingressEndpoints"]]
        log.info("gloo instance written", extra={"instance": key[1], "addresses": addresses})


def _kubeconfig(secret: Object) -> str | None:
    try:
        return base64.b64decode((secret.get("data") or {})[KUBECONFIG_KEY], validate=True).decode()
    except (KeyError, binascii.Error, ValueError):
        return None
