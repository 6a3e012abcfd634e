"""The namespace that a part of the control plane lives in."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover.labels import Labels, labels


def own_namespace(name: str, *, namespace: pulumi.Input[str], create: bool, given: Labels, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """The namespace as a resource, to be waited for; nothing when it is somebody else's, who also decides when it goes."""
    if not create:
        return []
    return [kubernetes.core.v1.Namespace(f"{name}-namespace", metadata={"name": namespace, "labels": labels(namespace, given)}, opts=opts)]
