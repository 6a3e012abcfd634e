"""An open-loop HTTP probe in a process of its own: what do clients notice while something breaks?

    with Probe(Load(requests=(Request(url=url),), rate=300, seconds=30)) as probe:
        ...                                   # break something
    assert probe.summary().failed == 0        # all that was sent has ended by now

As a command: `python -m drill.probe URL --rate 300 --seconds 10`. It judges nothing, and knows nothing of what is behind the URL.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from drill.load import Load, Request
from drill.results import Result, Summary, summarise

START_TIMEOUT = 30.0
"""Seconds for the process to start; on a busy machine Python takes some."""
_GRACE = 5.0
"""Seconds beyond the load's own time-out after which a process that has not ended is killed."""


class ProbeError(Exception):
    """The probe itself failed, so that nothing can be said about the server. The text has the end of what its process printed."""


class Probe:
    """Sends a load from `with` on, until the block ends or the load does."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.started = 0.0
        """When the first request was scheduled (`time.monotonic()`)."""
        self._results: list[Result] = []
        self._errors: list[str] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "drill.sender"],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [threading.Thread(target=target, daemon=True) for target in (self._read_results, self._read_errors)]
        self._announced = threading.Event()
        for reader in self._readers:
            reader.start()
        self._input = cast(IO[str], self._process.stdin)
        with suppress(BrokenPipeError):
            self._input.write(self.load.to_json() + "\n")
            self._input.flush()
        if not self._announced.wait(START_TIMEOUT) or not self.started:
            self._end(seconds=0)
            raise ProbeError(f"the probe's process did not start within {START_TIMEOUT:g} s: {self._last_words}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Send no more, and wait for what is in flight. After an error in the block, as soon as possible."""
        self._end(seconds=self.load.timeout + _GRACE if kind is None else 0)
        if kind is None and self._process.returncode:
            raise ProbeError(f"the probe's process ended with {self._process.returncode}: {self._last_words}")

    @property
    def results(self) -> list[Result]:
        """The results so far, in the order in which the requests ended; at most a tenth of a second old while the load lasts."""
        return list(self._results)

    def summary(self) -> Summary:
        """The summary of the results so far."""
        return summarise(self.results)

    def wait(self) -> None:
        """Wait for the load to end by itself, and for every answer."""
        self._wait_for_end(self.started + self.load.seconds + self.load.timeout + _GRACE - time.monotonic())

    def _end(self, *, seconds: float) -> None:
        with suppress(BrokenPipeError):
            self._input.close()
        self._wait_for_end(seconds)

    def _wait_for_end(self, seconds: float) -> None:
        try:
            self._process.wait(timeout=max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join()

    def _read_results(self) -> None:
        with cast(IO[str], self._process.stdout) as lines:
            for line in lines:
                values = json.loads(line)
                if self.started:
                    self._results.append(Result.from_json(values))
                else:
                    self.started = values["start"]
                    self._announced.set()
        self._announced.set()

    def _read_errors(self) -> None:
        with cast(IO[str], self._process.stderr) as lines:
            self._errors.extend(lines)

    @property
    def _last_words(self) -> str:
        return "".join(self._errors[-10:]).strip() or "it said nothing"


def main(argv: Sequence[str] | None = None) -> int:
    """Probe a URL and print what happened. Exit code 1 when a request failed."""
    parser = argparse.ArgumentParser(prog="python -m drill.probe", description="Send requests on schedule, and say what became of them.")
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second (default: 100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for how long (default: 10)")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--body", default="", help="text to send with each request")
    arguments = parser.parse_args(argv)
    request = Request(url=arguments.url, method=arguments.method, body=arguments.body.encode())
    with Probe(Load(requests=(request,), rate=arguments.rate, seconds=arguments.seconds)) as probe:
        probe.wait()
    summary = probe.summary()
    for run in summary.runs:
        print(f"{run.first.scheduled - probe.started:9.3f} s  {run.count:6} x {run.server}{'  ' + run.first.error if run.first.error else ''}")
    print(summary)
    return 1 if summary.failed else 0


if __name__ == "__main__":
    sys.exit(main())
