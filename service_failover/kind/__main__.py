"""`python -m service_failover.kind`: the kind clusters of a stack as docker has them. For a teardown when Pulumi's state is lost."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from service_failover.kind import commands
from service_failover.kind.document import owner_of
from service_failover.kind.nodes import DockerFailed, Node, list_nodes


def described(node: Node) -> str:
    """One line for a person."""
    ports = ", ".join(f"127.0.0.1:{port}" for port in sorted(node.host_ports))
    return f"{node.cluster}: {'running' if node.running else 'stopped'}, {ports or 'no ports'}"


def delete(cluster: str, *, owner: str) -> bool:
    """Delete a cluster by the same command as Pulumi does. Whether that went well; what did not has been said."""
    variables = {**os.environ, **commands.environment(kind_name=cluster, owner=owner)}
    return subprocess.run(["/bin/sh", "-c", commands.script("delete")], env=variables, check=False).returncode == 0


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, or 1 with what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m service_failover.kind", description=__doc__)
    parser.add_argument("verb", choices=["list", "delete"])
    parser.add_argument("--stack", required=True, help="the stack that made them")
    parser.add_argument("--state-dir", required=True, type=Path, help="where it keeps its state")
    arguments = parser.parse_args(argv)
    owner = owner_of(arguments.stack, arguments.state_dir.expanduser().resolve())
    try:
        ours = [node for node in list_nodes() if node.owner == owner]
    except DockerFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.verb == "list":
        for node in ours:
            print(described(node))
        return 0
    left = [cluster for cluster in sorted({node.cluster for node in ours}) if not delete(cluster, owner=owner)]
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
