"""The FailoverScheme: which Upstream is the primary, and who takes over from it, in which order."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover.early import apart, inside
from service_failover.edition_settings import Edition
from service_failover.labels import NO_LABELS, Labels, labels
from service_failover.names import FED_NAMESPACE, GLOO_NAMESPACE
from service_failover.validation import CLUSTER, EDITION, NAMESPACE, OBJECT, WEIGHT, Plain, arguments, label_map, record, sequence

IN_FORCE = {
    Edition.OPEN: 'jsonpath={$[?(@.state=="ACCEPTED" && @.observedGeneration==$.metadata.generation)]}',
    Edition.ENTERPRISE: 'jsonpath={$..[?(@.state=="ACCEPTED")]}',
}
"""Waits until Gloo Federation has put this generation of the scheme into force: its status must say ACCEPTED, and not of the one before.

Solo's has a status by its own namespace, and generations in it as text, which no JSONPath compares with a number: there ACCEPTED has to do.
"""


class TierMember(TypedDict):
    """Upstreams in one of the registered clusters, which take over together with the other members of their tier."""

    cluster: pulumi.Input[str]
    """Name of the cluster, as it is registered."""
    upstreams: Sequence[pulumi.Input[str]]
    """Names of the Upstreams."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of the Upstreams, that of Gloo. Default: gloo-system."""
    weight: NotRequired[pulumi.Input[int]]
    """Share of the tier's traffic, against those of its other members. The primary's Upstream has to weight localities. Default: equal shares."""


class ClusterUpstream(TypedDict):
    """An Upstream in one of the registered clusters."""

    cluster: pulumi.Input[str]
    """Name of the cluster, as it is registered."""
    upstream: pulumi.Input[str]
    """Name of the Upstream."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of the Upstream, that of Gloo. Default: gloo-system."""


class FailoverSchemeArgs(TypedDict):
    """Arguments of a FailoverScheme."""

    primary: ClusterUpstream
    """Who serves as long as it is healthy. A plain mapping, whose fields may be outputs."""
    tiers: Sequence[Sequence[TierMember]]
    """Who takes over: the first tier that is healthy, all of its members together. Plain lists, of members whose fields may be outputs."""
    edition: NotRequired[Edition]
    """Whose Gloo Federation puts it into force. Plain: they say it differently. Default: open, that of this project."""
    namespace: NotRequired[pulumi.Input[str]]
    """Namespace of Gloo Federation. Default: gloo-fed."""
    labels: NotRequired[Labels]
    """Labels for every object that it makes; this project's own win."""


_PRIMARY = Plain(record(ClusterUpstream, cluster=CLUSTER, upstream=OBJECT, namespace=NAMESPACE))
_MEMBER = Plain(record(TierMember, cluster=CLUSTER, upstreams=Plain(sequence(OBJECT)), weight=WEIGHT, namespace=NAMESPACE))
_TIERS = Plain(sequence(Plain(sequence(_MEMBER))))
_checked = arguments(FailoverSchemeArgs, primary=_PRIMARY, tiers=_TIERS, edition=EDITION, namespace=NAMESPACE, labels=label_map)


class FailoverScheme(pulumi.ComponentResource):
    """Gloo Federation's FailoverScheme `failover-scheme`."""

    scheme_name: pulumi.Output[str]
    """Name of the FailoverScheme, once it is in force."""

    def __init__(self, name: str, args: FailoverSchemeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        whole, objects = apart(opts)
        super().__init__("service-failover:index:FailoverScheme", name, None, whole)
        scheme = kubernetes.apiextensions.CustomResource(
            f"{name}-scheme",
            api_version="fed.solo.io/v1",
            kind="FailoverScheme",
            metadata={
                "name": "failover-scheme",
                "namespace": args.get("namespace", FED_NAMESPACE),
                "labels": labels("failover-scheme", args.get("labels", NO_LABELS)),
                "annotations": {"pulumi.com/waitFor": IN_FORCE[Edition(args.get("edition", Edition.OPEN))]},
            },
            spec=scheme_spec(args),
            opts=inside(self, objects, custom_timeouts=pulumi.CustomTimeouts(create="2m", update="2m")),
        )
        self.scheme_name = scheme.metadata["name"]
        self.register_outputs({"scheme_name": self.scheme_name})


def scheme_spec(args: FailoverSchemeArgs) -> dict[str, Any]:
    """Spec of the FailoverScheme. Each tier is a group: within a group, Upstreams share the traffic."""
    primary = args["primary"]
    return {
        "primary": {"clusterName": primary["cluster"], "name": primary["upstream"], "namespace": primary.get("namespace", GLOO_NAMESPACE)},
        "failoverGroups": [{"priorityGroup": [_member(member) for member in tier]} for tier in args["tiers"]],
    }


def _member(member: TierMember) -> dict[str, Any]:
    weight = {"localityWeight": member["weight"]} if "weight" in member else {}
    namespace = member.get("namespace", GLOO_NAMESPACE)
    return {"cluster": member["cluster"], "upstreams": [{"name": name, "namespace": namespace} for name in member["upstreams"]], **weight}
