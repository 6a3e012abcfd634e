"""The labels on every object of this project: its own, by which its objects are found, and those that the user wants on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pulumi

from service_failover.names import PROJECT

NO_LABELS: Mapping[str, str] = MappingProxyType({})
Labels = pulumi.Input[Mapping[str, pulumi.Input[str]]]
"""Labels by name, any of which may be an output of another resource."""


def labels(part: pulumi.Input[str], given: Labels, *, own: Mapping[str, pulumi.Input[str]] = NO_LABELS) -> Labels:
    """The user's labels (`given`), then those of the project, then those by which something selects the object (`own`). Later ones win.

    `part` says which part of the project the object belongs to.
    """
    ours = {
        "app.kubernetes.io/name": part,
        "app.kubernetes.io/part-of": PROJECT,
        "app.kubernetes.io/managed-by": "pulumi",
        **own,
    }
    return {**given, **ours} if isinstance(given, Mapping) else pulumi.Output.all(given, ours).apply(lambda both: {**both[0], **both[1]})
