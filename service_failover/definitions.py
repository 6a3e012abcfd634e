"""The custom resource definitions that the control plane's models describe, as resources of a stack."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from service_failover.labels import NO_LABELS, Labels, labels

ESTABLISHED = {"pulumi.com/waitFor": "condition=Established"}
"""Whoever depends on a definition can create objects of it at once; without this the first tries fail and are repeated seconds later."""


def shared_definitions() -> list[dict[str, Any]]:
    """All of them. Their models take a fifth of a second to import, in which the clusters start already."""
    from gloo_api import crds

    return crds.shared_definitions()


def define(name: str, *, groups: Collection[str], given: Labels, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """The definitions of the API `groups`, each a resource whose name begins with `name`; `given`: the user's labels."""
    return [
        kubernetes.apiextensions.v1.CustomResourceDefinition(
            f"{name}-{definition['spec']['names']['singular']}-definition",
            metadata=_metadata(definition["metadata"], given),
            spec=definition["spec"],
            opts=opts,
        )
        for definition in shared_definitions()
        if definition["spec"]["group"] in groups
    ]


def _metadata(metadata: dict[str, Any], given: Labels) -> dict[str, Any]:
    return {
        **metadata,
        "labels": labels("gloo", given, own=metadata.get("labels", NO_LABELS)),
        "annotations": {**metadata.get("annotations", {}), **ESTABLISHED},
    }
