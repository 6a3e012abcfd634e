"""The last line of defence of leader election: a writer that writes nothing unless this replica leads at that very moment.

The loops that write are cancelled when a term ends; this catches what a stall of the process lets slip, which no cancellation can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.kube.errors import KubeError
from controlplane.kube.objects import Kind, Object

if TYPE_CHECKING:
    from controlplane.kube.client import Writer
    from controlplane.kube.leadership import Leadership


class NotLeadingError(KubeError):
    """This replica does not lead, so it writes nothing."""


class GuardedWriter:
    """A Writer (see `client`) on top of another one."""

    def __init__(self, writer: Writer, leader: Leadership) -> None:
        self._inner = writer
        self._leader = leader

    @property
    def _writer(self) -> Writer:
        if not self._leader.is_leader:
            raise NotLeadingError(f"{self._leader.holder or 'nobody known'} leads: this replica writes nothing")
        return self._inner

    async def apply(self, kind: Kind, body: Object, *, manager: str, force: bool = False, subresource: str | None = None) -> Object:
        return await self._writer.apply(kind, body, manager=manager, force=force, subresource=subresource)

    async def merge(self, kind: Kind, *, namespace: str, name: str, patch: Object) -> Object:
        return await self._writer.merge(kind, namespace=namespace, name=name, patch=patch)

    async def create(self, kind: Kind, body: Object) -> Object:
        return await self._writer.create(kind, body)

    async def delete(self, kind: Kind, *, namespace: str, name: str, uid: str, version: str | None = None) -> None:
        await self._writer.delete(kind, namespace=namespace, name=name, uid=uid, version=version)
