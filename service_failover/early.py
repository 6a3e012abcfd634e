"""Options for components of which a part needs no cluster: keys and certificates are made while the clusters still start.

A resource waits for its parent, and a component for all that its options name: its provider, what it goes with, what it depends on. So a component
that is to begin early has none of these itself, and gives them to the objects in it that go into a cluster.
"""

from typing import Any

import pulumi


def apart(opts: pulumi.ResourceOptions | None) -> tuple[pulumi.ResourceOptions, pulumi.ResourceOptions]:
    """The options for the component itself, and those for the objects that it makes in the cluster, whose parent it is."""
    whole, objects = pulumi.ResourceOptions.merge(opts, None), pulumi.ResourceOptions()
    for name in ("provider", "providers", "deleted_with", "depends_on"):
        value: Any = getattr(whole, name)
        setattr(objects, name, value)
        setattr(whole, name, None)
    return whole, objects
