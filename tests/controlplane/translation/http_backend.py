"""An HTTP server whose answers a test decides, and which remembers what it was asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """One request, as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to do: wait `after` seconds, then answer `status`, or hang up without an answer (None)."""

    status: int | None = 200
    after: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Backend:
    """A running server; its answers have its name as their text. /health is answered by itself and not remembered."""

    name: str
    healthy: bool = True
    answer: Callable[[Asked], Answer] = lambda _: Answer()
    asked: list[Asked] = field(default_factory=list)

    def methods(self) -> list[str]:
        return [each.method for each in self.asked]


@contextmanager
def serving(name: str, address: tuple[str, int]) -> Iterator[Backend]:
    """Serve until the block ends."""
    backend = Backend(name)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                self.raw_requestline = self.rfile.readline(65537)
            except ConnectionError:
                self.raw_requestline = b""
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked = Asked(self.command, self.path, {key.lower(): value for key, value in self.headers.items()}, body)
            if self.path == "/health":
                self._reply(Answer(200 if backend.healthy else 503))
                return
            backend.asked.append(asked)
            self._reply(backend.answer(asked))

        def _reply(self, answer: Answer) -> None:
            time.sleep(answer.after)
            if answer.status is None:
                self.close_connection = True
                return
            text = b"" if self.command == "HEAD" else name.encode()
            self.send_response(answer.status)
            for key, value in {"content-length": str(len(text)), **answer.headers}.items():
                self.send_header(key, value)
            self.end_headers()
            try:
                self.wfile.write(text)
                self.wfile.flush()
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(address, Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield backend
    finally:
        server.shutdown()
        server.server_close()
