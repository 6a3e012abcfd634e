"""TLS of a client that proves who it is, from PEM documents in memory.

Python reads keys from files only. The key must not be left on a disk, and a container's file system is read-only: so on Linux the file is one that
has no name and exists in memory only.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def client_context(*, certificate: str, key: str, ca: str) -> ssl.SSLContext:
    """TLS 1.3 with this certificate; the server's has to be issued by `ca`, for the name that the connection is opened with.

    Raises ssl.SSLError when the documents do not fit together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=ca)
    with file_in_memory(f"{certificate.rstrip()}\n{key}".encode()) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def file_in_memory(content: bytes) -> Iterator[str]:
    """Path of a file with this content, for the length of the block and this process only."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile(delete=False) as file:  # 0600
        file.write(content)
    try:
        yield file.name
    finally:
        Path(file.name).unlink()
