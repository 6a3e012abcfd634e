"""Options for components that begin before their cluster is there: as many steps as possible are done while the clusters start.

A resource waits for its parent, and a component for all that its options name: its provider, what it goes with, what it depends on. So a component
that is to begin early has none of these itself, and gives them to the objects in it that go into a cluster. Then keys and certificates are made
meanwhile, and no object waits for the component around it: Pulumi writes the whole state before and after each step, one write after the other,
and the writes are shortest at the beginning.
"""

from typing import Any

import pulumi


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
