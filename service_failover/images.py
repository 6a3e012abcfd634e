"""The container images of a stack. Where nodes can pull them a name is enough; where they are loaded, the name comes when they are there."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class Images:
    """Names that the nodes of one cluster know. A resource that uses an output of these waits until the nodes have the image."""

    control_plane: pulumi.Input[str]
    envoy: pulumi.Input[str]
    http_echo: pulumi.Input[str]
