"""Whether a `gloo-fed` that is told to stop goes for good, so that no FailoverScheme must wait for it any more.

A finalizer that only one process removes holds its object, and the object's namespace, when that process has been uninstalled first. So before it
ends it looks whether its Deployment or its namespace is going. A restart, a rollout or a drained node leave both as they are, and the finalizers too.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from controlplane.kube.errors import KubeError, NotFound
from controlplane.kube.objects import DEPLOYMENT, Kind, Object, deleting

log = logging.getLogger(__name__)

NAME = "gloo-fed"
"""Of the Deployment."""

NAMESPACE = Kind(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False)

_SECONDS = 1.0


class Reader(Protocol):
    """What is needed of a client."""

    async def get(self, kind: Kind, *, namespace: str, name: str) -> Object: ...


async def is_final(client: Reader, *, namespace: str) -> bool:
    """True when the Deployment is gone, going or scaled to nothing, or the namespace is going. Not known is not final."""
    try:
        async with asyncio.timeout(_SECONDS):
            if deleting(await client.get(NAMESPACE, namespace="", name=namespace)):
                return True
            deployment = await client.get(DEPLOYMENT, namespace=namespace, name=NAME)
    except NotFound:
        return True
    except (KubeError, TimeoutError) as error:
        log.debug("not known whether this is the end", extra={"error": str(error)})
        return False
    return deleting(deployment) or (deployment.get("spec") or {}).get("replicas") == 0
