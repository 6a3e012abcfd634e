"""What the toolchain's tests make use of: programs that are shell scripts, archives, and the description of a release server."""

from __future__ import annotations

import hashlib
import io
import tarfile
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from toolchain import routes


def write_program(file: Path, script: str) -> Path:
    """Write an executable shell script."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n" + textwrap.dedent(script))
    file.chmod(0o755)
    return file


@dataclass
class PretendedGo:
    """A `go` on PATH that takes a given time to "build", and logs what it is asked for."""

    log: Path

    def builds(self) -> list[str]:
        """The process ids of the builds that were started."""
        return self.log.read_text().split() if self.log.exists() else []


def tarball(files: dict[str, str]) -> bytes:
    """A .tar.gz that holds these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


@dataclass
class ReleaseServer:
    """Serves one archive and counts the requests for it."""

    port: int
    content: bytes
    requests: list[str] = field(default_factory=list)
    scheme: str = "http"

    def release(self, *, sha256: str | None = None, path: str = "/pulumi.tar.gz") -> routes.Release:
        """The release on this server; with the digest of what it serves unless another is given."""
        digest = sha256 or hashlib.sha256(self.content).hexdigest()
        return routes.Release(version="9.9.9", url=f"{self.scheme}://127.0.0.1:{self.port}{path}", sha256=digest, folder="pulumi")
