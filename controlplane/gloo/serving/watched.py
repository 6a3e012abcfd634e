"""What of an Upstream matters to who serves it: which priorities it has, and the settings that Envoy's rule depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.gloo.serving.load import DEFAULT_OVERPROVISIONING, DEFAULT_PANIC_PERCENT
from controlplane.kube.objects import Key, Object, key_of
from gloo_api import names


@dataclass(frozen=True)
class Watched:
    """An Upstream with failover. `endpoints`: how many each failover priority should have at least (a host name can stand for more)."""

    key: Key
    endpoints: tuple[int, ...]
    checked: bool
    factor: int
    panic_percent: float

    @property
    def cluster(self) -> str:
        """Its name in Envoy."""
        return names.cluster_name(self.key[1], self.key[0])

    @property
    def priorities(self) -> int:
        return 1 + len(self.endpoints)


def watched(upstream: Object) -> Watched | None:
    """None when the Upstream has no failover, or one that cannot be read: its `status.statuses` says so."""
    spec = upstream.get("spec")
    try:
        localities = spec["failover"]["prioritizedLocalities"]  # type: ignore[index] # what is not there is an error that is caught
        counts = tuple(sum(len(group.get("lbEndpoints") or ()) for group in each.get("localityEndpoints") or ()) for each in localities)
        settings: Mapping[str, Any] = spec  # type: ignore[assignment]
        factor = (settings["failover"].get("policy") or {}).get("overprovisioningFactor") or DEFAULT_OVERPROVISIONING
        panic = (settings.get("loadBalancerConfig") or {}).get("healthyPanicThreshold")
        return Watched(
            key=key_of(upstream),
            endpoints=counts,
            checked=bool(settings.get("healthChecks")),
            factor=int(factor),
            panic_percent=DEFAULT_PANIC_PERCENT if panic is None else float(panic),
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
