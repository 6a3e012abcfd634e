"""What an app's Envoy can be told at its admin port: to report itself unhealthy, or to be sick and say that all is well."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2 as httpx

from cli.workspace import CommandFailed
from service_failover.envoy import SICK_RUNTIME

if TYPE_CHECKING:
    from drill.roles import App
    from drill.target import Target


@dataclass(frozen=True, kw_only=True)
class Switch:
    """The admin ports of all of an app's pods."""

    urls: Sequence[str]

    def fail(self) -> float:
        """The app reports itself unhealthy. Returns when (`time.monotonic()`)."""
        return self._post("healthcheck/fail")

    def heal(self) -> float:
        """The app is healthy again. Returns when."""
        return self._post("healthcheck/ok")

    def sicken(self) -> float:
        """Every answer but that to the health check is 503. Returns when."""
        return self._post(f"runtime_modify?{SICK_RUNTIME}=100")

    def cure(self) -> float:
        """The app answers again. Returns when."""
        return self._post(f"runtime_modify?{SICK_RUNTIME}=0")

    def quit(self) -> float:
        """Its Envoy ends at once, with all of its connections. Returns when."""
        return self._post("quitquitquit")

    def _post(self, path: str) -> float:
        now = time.monotonic()
        for url in self.urls:
            try:
                httpx.post(f"{url}/{path}", timeout=5).raise_for_status()
            except httpx.HTTPError as error:
                raise CommandFailed(f"POST {url}/{path}: {error}. See why: make status") from error
        return now


@contextmanager
def switch_of(target: Target, app: App) -> Iterator[Switch]:
    """The switch of an app, for as long as the context lasts."""
    with target.admin_ports(app.envoy) as urls:
        yield Switch(urls=urls)
