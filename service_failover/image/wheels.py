"""Packages for an image whose build reaches no package index: downloaded by this machine's pip, which knows the user's index and proxy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from service_failover.image.docker import ImageError

OLDEST_GLIBC = 17
"""Minor version; manylinux_2_17 is the oldest tag that wheels of today carry."""


def platforms(machine: str, glibc: int) -> list[str]:
    """The tags of the wheels that run on a machine with glibc 2.`glibc`, newest first."""
    return [*(f"manylinux_2_{minor}_{machine}" for minor in range(glibc, OLDEST_GLIBC - 1, -1)), f"manylinux2014_{machine}"]


def download(requirements: Path, *, into: Path, python: str, machine: str, glibc: int) -> None:
    """Download what the hashed `requirements` say, for another Python (`3.13`) and machine than this one. Raises ImageError with pip's words."""
    target = ["--implementation=cp", f"--python-version={python}", *(f"--platform={each}" for each in platforms(machine, glibc))]
    checked = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    quiet = ["--quiet", "--progress-bar=off", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *checked, *quiet, *target, "-d", str(into), "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"the packages for the image (Python {python}, {machine}) cannot be downloaded:\n{done.stderr.strip()[-2000:]}")
