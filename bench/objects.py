"""The Kubernetes objects of a stack, out of its state, as somebody would write them down for `kubectl apply`. Pure: no process, no file.

What belongs to Pulumi alone (its annotations, its bookkeeping) is left out. What can only be known when a cluster is there is left to the caller: a
registration's kubeconfig holds that cluster's address and a token of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

Object = dict[str, Any]

SECRET_MARK = "4dabf18193072939515e22adb298388d"  # noqa: S105 -- the key by which Pulumi marks a secret value
PROVIDER = "pulumi:providers:kubernetes"
KUBECONFIG = "solo.io/kubeconfig"


class Step(IntEnum):
    """When an object can be applied, as a careful script would do it: what others need first."""

    FOUNDATION = 0
    """Namespaces and definitions; the definitions have to be established before the next step."""
    BASICS = 1
    """All that a pod may need, the Services among them: its variables name those that were there before it."""
    WORKLOADS = 2
    """Deployments, and the objects of Gloo."""
    REGISTRATION = 3
    """What makes a cluster known to Gloo Federation; it holds a token that the cluster has to issue first."""
    SCHEME = 4
    """The FailoverScheme, when all else is there."""


def objects(state: dict[str, Any]) -> dict[str, list[Object]]:
    """The objects by cluster, from `pulumi stack export --show-secrets`. A cluster is called as its provider is, without `-provider`."""
    found: dict[str, list[Object]] = {}
    for resource in state["deployment"]["resources"]:
        if not resource["type"].startswith("kubernetes:") or "inputs" not in resource:
            continue
        cluster = resource["provider"].rsplit("::", 2)[1].removesuffix("-provider")
        found.setdefault(cluster, []).append(_manifest(_plain(resource["inputs"])))
    return found


def step(manifest: Object) -> Step:
    """When to apply it."""
    match manifest["kind"]:
        case "Namespace" | "CustomResourceDefinition":
            return Step.FOUNDATION
        case "FailoverScheme":
            return Step.SCHEME
        case "KubernetesCluster":
            return Step.REGISTRATION
        case "Secret" if manifest.get("type") == KUBECONFIG:
            return Step.REGISTRATION
        case "Deployment" | "Gateway" | "Upstream" | "VirtualService":
            return Step.WORKLOADS
    return Step.BASICS


def document(manifests: Iterable[Object]) -> str:
    """One file for `kubectl apply`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def _plain(value: Any) -> Any:
    """A value of the state without the envelopes of its secrets."""
    if isinstance(value, dict):
        if SECRET_MARK in value:
            return _plain(json.loads(value["plaintext"]))
        return {key: _plain(item) for key, item in value.items() if not key.startswith("__")}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _manifest(inputs: Object) -> Object:
    metadata = dict(inputs["metadata"])
    annotations = {key: value for key, value in metadata.pop("annotations", {}).items() if not key.startswith("pulumi.com/")}
    return inputs | {"metadata": metadata | ({"annotations": annotations} if annotations else {})}
