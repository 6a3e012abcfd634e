"""What a cluster looks like from outside: the spec of its GlooInstance, from the objects found in it. Pure.

An address is what a client outside of the cluster can use: that of a load balancer, or of a node with a node port. Region and zones are those of the
nodes' labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.kube.objects import Object, key_of

REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
PROXY_LABELS = ({"gateway-proxy": "live"}, {"gloo": "gateway-proxy"})
"""The pods of a proxy carry one of these."""

CONTROL_PLANE = "gloo"
"""Name of the control plane's Deployment."""


@dataclass(frozen=True)
class Found:
    """The objects of one cluster: Deployments, Services and Pods of gloo's namespace, and the Nodes."""

    deployments: Iterable[Object] = ()
    services: Iterable[Object] = ()
    pods: Iterable[Object] = ()
    nodes: Iterable[Object] = field(default_factory=tuple)


def instance_spec(found: Found, *, cluster: str, namespace: str) -> dict[str, Any] | None:
    """The spec of the GlooInstance of `namespace` in `cluster`; None when there is neither a control plane nor a proxy."""
    deployments = sorted(found.deployments, key=key_of)
    nodes = sorted(found.nodes, key=key_of)
    proxies = [_proxy(each, found=found, nodes=nodes) for each in deployments if _is_proxy(each)]
    control_plane = next((each for each in deployments if each["metadata"]["name"] == CONTROL_PLANE), None)
    if not proxies and control_plane is None:
        return None
    spec: dict[str, Any] = {
        "cluster": cluster,
        "isEnterprise": False,
        "controlPlane": {"namespace": namespace, "version": _version(control_plane) if control_plane else ""},
        "proxies": proxies,
        "admin": {"writeNamespace": namespace},
    }
    if region := _most_common(_label(node, REGION) for node in nodes):
        spec["region"] = region
    return spec


def _is_proxy(deployment: Object) -> bool:
    labels = _pod_labels(deployment)
    return any(wanted.items() <= labels.items() for wanted in PROXY_LABELS)


def _proxy(deployment: Object, *, found: Found, nodes: list[Object]) -> dict[str, Any]:
    status = deployment.get("status") or {}
    labels = _pod_labels(deployment)
    namespace, name = key_of(deployment)
    pods = [
        pod for pod in found.pods if _selects(deployment["spec"].get("selector", {}).get("matchLabels") or {}, pod["metadata"].get("labels") or {})
    ]
    on = {pod.get("spec", {}).get("nodeName") for pod in pods}
    zones = {_label(node, ZONE) for node in nodes if node["metadata"]["name"] in on} - {""}
    return {
        "name": name,
        "namespace": namespace,
        "replicas": (deployment.get("spec") or {}).get("replicas", 1),
        "availableReplicas": status.get("availableReplicas", 0),
        "readyReplicas": status.get("readyReplicas", 0),
        "version": _version(deployment),
        "workloadControllerType": "DEPLOYMENT",
        "zones": sorted(zones),
        "ingressEndpoints": [
            endpoint
            for service in sorted(found.services, key=key_of)
            if _selects((service.get("spec") or {}).get("selector") or {}, labels)
            for endpoint in _endpoints(service, nodes)
        ],
    }


def _endpoints(service: Object, nodes: list[Object]) -> list[dict[str, Any]]:
    spec = service.get("spec") or {}
    if spec.get("type") == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        addresses = [entry.get("ip") or entry.get("hostname") for entry in ingress]
        field_name = "port"
    elif spec.get("type") == "NodePort":
        addresses = [_node_address(node) for node in nodes if _is_ready(node)]
        field_name = "nodePort"
    else:
        return []
    ports = [{"port": port[field_name], "name": port.get("name", "")} for port in spec.get("ports") or () if port.get(field_name)]
    return [{"address": address, "serviceName": service["metadata"]["name"], "ports": ports} for address in addresses if address and ports]


def _node_address(node: Object) -> str:
    by_type = {entry.get("type"): entry.get("address", "") for entry in (node.get("status") or {}).get("addresses") or ()}
    return by_type.get("ExternalIP") or by_type.get("InternalIP") or ""


def _is_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def _pod_labels(deployment: Object) -> Mapping[str, str]:
    template = (deployment.get("spec") or {}).get("template") or {}
    labels: Mapping[str, str] = (template.get("metadata") or {}).get("labels") or {}
    return labels


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def _version(deployment: Object) -> str:
    """The tag of the first container's image; empty when it has none."""
    containers = ((deployment.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers") or [{}]
    image = containers[0].get("image", "").partition("@")[0]
    name, _, tag = image.rpartition(":")
    return tag if name and "/" not in tag else ""


def _label(obj: Object, name: str) -> str:
    return str((obj["metadata"].get("labels") or {}).get(name, ""))


def _most_common(values: Iterable[str]) -> str:
    counted = Counter(value for value in values if value)
    return min(counted, key=lambda value: (-counted[value], value), default="")
