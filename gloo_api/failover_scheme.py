"""FailoverScheme: for one Upstream in one cluster, which Upstreams in other clusters take over, in which order."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gloo_api.failover import MAX_PRIORITIES
from gloo_api.meta import ClusterObjectRef, Kind, PositiveUInt32, Resource, StrictModel
from gloo_api.status import SchemeStatus

FAILOVER_SCHEME = Kind(group="fed.solo.io", version="v1", kind="FailoverScheme", plural="failoverschemes")


class UpstreamRef(StrictModel):
    """An Upstream in the cluster that is named beside it."""

    name: str = Field(min_length=1, description="Name of the Upstream.")
    namespace: str = Field(min_length=1, description="Namespace of the Upstream.")


class PriorityGroupMember(StrictModel):
    """Upstreams of one cluster."""

    cluster: str = Field(min_length=1, description="Name of the KubernetesCluster.")
    upstreams: tuple[UpstreamRef, ...] = Field(min_length=1, description="Upstreams in it that take over.")
    locality_weight: PositiveUInt32 | None = Field(None, description="Share of this cluster among those of the same priority. Default: equal shares.")


class FailoverGroup(StrictModel):
    """Everything of one priority."""

    priority_group: tuple[PriorityGroupMember, ...] = Field(min_length=1, description="The clusters that share this priority.")


class FailoverSchemeSpec(StrictModel):
    """The primary, and the groups in the order in which they are tried."""

    primary: ClusterObjectRef = Field(description="The Upstream that fails over.")
    failover_groups: tuple[FailoverGroup, ...] = Field(min_length=1, max_length=MAX_PRIORITIES, description="What takes over, first choice first.")


class FailoverScheme(Resource):
    """Which Upstreams in other clusters take over from one Upstream."""

    KIND: ClassVar[Kind] = FAILOVER_SCHEME

    spec: FailoverSchemeSpec
    status: SchemeStatus | None = None
