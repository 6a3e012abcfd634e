"""A gateway as far as a drill's clients notice one, which does what its configuration says: over HTTP, with retries, health checks and timeouts.

It is for the objectives that no weakened stack misses both cheaply and for certain. The others are missed on real stacks: tests/e2e/test_drill.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from drill.causes import Facts
from gloo_api.meta import parse_duration

BLUE, GREEN, NOBODY = "blue-pod", "green-pod", "nobody"


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """What the objects in the primary's cluster make of it."""

    facts: Facts
    able: Callable[[], tuple[str, float]]
    """Who can answer, and since when (`time.time()`): blue; green alone; nobody."""

    def answer(self) -> tuple[int, str] | None:
        """Status and body; None: the connection is closed."""
        if (route := self._route) is None:
            return None
        until = time.monotonic() + _seconds((route.get("options") or {}).get("timeout", "15s"))
        while self.able()[0] == NOBODY:
            if time.monotonic() > until:
                return 504, "upstream request timeout"
            time.sleep(0.02)
        who, since = self.able()
        if who == BLUE or self._tries_again or self._has_noticed(since):
            return 200, who
        return 503, "upstream connect error"

    def _first(self, kind: str) -> Any:
        return next((each for each in self.facts.primary if each["kind"] == kind), None)

    @property
    def _route(self) -> Any:
        service = self._first("VirtualService")
        return service and service["spec"]["virtualHost"]["routes"][0]

    @property
    def _tries_again(self) -> bool:
        return self._first("VirtualService")["metadata"].get("annotations", {}).get("servicefailover.dev/failover-retries") != "disabled"

    def _has_noticed(self, since: float) -> bool:
        checks = self._first("Upstream")["spec"].get("healthChecks", [])
        return any(time.time() > since + _seconds(check["interval"]) for check in checks)


@contextmanager
def serving(gateway: Gateway) -> Iterator[str]:
    """Its URL, for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = gateway.answer()
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _seconds(text: str) -> float:
    return parse_duration(text).total_seconds()
