"""The Kubernetes kinds that `gloo-fed` reads and writes besides those of a single cluster, and the names it writes under."""

from __future__ import annotations

from controlplane.kube.objects import Kind
from gloo_api.failover_scheme import FailoverScheme
from gloo_api.gloo_instance import GlooInstance
from gloo_api.kubernetes_cluster import KubernetesCluster
from gloo_api.meta import Kind as ApiKind
from gloo_api.upstream import Upstream

MANAGER = "gloo-fed"
"""Field manager of all its writes, and the owner in the status of a KubernetesCluster."""

FINALIZER = "fed.solo.io/finalizer"


def kind(api: ApiKind) -> Kind:
    """The client's view of a resource of `gloo_api`."""
    return Kind(group=api.group, version=api.version, kind=api.kind, plural=api.plural)


UPSTREAM = kind(Upstream.KIND)
KUBERNETES_CLUSTER = kind(KubernetesCluster.KIND)
FAILOVER_SCHEME = kind(FailoverScheme.KIND)
GLOO_INSTANCE = kind(GlooInstance.KIND)
