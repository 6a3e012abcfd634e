"""What the image is made of: the files, their fingerprint, and a folder with copies of them for `docker build`."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("controlplane", "gloo_api")
SUFFIXES = {".py", ".html", ".css", ".js", ".svg"}
DOCKERFILE = Path("service_failover/image/Dockerfile")
REQUIREMENTS = Path("service_failover/image/requirements.txt")
WHEELS = Path("service_failover/image/wheels")
"""In the context only: packages that were downloaded for a build without a package index."""
WHEELS_IN_BUILD = "/image/wheels"
"""Where the Dockerfile puts them."""


def sources(checkout: Path = CHECKOUT) -> Iterator[Path]:
    """Everything that the image is made of, relative to `checkout`, in a fixed order."""
    yield from (DOCKERFILE, REQUIREMENTS)
    for package in PACKAGES:
        files = sorted(path for path in (checkout / package).rglob("*") if path.suffix in SUFFIXES)
        yield from (path.relative_to(checkout) for path in files)


def fingerprint(base_image: str, checkout: Path = CHECKOUT) -> str:
    """Twelve digits that change when, and only when, the image would: with a source, the lock, the Dockerfile or the base. "" is the pinned base."""
    digest = hashlib.sha256(f"{base_image}\0".encode())
    for path in sources(checkout):
        content = (checkout / path).read_bytes()
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def stage(into: Path, checkout: Path = CHECKOUT) -> None:
    """Copy the sources into the folder `into`, readable for every user whatever this one's umask is."""
    for path in sources(checkout):
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkout / path, target)
        target.chmod(0o644)
    for folder in (each for each in into.rglob("*") if each.is_dir()):
        folder.chmod(0o755)
