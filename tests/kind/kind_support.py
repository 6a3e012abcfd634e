"""The tier `kind`: a stack on real kind clusters, by whatever docker and kind are on PATH.

Two variables are for machines that cannot pull images: SERVICE_FAILOVER_TEST_NODE_IMAGE names the image of the nodes,
SERVICE_FAILOVER_TEST_BASE_IMAGE what the control plane's image is built on, and with it what the manifests name and Docker does not have.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

import toolchain
from service_failover.names import CONTROL_PLANE_IMAGE, ENVOY_IMAGE, HTTP_ECHO_IMAGE
from tests.e2e.conftest import PROJECT, LiveStack, until

NODE_IMAGE = os.environ.get("SERVICE_FAILOVER_TEST_NODE_IMAGE", "")
BASE_IMAGE = os.environ.get("SERVICE_FAILOVER_TEST_BASE_IMAGE", "")
PREFIX = "failover-test"
LONG = 1200.0
"""Seconds for what makes clusters and builds an image, on a small machine with other work."""


@dataclass(frozen=True, kw_only=True)
class KindStack(LiveStack):
    """A stack as Pulumi.dev.yaml describes it, with names and ports of its own."""

    ports: tuple[int, int]
    """Of 127.0.0.1, for the gateway proxies of `local` and `remote`."""

    @property
    def file(self) -> Path:
        return PROJECT / f"Pulumi.{self.name}.yaml"

    @property
    def url(self) -> str:  # type: ignore[override]
        """Where clients reach it: never an address of a container."""
        return f"http://127.0.0.1:{self.ports[0]}"

    def configure(self) -> None:
        """Write the stack's file: Pulumi.dev.yaml, and what is this stack's own."""
        document = yaml.safe_load((PROJECT / "Pulumi.dev.yaml").read_text())
        document["config"] |= {
            "service-failover:clusters": [
                {"name": "local", "region": "us-east-1", "zone": "us-east-1a", "management": True, "hostPort": self.ports[0]},
                {"name": "remote", "region": "us-east-1", "zone": "us-east-1c", "hostPort": self.ports[1]},
            ],
            "service-failover:kind": {
                "clusterPrefix": PREFIX,
                **({"nodeImage": NODE_IMAGE} if NODE_IMAGE else {}),
                **({"baseImage": BASE_IMAGE} if BASE_IMAGE else {}),
            },
            # Several clusters share the machine's cores here. An answer that is late is not what these tests are about.
            "service-failover:healthCheck": {"timeout": "5s"},
            "service-failover:monitoring": {"scrapedBy": "prometheus"},
        }
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def node(self, cluster: str) -> str:
        """The node's container."""
        return f"{PREFIX}-{self.name}-{cluster}-control-plane"

    def succeed(self, command: str) -> str:
        """A command of `make`, which has to succeed."""
        done = self.cli(command, timeout=LONG)
        assert done.returncode == 0, f"{command} failed:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def settled(self, *, seconds: float = 180.0) -> None:
        """Wait until both apps are healthy in the eyes of the proxy, and blue serves."""

        def serving() -> bool:
            tiers = (self.get("local", "failoverscheme", "-n", "gloo-fed", "failover-scheme").get("status") or {}).get("tiers") or []
            return len(tiers) == 2 and all(tier.get("healthy") == tier.get("total") == 1 for tier in tiers)

        until("both apps are healthy", serving, seconds=seconds)
        until("blue serves", lambda: "blue-pod" in self.answer(), seconds=seconds)

    def answer(self) -> str:
        """The body of an answer; "" when there is none, or none with 200."""
        done = subprocess.run(["curl", "-sf", "-m", "10", self.url], capture_output=True, text=True, check=False)
        return done.stdout


def docker(*arguments: str) -> str:
    """What docker printed; it has to succeed."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=300).stdout


def free_ports() -> tuple[int, int]:
    """Two ports of 127.0.0.1 that nothing listens on."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def traces(stack: str) -> dict[str, set[str]]:
    """What a stack could leave in Docker: its nodes with their volumes, the control plane's image, and what an old Docker keeps of the build."""
    nodes = docker("ps", "--all", "--quiet", "--filter", f"name=^{PREFIX}-{stack}-").split()
    form = '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}'
    return {
        "nodes": set(nodes),
        "volumes": set(docker("inspect", "--format", form, *nodes).split()) if nodes else set(),
        "images": set(docker("image", "ls", "--quiet", CONTROL_PLANE_IMAGE.partition(":")[0]).split()),
        "halves of images": set(docker("image", "ls", "--quiet", "--filter", "dangling=true", "--filter", "label=dev.servicefailover.build").split()),
    }


@contextmanager
def live(name: str, *, state: Path) -> Iterator[KindStack]:
    """A stack that is up in the block, and of which nothing is left behind it."""
    stack = KindStack(name=name, state=state, ports=free_ports())
    stack.configure()
    try:
        assert "blue-pod" in stack.succeed("up"), "`up` ends with the first answer"
        yield stack
    finally:
        try:
            stack.succeed("down")
            assert not stack.state.exists(), "no file of the stack is left, and no kubeconfig"
        finally:
            stack.file.unlink(missing_ok=True)


@contextmanager
def images_that_cannot_be_pulled(folder: Path) -> Iterator[None]:
    """Envoy and http-echo in Docker under the manifests' names, made of this project's own tools, where there is no registry to pull them from."""
    made = []
    for image, tool in ((ENVOY_IMAGE, "envoy"), (HTTP_ECHO_IMAGE, "http-echo")):
        if not BASE_IMAGE or docker("image", "ls", "--quiet", image).strip():
            continue
        context = folder / tool
        context.mkdir()
        shutil.copy(toolchain.find(tool), context / tool)
        (context / "Dockerfile").write_text(f'FROM {BASE_IMAGE}\nCOPY {tool} /usr/local/bin/{tool}\nENTRYPOINT ["/usr/local/bin/{tool}"]\n')
        docker("build", "--quiet", "--tag", image, str(context))
        made.append(image)
    try:
        yield
    finally:
        for image in made:
            docker("image", "rm", image)
