"""The record that makes a directory a cluster: its spec, its network, and the registry that gave the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.layout import StateDir, read_json, write_json
from embedded.network import Network
from embedded.spec import ClusterSpec, spec_from


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that was made: what `cluster.json` holds."""

    spec: ClusterSpec
    network: Network
    registry: Path
    """Directory of the registry that its octet comes from."""


def load_cluster(state: StateDir) -> Cluster | None:
    """The cluster in `state`; None when none was made there."""
    if not state.cluster.exists():
        return None
    document = read_json(state.cluster)
    try:
        return Cluster(spec=spec_from(document["spec"]), network=Network(int(document["octet"])), registry=Path(document["registry"]))
    except (KeyError, TypeError, ValueError, EmbeddedError) as error:
        raise EmbeddedError(
            f"{state.cluster} is damaged ({error!r}). Remove the cluster: python -m embedded delete --state-dir {state.root}"
        ) from error


def save_cluster(state: StateDir, cluster: Cluster) -> bool:
    return write_json(state.cluster, {"spec": cluster.spec.to_json(), "octet": cluster.network.octet, "registry": str(cluster.registry)})
