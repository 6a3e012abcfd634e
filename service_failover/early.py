"""Options for components that begin before their cluster is there: as many steps as possible are done while the clusters start.

A resource waits for its parent, and a component for all that its options name: its provider, what it goes with, what it depends on. So a component
that is to begin early has none of these itself, and gives them to the objects in it that go into a cluster. Then keys and certificates are made
meanwhile, and no object waits for the component around it: Pulumi writes the whole state before and after each step, one write after the other,
and the writes are shortest at the beginning.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import pulumi
from pulumi.runtime.sync_await import _sync_await

HAND_OVER = 0.05
"""Seconds in which what is in a component reaches the engine, which knows the component already."""


def apart(opts: pulumi.ResourceOptions | None) -> tuple[pulumi.ResourceOptions, pulumi.ResourceOptions]:
    """The options for the component itself, and those for the objects that it makes in the cluster (`inside`)."""
    whole, objects = pulumi.ResourceOptions.merge(opts, None), pulumi.ResourceOptions()
    for name in ("provider", "providers", "deleted_with", "depends_on"):
        value: Any = getattr(whole, name)
        setattr(objects, name, value)
        setattr(whole, name, None)
    return whole, objects


def inside(component: pulumi.ComponentResource, objects: pulumi.ResourceOptions, **more: Any) -> pulumi.ResourceOptions:
    """The options of an object in `component`: what was told to `objects` (from `apart`), and `more`. Both are waited for."""
    return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=component, **more), objects)


def begin(components: Iterable[pulumi.ComponentResource]) -> None:
    """Hand to the engine what these components have registered, so that it is made while the rest of the program is still read.

    Registering takes turns with the program, and would otherwise get its first one at the program's end. What fails here is told as ever.
    """

    async def handed_over() -> None:
        await asyncio.gather(*(each.urn.future() for each in components), return_exceptions=True)
        await asyncio.sleep(HAND_OVER)

    _sync_await(handed_over())
