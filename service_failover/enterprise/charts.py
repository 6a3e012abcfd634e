"""The Helm charts of Gloo Enterprise and Gloo Federation: where they are, which version, and how they are installed.

Versions are pinned here and, for stacks, by `glooVersion` in Pulumi.yaml, which a test holds equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

VERSION = "1.22.0"
"""Version of both charts: the newest of Gloo Enterprise in its public documentation when this was written. Gloo Federation has the same numbers."""
TIMEOUT_SECONDS = 600
"""How long Helm waits for everything in a chart to be ready; the first time images are pulled."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart and the repository that its maker publishes it in."""

    name: str
    repository: str


GLOO = Chart(name="gloo-ee", repository="https://storage.googleapis.com/gloo-ee-helm")
FEDERATION = Chart(name="gloo-fed", repository="https://storage.googleapis.com/gloo-fed-helm")


def install(
    name: str,
    chart: Chart,
    *,
    release: str,
    namespace: pulumi.Input[str],
    version: pulumi.Input[str],
    repository: pulumi.Input[str],
    values: dict[str, Any],
    opts: pulumi.ResourceOptions,
) -> kubernetes.helm.v3.Release:
    """`chart` as the Helm release `release`, there when all of it is ready. `repository` is its maker's or a mirror.

    What an interrupted or failed installation has made is removed at once: else the next one would be refused, since the release's name is taken.
    """
    return kubernetes.helm.v3.Release(
        f"{name}-release",
        name=release,
        chart=chart.name,
        version=version,
        namespace=namespace,
        repository_opts={"repo": repository},
        values=values,
        atomic=True,
        timeout=TIMEOUT_SECONDS,
        opts=opts,
    )
