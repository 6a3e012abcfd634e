"""The FailoverScheme: which Upstream is the primary, and who takes over from it, in which order."""

from collections.abc import Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.names import FED_NAMESPACE, GLOO_NAMESPACE, labels

IN_FORCE = {"pulumi.com/waitFor": 'jsonpath={$[?(@.state=="ACCEPTED" && @.observedGeneration==$.metadata.generation)]}'}
"""Waits until Gloo Federation has put this generation of the scheme into force: its status must say ACCEPTED, and not of the one before."""


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
    tiers: Sequence[ClusterUpstream]
    """Who takes over: the first one that is healthy."""


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
    """Spec of the FailoverScheme. Each tier is a group of its own: within a group, Upstreams would share the traffic."""
    primary = args["primary"]
    return {
        "primary": {"clusterName": primary["cluster"], "name": primary["upstream"], "namespace": GLOO_NAMESPACE},
        "failoverGroups": [
            {"priorityGroup": [{"cluster": tier["cluster"], "upstreams": [{"name": tier["upstream"], "namespace": GLOO_NAMESPACE}]}]}
            for tier in args["tiers"]
        ],
    }
