"""Ports of pods on this machine's loopback, by `kubectl port-forward`: whoever may do that is decided by the RBAC of the kubeconfig."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cli.workspace import CommandFailed


@dataclass(frozen=True, kw_only=True)
class Forwarded:
    """An open port-forward: `port` of 127.0.0.1."""

    port: int
    process: subprocess.Popen[str]

    def wait(self) -> None:
        """Until it ends by itself, as it does when the pod goes."""
        self.process.wait()


@contextmanager
def forwarded(kubectl: list[str], target: str, port: int, *, namespace: str = "default", local: int = 0) -> Iterator[Forwarded]:
    """A `kubectl port-forward` to `port` of `target` for as long as the context lasts, from the `local` port (0: a free one) of 127.0.0.1.

    Errors: CommandFailed with kubectl's words.
    """
    # A time limit for requests would end the connection that is forwarded.
    lasting = [word for word in kubectl if not word.startswith("--request-timeout")]
    command = [*lasting, "port-forward", "-n", namespace, "--address", "127.0.0.1", target, f"{local or ''}:{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None, "a pipe"  # noqa: S101
        try:
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+) ->", line)
            if not found:
                process.terminate()
                reason = f"{line}{process.stdout.read()}".strip()
                raise CommandFailed(f"cannot port-forward to {target}: {reason or 'kubectl ended without a word'}. See why: make status")
            # kubectl writes a line for each connection, and stops where nobody reads them.
            reader = threading.Thread(target=process.stdout.read, daemon=True)
            reader.start()
            yield Forwarded(port=int(found.group(1)), process=process)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def port_forward(kubectl: list[str], target: str, port: int, *, namespace: str = "default") -> Iterator[int]:
    """The same from a free port, for who wants no more than that port."""
    with forwarded(kubectl, target, port, namespace=namespace) as found:
        yield found.port
