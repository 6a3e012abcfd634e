"""Keeps a Deployment serving while nodes are drained."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as kubernetes


def keep_available(
    name: str, *, metadata: Mapping[str, object], selector: Mapping[str, str], replicas: int, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """A PodDisruptionBudget that lets one pod go at a time. None for a single replica: that could never be drained."""
    if replicas < 2:
        return []
    return [
        kubernetes.policy.v1.PodDisruptionBudget(
            f"{name}-budget", metadata=dict(metadata), spec={"maxUnavailable": 1, "selector": {"matchLabels": dict(selector)}}, opts=opts
        )
    ]
