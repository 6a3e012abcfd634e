"""The Kubernetes provider of a cluster, with the settings that every kind of cluster needs."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes


def cluster_provider(name: str, *, kubeconfig: pulumi.Output[str], identity: pulumi.Output[str], parent: pulumi.Resource) -> kubernetes.Provider:
    """`<name>-provider`. Everything in the cluster is replaced when `identity` changes, and not when the kubeconfig does.

    Secrets and ConfigMaps are changed in place: by default they are replaced, and a Secret with a fixed name would be gone for a moment.
    """
    secret: pulumi.Output[str] = pulumi.Output.secret(kubeconfig)  # its schema does not say so
    return kubernetes.Provider(
        f"{name}-provider",
        kubeconfig=secret,
        cluster_identifier=identity,
        enable_secret_mutable=True,
        enable_config_map_mutable=True,
        opts=pulumi.ResourceOptions(parent=parent),
    )
