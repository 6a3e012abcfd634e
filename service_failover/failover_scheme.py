"""The FailoverScheme: which Upstream is the primary, and who takes over from it, in which order."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover.names import FED_NAMESPACE, GLOO_NAMESPACE, labels

IN_FORCE = {"pulumi.com/waitFor": 'jsonpath={$[?(@.state=="ACCEPTED" && @.observedGeneration==$.metadata.generation)]}'}
"""Waits until Gloo Federation has put this generation of the scheme into force: its status must say ACCEPTED, and not of the one before."""


class TierMember(TypedDict):
    """Upstreams of gloo-system in one of the registered clusters, which take over together with the other members of their tier."""

    cluster: pulumi.Input[str]
    """Name of the cluster, as it is registered."""
    upstreams: Sequence[pulumi.Input[str]]
    """Names of the Upstreams."""
    weight: NotRequired[pulumi.Input[int]]
    """Share of the tier's traffic, against those of its other members. The primary's Upstream has to weight localities. Default: equal shares."""


class ClusterUpstream(TypedDict):
    """An Upstream of gloo-system in one of the registered clusters."""

    cluster: pulumi.Input[str]
    """Name of the cluster, as it is registered."""
    upstream: pulumi.Input[str]
    """Name of the Upstream."""


class FailoverSchemeArgs(TypedDict):
    """Arguments of a FailoverScheme."""

    primary: ClusterUpstream
    """Who serves as long as it is healthy."""
    tiers: Sequence[Sequence[TierMember]]
    """Who takes over: the first tier that is healthy, all of its members together."""


class FailoverScheme(pulumi.ComponentResource):
    """Gloo Federation's FailoverScheme `failover-scheme` in gloo-fed."""

    def __init__(self, name: str, args: FailoverSchemeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-failover:index:FailoverScheme", name, None, opts)
        kubernetes.apiextensions.CustomResource(
            f"{name}-scheme",
            api_version="fed.solo.io/v1",
            kind="FailoverScheme",
            metadata={"name": "failover-scheme", "namespace": FED_NAMESPACE, "labels": labels("failover-scheme"), "annotations": IN_FORCE},
            spec=scheme_spec(args),
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(create="2m", update="2m")),
        )
        self.register_outputs({})


def scheme_spec(args: FailoverSchemeArgs) -> dict[str, Any]:
    """Spec of the FailoverScheme. Each tier is a group: within a group, Upstreams share the traffic."""
    primary = args["primary"]
    return {
        "primary": {"clusterName": primary["cluster"], "name": primary["upstream"], "namespace": GLOO_NAMESPACE},
        "failoverGroups": [{"priorityGroup": [_member(member) for member in tier]} for tier in args["tiers"]],
    }


def _member(member: TierMember) -> dict[str, Any]:
    weight = {"localityWeight": member["weight"]} if "weight" in member else {}
    return {"cluster": member["cluster"], "upstreams": [{"name": name, "namespace": GLOO_NAMESPACE} for name in member["upstreams"]], **weight}
