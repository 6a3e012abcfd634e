"""Builds the pip package and installs it into an environment of its own, without an index."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from toolchain.tools import CHECKOUT

PACKAGES = ("service_failover", "gloo_api", "controlplane", "embedded", "toolchain")


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel and the source distribution, built in `folder` of a copy: building leaves things beside the sources."""
    source = folder / "checkout"
    for name in PACKAGES:
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(CHECKOUT / name, source / name)
    backend = "import setuptools.build_meta as backend; backend.build_sdist('..'); backend.build_wheel('..')"
    subprocess.run([sys.executable, "-c", backend], cwd=source, capture_output=True, check=True, timeout=300)
    shutil.rmtree(source)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def install(wheel: Path, environment: Path) -> Path:
    """A new environment with the wheel in it, and its Python. What the package depends on is that of this interpreter's environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=120)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], capture_output=True, check=True, timeout=120)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python
