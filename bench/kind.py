"""`make up` of the `dev` stack, to its first answer, against the least it could take: two `kind create cluster` at once, and the same images loaded.

In turns, in one run, so that the ratio says something on any machine. The control plane's image is built before the clock runs, as it is in a
checkout that has not changed since the last `make up`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.report import Goal, Report
from service_failover.image.context import fingerprint
from service_failover.names import CONTROL_PLANE_IMAGE, ENVOY_IMAGE, HTTP_ECHO_IMAGE, NODE_IMAGE

CHECKOUT = Path(__file__).resolve().parents[1]
STACK = "bench-kind"
CLUSTERS = ("bench-alone-local", "bench-alone-remote")
PORTS = (18480, 18481)
MOST = 1.5
"""Times as long as the clusters alone."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`node_image`: of both sides' nodes, "" the stack's default; `base_image`: of the control plane's image, "" the pinned one."""

    repeats: int
    node_image: str
    base_image: str


async def run(settings: Settings, report: Report) -> None:
    """Measure, and leave nothing."""
    image = f"{CONTROL_PLANE_IMAGE}-{fingerprint(settings.base_image)}"
    file = CHECKOUT / f"Pulumi.{STACK}.yaml"
    alone: list[float] = []
    ours: list[float] = []
    with tempfile.TemporaryDirectory(prefix="service-failover-bench-") as folder:
        state = {"SERVICE_FAILOVER_STATE": f"{folder}/state"}
        file.write_text(yaml.safe_dump(stack_document(settings), sort_keys=False))
        try:
            for _ in range(settings.repeats):
                await _build(image, settings)
                alone.append(await _alone(image, settings, Path(folder)))
                begun = time.monotonic()
                await _run(sys.executable, "-m", "cli", "--stack", STACK, "up", environment=state)
                ours.append(time.monotonic() - begun)
                await _run(sys.executable, "-m", "cli", "--stack", STACK, "down", environment=state)
        finally:
            if Path(state["SERVICE_FAILOVER_STATE"]).exists():
                await _run(sys.executable, "-m", "cli", "--stack", STACK, "down", environment=state)
            file.unlink(missing_ok=True)
    report.add(case="two clusters", subject="kind create cluster, kind load", metric="to the last image loaded", unit="s", values=alone)
    report.add(case="two clusters", subject="make up STACK=dev", metric="to the first answer", unit="s", values=ours)
    ratios = report.add(
        case="two clusters", subject="ratio", metric="of both", unit="", values=[mine / least for mine, least in zip(ours, alone, strict=True)]
    )
    report.goals.append(Goal(name="make up STACK=dev, against its clusters and images alone", value=ratios.median, limit=MOST, unit="times"))


def stack_document(settings: Settings) -> dict[str, object]:
    """The stack's file: Pulumi.dev.yaml on other ports, and the images of this machine."""
    document: dict[str, dict[str, object]] = yaml.safe_load((CHECKOUT / "Pulumi.dev.yaml").read_text())
    images = {"nodeImage": settings.node_image, "baseImage": settings.base_image}
    document["config"] |= {
        "service-failover:proxyPort": PORTS[0],
        "service-failover:kind": {"clusterPrefix": "bench", **{key: value for key, value in images.items() if value}},
    }
    return dict(document)


async def _alone(image: str, settings: Settings, folder: Path) -> float:
    """Seconds for the clusters and the images alone. The clusters are gone afterwards."""
    present = [each for each in (image, ENVOY_IMAGE, HTTP_ECHO_IMAGE) if await _output("docker", "image", "ls", "--quiet", each)]
    node_image = settings.node_image or NODE_IMAGE

    async def one(name: str) -> None:
        await _run("kind", "create", "cluster", "--name", name, "--image", node_image, "--kubeconfig", str(folder / name))
        await _run("kind", "load", "docker-image", *present, "--name", name)

    begun = time.monotonic()
    try:
        await asyncio.gather(*(one(name) for name in CLUSTERS))
        return time.monotonic() - begun
    finally:
        for name in CLUSTERS:
            await _run("kind", "delete", "cluster", "--name", name, "--kubeconfig", str(folder / name))


async def _build(image: str, settings: Settings) -> None:
    base = ["--base-image", settings.base_image] if settings.base_image else []
    await _run(sys.executable, "-m", "service_failover.image", "build", "--image", image, *base)


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed with exit code {process.returncode}")
    return out.decode().strip()


async def _run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    """Run to the end. What the command says goes to standard error; a report's output has only the report."""
    process = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, env={**os.environ, **(environment or {})}, stdout=sys.stderr)
    if await process.wait():
        raise RuntimeError(f"{' '.join(command[:4])} ... failed with exit code {process.returncode}")
