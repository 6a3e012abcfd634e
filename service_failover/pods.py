"""Pods as this project makes them: not root, no privileges, requests and probes on each container. Plain manifests, no Pulumi.

What a container may not have is written here once, so that no component can forget it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Manifest = dict[str, Any]
"""A piece of a Kubernetes object, with the field names of its API."""

ENVOY_USER = 101
"""The user of the Envoy image."""
TOPOLOGY = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
NOBODY = 65532
"""The customary unprivileged user of images that have none of their own."""


def container(
    *,
    name: str,
    image: Any,
    user: int,
    args: Any,
    env: Sequence[Manifest] = (),
    ports: Mapping[str, int],
    cpu: str,
    memory: str,
    readiness: Manifest,
    liveness: Manifest,
    lifecycle: Any = None,
) -> Manifest:
    """A container. `ports` are named TCP ports. `cpu` and `memory` are requested; the memory is the limit too (one on the CPU would add latency).

    `image`, `args` and `lifecycle` may be outputs of other resources.
    """
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "env": list(env),
        "ports": [{"name": port, "containerPort": number, "protocol": "TCP"} for port, number in ports.items()],
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
        "readinessProbe": readiness,
        "livenessProbe": liveness,
        **({"lifecycle": lifecycle} if lifecycle is not None else {}),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def deployment_spec(
    *,
    selector: Mapping[str, Any],
    labels: Any,
    annotations: Mapping[str, Any] | None = None,
    service_account: str | None,
    containers: Sequence[Manifest],
    grace_seconds: int,
    replicas: int = 1,
    dns_policy: Any = None,
) -> Manifest:
    """Spec of a Deployment; several replicas are spread over zones and nodes, and an old pod goes when a new one is ready.

    The pods' `labels` have those of the `selector` among them. Their `annotations` change when they have to start anew; without `service_account`
    they have no token. `dns_policy`: whom they ask for names; None is Kubernetes's default, the cluster's own DNS.
    """
    identity = {"automountServiceAccountToken": False} if service_account is None else {"serviceAccountName": service_account}
    metadata: Manifest = {"labels": labels}
    if annotations:
        metadata["annotations"] = dict(annotations)
    names = {"dnsPolicy": dns_policy} if dns_policy is not None else {}
    spread = {"topologySpreadConstraints": [_spread(key, selector) for key in TOPOLOGY]} if replicas > 1 else {}
    return {
        "replicas": replicas,
        "selector": {"matchLabels": dict(selector)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {
            "metadata": metadata,
            "spec": {**identity, **names, "terminationGracePeriodSeconds": grace_seconds, **spread, "containers": list(containers)},
        },
    }


def _spread(topology_key: str, selector: Mapping[str, Any]) -> Manifest:
    """Not on one node or in one zone if it can be helped; where it cannot, better there than not at all."""
    return {"maxSkew": 1, "topologyKey": topology_key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": dict(selector)}}


def http_probe(*, port: str, path: str, period: int, failures: int = 3, timeout: int = 1) -> Manifest:
    """A probe that wants a 2xx or 3xx from a named port every `period` seconds, within `timeout` seconds."""
    return {"httpGet": {"port": port, "path": path}, "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": timeout}


def tcp_probe(*, port: str, period: int, failures: int = 3) -> Manifest:
    """A probe that wants a connection to a named port every `period` seconds."""
    return {"tcpSocket": {"port": port}, "periodSeconds": period, "failureThreshold": failures}


def field_env(**fields: str) -> list[Manifest]:
    """Variables from the pod's own fields: `POD_IP="status.podIP"`."""
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]


def secret_env(secret: Any, **keys: str) -> list[Manifest]:
    """Variables from the keys of a Secret: `XDS_TLS_CRT="tls.crt"`."""
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}} for name, key in keys.items()]
