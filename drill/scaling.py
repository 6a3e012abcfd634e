"""Deployments without pods, and back to as many as they had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.workspace import CommandFailed
from drill.containers import Container, wait_until_ready

if TYPE_CHECKING:
    from drill.target import Target


def scale_to_zero(target: Target, *containers: Container) -> None:
    """Take the pods of these Deployments away, all at once; how many there were is noted first.

    Errors: CommandFailed when one has none as it is.
    """
    for container in containers:
        replicas = target.get(*_deployment(container))["spec"]["replicas"]
        if replicas == 0 and target.notes.get(_note(container)) is None:
            raise CommandFailed(f"{container.app} in {container.cluster} has no pods as it is. Give it some: {target.stack.command('up')}")
        target.notes.keep(_note(container), replicas)
    target.mark(f"scaled to zero: {', '.join(f'{container.app} in {container.cluster}' for container in containers)}")
    for container in containers:
        _scale(target, container, 0)


def scale_back(target: Target, *containers: Container) -> None:
    """Give them as many pods as they had, if that was noted, and wait until these are ready."""
    noted = {container: target.notes.get(_note(container)) for container in containers}
    changed = {container: replicas for container, replicas in noted.items() if replicas is not None}
    if changed:
        target.mark(f"scaled back: {', '.join(f'{container.app} in {container.cluster}' for container in changed)}")
    for container, replicas in changed.items():
        _scale(target, container, replicas)
    for container in changed:
        wait_until_ready(target, container)
        target.notes.drop(_note(container))


def _scale(target: Target, container: Container, replicas: int) -> None:
    target.kubectl(container.cluster, "scale", "deployment", "-n", container.namespace, container.app, f"--replicas={replicas}")


def _deployment(container: Container) -> tuple[str, ...]:
    return container.cluster, "deployment", "-n", container.namespace, container.app


def _note(container: Container) -> str:
    return f"replicas of {container.cluster}/{container.namespace}/{container.app}"
