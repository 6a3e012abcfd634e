"""The kubeconfigs of a stack as private files, for `kubectl` in the user's shell and for the commands here.

They come from the stack's secret output; the user's own kubeconfig is never read or written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import toolchain
from cli.stack import Stack
from cli.workspace import CommandFailed


def write(stack: Stack, outputs: dict[str, Any]) -> list[Path]:
    """Write one file a cluster (0600), in the order of the output, and return them. No output, no file: what an earlier stack left is removed."""
    folder = stack.workspace.kubeconfigs(stack.name)
    kubeconfigs = outputs.get("kubeconfigs") or {}
    if not kubeconfigs:
        shutil.rmtree(folder, ignore_errors=True)
        return []
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = [folder / f"{cluster}.yaml" for cluster in kubeconfigs]
    for file in set(folder.glob("*.yaml")).difference(files):
        file.unlink(missing_ok=True)
    for file, text in zip(files, kubeconfigs.values(), strict=True):
        # Never absent and never half there: a drill, or a kubectl of the user's, may be reading it.
        fresh = file.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            handle.write(text)
        fresh.replace(file)
    return files


def all_answer(stack: Stack) -> bool:
    """Whether the stack has been up, and every API server of it answers now. They are asked with the files that the last `up` has written."""
    kubectl = str(toolchain.find("kubectl"))
    asked = ["get", "--raw", "/readyz", "--request-timeout=5s"]
    return stack.was_up() and all(
        subprocess.run([kubectl, "--kubeconfig", str(file), *asked], capture_output=True, check=False).returncode == 0
        for file in stack.workspace.kubeconfigs(stack.name).glob("*.yaml")
    )


def find_deployment(stack: Stack, name: str, *, namespace: str = "default") -> list[str]:
    """The `kubectl` command line that reaches the cluster which runs Deployment <namespace>/<name>.

    Errors: CommandFailed when the stack is not up or no cluster runs it, with the names that are there.
    """
    files = write(stack, stack.outputs())
    if not files:
        raise CommandFailed(f"stack {stack.name!r} is not up. Bring it up first: {stack.command('up')}")
    seen = []
    for file in files:
        kubectl = [str(toolchain.find("kubectl")), "--kubeconfig", str(file), "--request-timeout=10s"]
        done = subprocess.run([*kubectl, "get", "deployments", "-n", namespace, "-o", "name"], capture_output=True, text=True, check=False)
        names = [line.removeprefix("deployment.apps/") for line in done.stdout.split()]
        if name in names:
            return kubectl
        seen += [f"{file.stem}: {', '.join(names) or done.stderr.strip() or 'none'}"]
    raise CommandFailed(f"no cluster runs the deployment {name!r}. What is there: {'; '.join(seen)}")
