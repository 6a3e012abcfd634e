"""Processes that a benchmark starts: what they cost, by /proc, and their end. Linux only, as the embedded clusters are."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Running:
    """A process that was started here."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        """Processor time so far, user and system; in steps of a hundredth of a second."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_megabytes(self) -> float:
        """Memory in RAM now, in units of 1,000,000 bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        kibibytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        return kibibytes * 1024 / 1e6

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def check(self) -> None:
        """Raises RuntimeError, with the end of its log, when the process has ended."""
        if self.process.returncode is not None:
            raise RuntimeError(f"a process ended with {self.process.returncode}: {self.log.read_text(errors='replace')[-2000:]}")

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, and wait until the process is gone."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        await self.process.wait()


async def start(command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> Running:
    """Start a process whose output goes to `log`; `env` is added to the environment."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **env}, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    return Running(process=process, log=log)


@asynccontextmanager
async def running(command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> AsyncIterator[Running]:
    """A process for as long as the block lasts."""
    process = await start(command, log=log, env=env)
    try:
        yield process
    finally:
        await process.end()


async def until(check: Callable[[], Awaitable[bool]], why: str, *, seconds: float, pause: float = 0.02) -> None:
    """Wait until `check` is true; TimeoutError says what did not happen."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await check():
        if loop.time() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {why}")
        await asyncio.sleep(pause)


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
