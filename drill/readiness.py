"""Whether the proxies that clients call stayed in service: one that is too busy to answer its readiness probe gets no connections any more. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any


def lost_readiness(pods: Sequence[Mapping[str, Any]], *, since: datetime, cluster: str) -> Iterator[str]:
    """Pods that were there before `since`, and are not ready now or have become so again since then. What is newer was just made.

    Kubernetes' times are whole seconds, cut off: a pod of the same second may have been made after `since`.
    """
    second = since.replace(microsecond=0)
    for pod in pods:
        name, created = pod["metadata"]["name"], datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        ready = next((each for each in pod["status"].get("conditions", []) if each["type"] == "Ready"), None)
        if created >= second or ready is None or "deletionTimestamp" in pod["metadata"]:
            continue
        if ready["status"] != "True":
            yield f"pod {name!r} in {cluster} is not ready, so clients do not get to it: {ready.get('message') or 'it says no more'}"
        elif datetime.fromisoformat(ready["lastTransitionTime"]) > since:
            yield (
                f"pod {name!r} in {cluster} was not ready for a time, until {ready['lastTransitionTime']}, so clients did not get to it. "
                f"Why: kubectl get events -n {pod['metadata'].get('namespace', '')} --field-selector involvedObject.name={name}"
            )
