"""What `gloo-fed` may do in a registered cluster, asked of that cluster: a watch that is open outlives a deleted role and a revoked token by minutes.

The questions are SelfSubjectAccessReviews, which everybody who is authenticated may ask. What is missing only that cluster's administrators can
give back: `gloo-fed` can name it, keep trying, and go on by itself when it is there again (kgateway-dev/kgateway#5130, #6315).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from controlplane.kube.errors import ApiError, Forbidden, Unreachable
from controlplane.kube.objects import Kind, Object

REVIEW = Kind(group="authorization.k8s.io", version="v1", kind="SelfSubjectAccessReview", plural="selfsubjectaccessreviews", namespaced=False)

REMEDY = "`pulumi up --refresh` gives it back, and the cluster is used again within seconds"


class Asker(Protocol):
    """What is needed of a client."""

    async def create(self, kind: Kind, body: Object) -> Object: ...


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource; without a namespace in all of them."""

    resource: str
    group: str
    verb: str
    namespace: str | None = None

    @classmethod
    def to(cls, verb: str, kind: Kind, *, namespace: str | None = None) -> Right:
        return cls(resource=kind.plural, group=kind.group, verb=verb, namespace=namespace if kind.namespaced else None)


@dataclass(frozen=True)
class Access:
    """`refused`: the credentials themselves are not accepted. `missing`: what they do not allow."""

    refused: bool = False
    missing: tuple[Right, ...] = ()

    @property
    def text(self) -> str:
        """For a status; empty when nothing is missing."""
        if self.refused:
            return f"its API server refuses the token of the kubeconfig (it has expired, or its Secret is gone): {REMEDY}"
        return f"gloo-fed may not {_spoken(self.missing)} there (a Role or ClusterRole has changed or is gone): {REMEDY}" if self.missing else ""


async def examine(client: Asker, rights: Iterable[Right]) -> Access | None:
    """What of `rights` there is; None when the cluster cannot be asked, which says nothing about them."""
    asked = sorted(rights, key=lambda right: (right.resource, right.verb))
    try:
        answers = await asyncio.gather(*(_allowed(client, right) for right in asked))
    except Forbidden as error:
        return Access(refused=True) if error.status == 401 else None
    except (ApiError, Unreachable):
        return None
    return Access(missing=tuple(right for right, allowed in zip(asked, answers, strict=True) if not allowed))


async def _allowed(client: Asker, right: Right) -> bool:
    attributes = {"verb": right.verb, "group": right.group, "resource": right.resource} | ({"namespace": right.namespace} if right.namespace else {})
    review = await client.create(REVIEW, {"metadata": {}, "spec": {"resourceAttributes": attributes}})
    return bool((review.get("status") or {}).get("allowed"))


def _spoken(rights: Iterable[Right]) -> str:
    """`list and watch nodes; patch upstreams.gloo.solo.io in gloo-system`"""
    verbs: dict[tuple[str, str | None], list[str]] = {}
    for right in rights:
        verbs.setdefault((f"{right.resource}.{right.group}".rstrip("."), right.namespace), []).append(right.verb)
    return "; ".join(f"{' and '.join(each)} {what}{f' in {where}' if where else ''}" for (what, where), each in verbs.items())
