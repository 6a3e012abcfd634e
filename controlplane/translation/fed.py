"""A FailoverScheme as `spec.failover` of its primary Upstream: where the other clusters are reached, by which name, and whose certificate to expect.

It knows only what it is given and resolves no address; writing the Upstream and its status is gloo-fed's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from controlplane.translation.types import Key
from gloo_api import names
from gloo_api.failover import Failover, LbEndpoint, Locality, LocalityLbEndpoints, PrioritizedLocality
from gloo_api.failover_scheme import FailoverScheme, PriorityGroupMember, UpstreamRef
from gloo_api.gloo_instance import GlooInstance, IngressEndpoint
from gloo_api.kubernetes_cluster import KubernetesCluster
from gloo_api.meta import Problem, ResourceRef
from gloo_api.ssl import UpstreamSslConfig
from gloo_api.status import FedState

DEFAULT_NAMESPACE = "gloo-system"


@dataclass(frozen=True)
class FailoverResult:
    """What to write on the primary and what to say in the scheme's status.

    `failover` is None when there is nothing to write: the scheme is INVALID, or no target can be reached. With state FAILED and a `failover`, some
    targets are left out: write it on a primary that has none, and leave one that is there already alone, because what is merely not known now
    still serves.
    """

    failover: Failover | None
    state: FedState
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()

    @property
    def message(self) -> str:
        """For the status: what is wrong first, then what is only worth knowing."""
        return "; ".join(str(problem) for problem in self.problems + self.notes)


def failover_spec(
    scheme: FailoverScheme,
    *,
    clusters: Mapping[str, KubernetesCluster],
    instances: Iterable[GlooInstance],
    upstreams: Mapping[str, Collection[Key]],
) -> FailoverResult:
    """Plan one scheme.

    `clusters` by name; `instances` of all clusters; `upstreams` that exist, by cluster: a cluster that is not in it is not checked (it is being read,
    or lost).
    """
    invalid = tuple(_invalid(scheme, clusters=clusters))
    if invalid:
        return FailoverResult(failover=None, state=FedState.INVALID, problems=invalid)
    planner = _Planner(scheme=scheme, clusters=clusters, instances=tuple(instances), upstreams=upstreams)
    return planner.plan()


def _invalid(scheme: FailoverScheme, *, clusters: Mapping[str, KubernetesCluster]) -> Iterable[Problem]:
    """What no change in any cluster but a new registration could make right."""
    registered = ", ".join(sorted(clusters)) or "none, as no KubernetesCluster exists"
    primary = scheme.spec.primary
    if primary.cluster_name not in clusters:
        yield Problem("spec.primary.clusterName", f'"{primary.cluster_name}" is not registered; allowed: {registered}')
    seen = {(primary.cluster_name, primary.namespace, primary.name): "spec.primary"}
    for path, member in _members(scheme):
        if member.cluster not in clusters:
            yield Problem(f"{path}.cluster", f'"{member.cluster}" is not registered; allowed: {registered}')
        for index, upstream in enumerate(member.upstreams):
            target = (member.cluster, upstream.namespace, upstream.name)
            here = f"{path}.upstreams[{index}]"
            if target in seen:
                yield Problem(
                    here, f"{upstream.namespace}/{upstream.name} in cluster {member.cluster} is named already by {seen[target]}; name it once"
                )
            seen.setdefault(target, here)


def _members(scheme: FailoverScheme) -> Iterable[tuple[str, PriorityGroupMember]]:
    for priority, group in enumerate(scheme.spec.failover_groups):
        for index, member in enumerate(group.priority_group):
            yield f"spec.failoverGroups[{priority}].priorityGroup[{index}]", member


class _Planner:
    """One plan; collects what could not be resolved."""

    def __init__(
        self,
        *,
        scheme: FailoverScheme,
        clusters: Mapping[str, KubernetesCluster],
        instances: tuple[GlooInstance, ...],
        upstreams: Mapping[str, Collection[Key]],
    ) -> None:
        self._scheme = scheme
        self._clusters = clusters
        self._instances = instances
        self._upstreams = upstreams
        self._problems: list[Problem] = []
        self._notes: dict[Problem, None] = {}
        self._secret = ResourceRef(name=names.UPSTREAM_SECRET, namespace=self._primary_namespace())

    def plan(self) -> FailoverResult:
        paths = iter(_members(self._scheme))
        localities = [
            # A group without any target keeps its place: endpoints that moved up would have to prove their health again.
            PrioritizedLocality(locality_endpoints=tuple(place for _ in group.priority_group for place in self._places(*next(paths))))
            for group in self._scheme.spec.failover_groups
        ]
        reachable = any(locality.locality_endpoints for locality in localities)
        return FailoverResult(
            failover=Failover(prioritized_localities=tuple(localities)) if reachable else None,
            state=FedState.FAILED if self._problems else FedState.ACCEPTED,
            problems=tuple(self._problems),
            notes=tuple(self._notes),
        )

    def _primary_namespace(self) -> str:
        """Where the primary's control plane, and so the Secret with its client certificate, is."""
        found = (item.spec.control_plane.namespace for item in self._instances if item.spec.cluster == self._scheme.spec.primary.cluster_name)
        return next((namespace for namespace in found if namespace), DEFAULT_NAMESPACE)

    def _places(self, path: str, member: PriorityGroupMember) -> Iterable[LocalityLbEndpoints]:
        """The targets in one cluster: a locality for each GlooInstance that is reached from outside, and with a weight one for all of them.

        The primary's own cluster is a target as any other, through its own failover Gateway: the path is proven as every other one is, and its
        endpoints come and go without a change of the primary.
        """
        if member.locality_weight is not None:
            self._notes[
                Problem(
                    f"{path}.localityWeight",
                    f"{member.locality_weight} counts when the primary has spec.loadBalancerConfig.localityWeightedLbConfig: {{}}; "
                    "the primary's own status says when it does not",
                )
            ] = None
        upstreams = [upstream for index, upstream in enumerate(member.upstreams) if self._exists(upstream, member, path=f"{path}.upstreams[{index}]")]
        instances = [item for item in self._instances if item.spec.cluster == member.cluster]
        if not instances:
            self._problems.append(
                Problem(f"{path}.cluster", f'no GlooInstance was found in "{member.cluster}"; install a control plane and a proxy there')
            )
            return
        reachable = [(item, addresses) for item in instances if (addresses := _failover_addresses(item))]
        if not reachable:
            self._problems.append(
                Problem(
                    f"{path}.cluster",
                    f'"{member.cluster}" has no failover address; it needs a Service of type LoadBalancer or NodePort with a port named '
                    f'"{names.FAILOVER_PORT_NAME}" that selects its proxy',
                )
            )
            return
        places: dict[Locality | None, list[LbEndpoint]] = {}
        for instance, addresses in reachable:
            # A weight is the cluster's: several of its places would have it several times.
            place = _locality(instance) if member.locality_weight is None else _locality(*(item for item, _ in reachable))
            places.setdefault(place, []).extend(
                self._endpoint(address, port, upstream, member.cluster, path=path) for upstream in upstreams for address, port in addresses
            )
        for place, endpoints in places.items():
            if endpoints:
                yield LocalityLbEndpoints(locality=place, lb_endpoints=tuple(endpoints), load_balancing_weight=member.locality_weight)

    def _exists(self, upstream: UpstreamRef, member: PriorityGroupMember, *, path: str) -> bool:
        known = self._upstreams.get(member.cluster)
        if known is None or (upstream.namespace, upstream.name) in known:
            return True
        there = ", ".join(sorted(f"{key[0]}/{key[1]}" for key in known)[:10]) or "none"
        self._problems.append(
            Problem(path, f"Upstream {upstream.namespace}/{upstream.name} does not exist in cluster {member.cluster}; there are: {there}")
        )
        return False

    def _endpoint(self, address: str, port: int, upstream: UpstreamRef, cluster: str, *, path: str) -> LbEndpoint:
        identity = self._clusters[cluster].gateway_identity
        if identity is None:
            self._notes[
                Problem(
                    f"{path}.cluster",
                    f'KubernetesCluster "{cluster}" has no annotation {names.IDENTITY_ANNOTATION}; its Gateway is verified by the CA alone',
                )
            ] = None
        tls = UpstreamSslConfig(
            secret_ref=self._secret,
            sni=names.cluster_name(upstream.name, upstream.namespace),
            verify_subject_alt_name=(identity,) if identity else (),
        )
        return LbEndpoint(address=address, port=port, upstream_ssl_config=tls)


def _failover_addresses(instance: GlooInstance) -> list[tuple[str, int]]:
    """Sorted, so that the same addresses in another order change nothing."""
    endpoints: Iterable[IngressEndpoint] = (endpoint for proxy in instance.spec.proxies for endpoint in proxy.ingress_endpoints)
    return sorted({(endpoint.address, port.port) for endpoint in endpoints for port in endpoint.ports if port.name == names.FAILOVER_PORT_NAME})


def _locality(*instances: GlooInstance) -> Locality | None:
    """The region and the zone that all of the proxies have in common, if they do."""
    regions = {instance.spec.region for instance in instances}
    zones = {zone for instance in instances for proxy in instance.spec.proxies for zone in proxy.zones}
    region, zone = (found.pop() if len(found) == 1 else "" for found in (regions, zones))
    if not (region or zone):
        return None
    return Locality.model_validate({name: value for name, value in (("region", region), ("zone", zone)) if value})
