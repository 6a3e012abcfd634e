"""Questions to the API server of a cluster that is there already.

In a module of its own, since its client takes a tenth of a second to import: programs without such a cluster do without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import httpx2 as httpx
import lightkube
import pulumi
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import Namespace

from service_failover.kubeconfigs import Document

Found = TypeVar("Found", Namespace, CustomResourceDefinition)
ANSWER_SECONDS = 10.0
"""How long the API server may take to say what there is."""


def labels_of_namespace(name: str, *, document: Document, cluster: str) -> Mapping[str, str] | None:
    """The labels of a namespace; None when there is none of that name. `document`: the kubeconfig. Raises pulumi.RunError."""
    found = _found(Namespace, name, document=document, cluster=cluster, said=f"it has a namespace {name}")
    return None if found is None else (found.metadata.labels if found.metadata else None) or {}


def has_definition(name: str, *, document: Document, cluster: str) -> bool:
    """Whether there is a custom resource definition of that (full) name. Raises pulumi.RunError."""
    return _found(CustomResourceDefinition, name, document=document, cluster=cluster, said=f"it has the definition {name}") is not None


def _found(kind: type[Found], name: str, *, document: Document, cluster: str, said: str) -> Found | None:
    """The object of that name which belongs to no namespace; None when there is none."""
    try:
        config = KubeConfig.from_dict(document).get()
        return lightkube.Client(config=config, timeout=httpx.Timeout(ANSWER_SECONDS)).get(kind, name)
    except ApiError as error:
        if error.status.code == httpx.codes.NOT_FOUND:
            return None
        raise pulumi.RunError(f"Cluster {cluster} does not say whether {said}: {error.status.message}") from None
    except (httpx.HTTPError, ConfigError, OSError) as error:
        raise pulumi.RunError(
            f"Cluster {cluster} does not answer: {error}\nIs it there? kubectl --context {document['current-context']} get namespaces"
        ) from None
