"""What the toolchain's tests share: a cache of their own, a folder on PATH, a Go that only pretends, and a release server on loopback."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from toolchain_support import PretendedGo, ReleaseServer, tarball, write_program

ARCHIVE = tarball({"pulumi/pulumi": "#!/bin/sh\necho v9.9.9\n"})


@pytest.fixture(autouse=True)
def cache_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and none of the user's own settings."""
    for name in list(os.environ):
        if name.startswith("SERVICE_FAILOVER_"):
            monkeypatch.delenv(name)
    root = tmp_path / "cache"
    monkeypatch.setenv("SERVICE_FAILOVER_CACHE", str(root))
    return root


@pytest.fixture
def path_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is first on PATH."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return folder


@pytest.fixture
def pretended_go(path_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretendedGo:
    """`go build` writes a program to what -o names, after $PRETENDED_SECONDS."""
    log = tmp_path / "builds"
    monkeypatch.setenv("PRETENDED_LOG", str(log))
    monkeypatch.setenv("PRETENDED_SECONDS", "0")
    write_program(
        path_folder / "go",
        """\
        case "$1" in
        version) echo go version go1.26.9 linux/amd64 ;;
        list) echo stale ;;
        build)
          echo $$ >> "$PRETENDED_LOG"
          while [ "$1" != -o ]; do shift; done
          sleep "$PRETENDED_SECONDS" || exit 1
          mkdir -p "$(dirname "$2")" && printf '#!/bin/sh\\necho built\\n' > "$2" && chmod +x "$2" ;;
        esac
        """,
    )
    return PretendedGo(log=log)


@pytest.fixture
def serve_release() -> Iterator[Callable[..., ReleaseServer]]:
    """Start a release server. `pause` is called before each 10 bytes it sends, `wrap` with the server before it starts."""
    servers: list[ThreadingHTTPServer] = []

    def start(
        content: bytes = ARCHIVE,
        *,
        pause: Callable[[], object] | None = None,
        wrap: Callable[[ThreadingHTTPServer], None] = lambda _: None,
    ) -> ReleaseServer:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                described.requests.append(self.path)
                if "absent" in self.path:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                step = len(content) if pause is None else 10
                for start in range(0, len(content), step):
                    if pause:
                        pause()
                    try:
                        self.wfile.write(content[start : start + step])
                    except OSError:
                        return

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        described = ReleaseServer(port=server.server_port, content=content)
        wrap(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return described

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
