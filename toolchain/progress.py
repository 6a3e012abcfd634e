"""What an install tells its user: a live line on a terminal; elsewhere a line when a step ends and, while it lasts, one every half minute."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

_LIVE_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0


class Progress:
    """The steps under way, shown until they end. Steps of several threads may run at once."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._lock = threading.Lock()
        self._steps: dict[str, Step] = {}
        self._ended = threading.Event()

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the display going during the block."""
        ticker = threading.Thread(target=self._tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            self._ended.set()
            ticker.join()
            self._erase()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """A step of the install: shown while the block runs. What it says is done stays, with the time taken."""
        step = Step()
        with self._lock:
            self._steps[name] = step
        try:
            yield step
        finally:
            with self._lock:
                del self._steps[name]
                if step.is_done:
                    self._say(f"{name}: {step}")

    def note(self, text: str) -> None:
        """Say something that stays."""
        with self._lock:
            self._say(text)

    def _say(self, text: str) -> None:
        self._erase()
        print(text, file=self._stream, flush=True)

    def _erase(self) -> None:
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def refresh(self) -> None:
        """Draw the live line of a terminal anew."""
        with self._lock:
            if self._live:
                width = shutil.get_terminal_size().columns - 1
                self._stream.write(f"\r\x1b[K{self._line()[:width]}")
                self._stream.flush()

    def _line(self) -> str:
        return " · ".join(f"{name}: {step}" for name, step in self._steps.items())

    def _tick(self) -> None:
        said = time.monotonic()
        while not self._ended.wait(_LIVE_SECONDS):
            self.refresh()
            if not self._live and self._steps and time.monotonic() - said > _PATIENCE_SECONDS:
                said = time.monotonic()
                with self._lock:
                    print(f"  ... {self._line()}", file=self._stream, flush=True)


class Step:
    """What one step is at, and since when it runs."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._text = "starting"
        self.is_done = False

    def report(self, text: str) -> None:
        """Say what the step is at."""
        self._text = text

    def done(self, text: str) -> None:
        """Say how it ended. A step that does not say so leaves no line behind."""
        self._text = text
        self.is_done = True

    def __str__(self) -> str:
        return f"{self._text} ({duration(time.monotonic() - self._since)})"


def duration(seconds: float) -> str:
    """0.31 -> "0.3 s"; 75 -> "1 min 15 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
