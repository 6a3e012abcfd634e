"""New pods for a Deployment, as `kubectl rollout restart` makes them: the old one goes when the new one is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drill.containers import Container, leaving, pods, wait_until_ready
from drill.waiting import wait_for

if TYPE_CHECKING:
    from drill.target import Target

GONE_WITHIN = 60.0


def begin_restart(target: Target, container: Container) -> None:
    """Begin it, and return at once."""
    target.kubectl(container.cluster, "rollout", "restart", "deployment", "-n", container.namespace, container.app)


def wait_until_over(target: Target, container: Container) -> None:
    """Wait until the new pods are ready, and the old ones have ended: they may take their time, while their clients go elsewhere."""
    wait_until_ready(target, container)
    wait_for(f"the old pods of {container.app} in {container.cluster} end", lambda: not leaving(target, container), seconds=GONE_WITHIN)


def restart(target: Target, container: Container) -> None:
    """Make all of its pods anew, and wait until the new ones are ready and the old ones are on their way out."""
    old = {pod["metadata"]["uid"] for pod in pods(target, container)}
    begin_restart(target, container)
    wait_until_ready(target, container)
    wait_for(
        f"the old pods of {container.app} in {container.cluster} end",
        lambda: old.isdisjoint(pod["metadata"]["uid"] for pod in pods(target, container)),
        seconds=GONE_WITHIN,
    )
