"""Downloads official releases, within a time that a machine without the internet does not notice: five seconds for all of them together.

The allowance is spent only while less than a useful amount arrives, so a download that works may take as long as it needs. After the first host that
cannot be reached no other is tried in this run. A file whose SHA-256 is not the pinned one is refused.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from toolchain.errors import Unavailable
from toolchain.processes import Children
from toolchain.routes import Release, Report

VARIABLE = "SERVICE_FAILOVER_RELEASES"
ALLOWANCE = 5.0
"""Seconds for all downloads of a run, beyond those in which data flows."""
USEFUL_RATE = 100_000
"""Bytes a second; what is slower counts against the allowance."""
_CHUNK = 64 * 1024


class Releases:
    """The downloads of one run, which share one allowance."""

    def __init__(self, *, children: Children, allowance: float = ALLOWANCE) -> None:
        self._children = children
        self._left = allowance
        self._closed = f"{VARIABLE}=off" if os.environ.get(VARIABLE) == "off" else None

    def fetch(self, release: Release, *, into: Path, report: Report) -> None:
        """Download, check and unpack a release into `into`/bin. Errors: Unavailable; then nothing of it is in `into`/bin."""
        if self._closed:
            raise Unavailable(f"not tried: {self._closed}")
        archive = into / "release.tar.gz"
        with archive.open("w+b") as file:
            digest = self._download(release.url, file, report)
            if digest != release.sha256:
                raise Unavailable(f"{release.url} has SHA-256 {digest}, and {release.sha256} is expected: refused, nothing of it is used")
            file.seek(0)
            _unpack(file, folder=release.folder, into=into / "bin")
        archive.unlink()

    def _download(self, url: str, file: BinaryIO, report: Report) -> str:
        """Copy `url` into `file` and return its SHA-256. In a thread, since looking up a host can be neither limited in time nor interrupted."""
        transfer = _Transfer(url, file)
        started = time.monotonic()
        transfer.start()
        while transfer.is_alive():
            transfer.join(0.05)
            if self._children.stopped:
                transfer.abandoned.set()
                self._children.check()
            lost = time.monotonic() - started - transfer.received / USEFUL_RATE
            if transfer.is_alive() and lost > self._left:
                transfer.abandoned.set()
                self._close(f"{urlsplit(url).hostname} did not answer, or too slowly")
            report(f"downloading {transfer.received / 1e6:.0f} MB of its release")
        self._left -= max(0.0, time.monotonic() - started - transfer.received / USEFUL_RATE)
        if transfer.write_error is not None:
            raise transfer.write_error
        if transfer.status is not None:
            raise Unavailable(f"{url} answered with status {transfer.status}")
        if transfer.error is not None:
            self._close(f"{urlsplit(url).hostname} cannot be reached ({transfer.error})")
        return transfer.digest.hexdigest()

    def _close(self, reason: str) -> None:
        self._closed = reason
        raise Unavailable(reason)


class _Transfer(threading.Thread):
    """One download. It ends by itself soon after it is abandoned, and never keeps the program from ending."""

    def __init__(self, url: str, file: BinaryIO) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._file = file
        self.abandoned = threading.Event()
        self.received = 0
        self.digest = hashlib.sha256()
        self.status: int | None = None
        self.error: Exception | None = None
        self.write_error: OSError | None = None

    def run(self) -> None:
        try:
            with urllib.request.urlopen(self._url, timeout=ALLOWANCE) as response:  # noqa: S310 -- the address is a constant of the table
                while (chunk := response.read1(_CHUNK)) and not self.abandoned.is_set() and self._keep(chunk):
                    self.received += len(chunk)
        except urllib.error.HTTPError as error:
            self.status = error.code
        except Exception as error:  # every failure is told by the thread that waits
            self.error = getattr(error, "reason", None) or error

    def _keep(self, chunk: bytes) -> bool:
        """Write a piece of the file; False when that cannot be done, which is no fault of the network."""
        try:
            self._file.write(chunk)
        except OSError as error:
            self.write_error = error
            return False
        self.digest.update(chunk)
        return True


def _unpack(archive: BinaryIO, *, folder: str, into: Path) -> None:
    """Write the files directly in `folder` of a .tar.gz to `into`, all executable. Links and anything elsewhere in it are left out."""
    into.mkdir()
    with tarfile.open(fileobj=archive, mode="r:gz") as content:
        for member in content:
            parent, _, name = member.name.rpartition("/")
            source = content.extractfile(member) if member.isfile() and parent == folder else None
            if source is not None:
                target = into / name
                with source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
                target.chmod(0o755)
