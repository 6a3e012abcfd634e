"""What counts of an object whose translation raises, which is a defect of ours: what it gave last, and a report that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from controlplane.translation.results import ClusterEntry, ClusterKey, GatewayEntry, GatewayKey, HostEntry, R
from controlplane.translation.types import Key, ObjectRef, Report
from gloo_api import names
from gloo_api.meta import Problem

OnDefect = Callable[[ObjectRef, Exception], None]


class Rescue:
    """`on_defect` hears of every defect before anything is rescued; it may raise, and then nothing is."""

    def __init__(self, on_defect: OnDefect) -> None:
        self._on_defect = on_defect

    def cluster(self, key: ClusterKey, before: ClusterEntry[R] | None, error: Exception) -> ClusterEntry[R]:
        self._on_defect(ObjectRef("Upstream", *key.upstream), error)
        name = names.cluster_name(key.upstream.name, key.upstream.namespace)
        empty: ClusterEntry[R] = ClusterEntry(name=name, cluster=None, assignment=None, destination=None, secrets=(), report=Report())
        return replace(before or empty, report=_internal(error))

    def host(self, key: Key, before: HostEntry | None, error: Exception) -> HostEntry:
        ref = ObjectRef("VirtualService", *key)
        self._on_defect(ref, error)
        return HostEntry(host=before.host if before else None, reports={ref: _internal(error)})

    def gateway(self, key: GatewayKey, before: GatewayEntry[R] | None, error: Exception) -> GatewayEntry[R]:
        ref = ObjectRef("Gateway", *key.gateway)
        self._on_defect(ref, error)
        empty: GatewayEntry[R] = GatewayEntry(listeners={}, routes={}, secrets=(), reports={})
        return replace(before or empty, reports={ref: _internal(error)})


def _internal(error: Exception) -> Report:
    """The error's text is for the log alone: it could quote what nobody should read in a status."""
    return Report(errors=(Problem("object", f"internal error of gloo ({type(error).__name__}); what served before stays, details are in its log"),))
