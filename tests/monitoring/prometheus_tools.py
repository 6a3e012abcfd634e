"""Debian's Prometheus and promtool, as the tests run them."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

import toolchain

READY_SECONDS = 30.0


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    program = toolchain.find("prometheus").with_name("promtool")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """A Prometheus that runs."""

    url: str
    log: Path

    def get(self, path: str, **parameters: str) -> Any:
        """`data` of an answer of its API."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10)
        assert answer.status_code == 200, f"{path} {parameters}: {answer.text}"
        return answer.json()["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an expression, now."""
        return list(self.get("query", query=expression)["result"])

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes."""
        return list(self.get("targets", state="active")["activeTargets"])

    def alerts(self, name: str) -> list[str]:
        """States (pending, firing) of the alerts of this name."""
        return [alert["state"] for alert in self.get("alerts")["alerts"] if alert["labels"]["alertname"] == name]


@contextmanager
def running(config: str, folder: Path) -> Iterator[Prometheus]:
    """A Prometheus with this configuration, on loopback, with its data in `folder`. Ended and waited for afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "prometheus.yml").write_text(config)
    log = folder / "log"
    command = [
        str(toolchain.find("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder) as process:
        try:
            deadline = time.monotonic() + READY_SECONDS
            while True:
                with suppress(httpx.TransportError):
                    if httpx.get(f"http://{address}/-/ready", timeout=2).status_code == 200:
                        break
                assert process.poll() is None, f"Prometheus has ended:\n{log.read_text()[-2000:]}"
                assert time.monotonic() < deadline, f"Prometheus is not ready:\n{log.read_text()[-2000:]}"
                time.sleep(0.1)
            yield Prometheus(url=f"http://{address}", log=log)
        finally:
            process.kill()
