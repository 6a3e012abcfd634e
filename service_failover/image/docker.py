"""`docker` and `kind` on PATH, as far as an image needs them. Errors are told in their own words, with what to do."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LAST_WORDS = 20
"""Lines of a command that failed which its user gets to see."""

WIDTH = 100
"""Characters of a line of progress."""

Report = Callable[[str], None]


class ImageError(Exception):
    """An image cannot be built or loaded. The text is the whole message: what failed, why, what to do."""


def is_present(image: str) -> bool:
    """Whether this machine's Docker has the image. Raises ImageError when Docker does not answer."""
    return bool(_output(["docker", "image", "ls", "--quiet", image]).strip())


def python_of(image: str) -> tuple[str, str, int]:
    """Version of an image's Python, its machine, and the minor version of its glibc: ("3.13", "x86_64", 41). Raises ImageError."""
    question = "import platform; print(*platform.python_version_tuple()[:2], platform.machine(), platform.libc_ver()[1].split('.')[-1] or 0)"
    words = _output(["docker", "run", "--rm", "--network=none", "--entrypoint=python3", image, "-c", question]).split()
    if len(words) != 4 or not words[3].isdecimal() or int(words[3]) == 0:
        raise ImageError(f"the base image {image} has no Python on glibc: asked for its version it said {' '.join(words)!r}. Choose another base.")
    return f"{words[0]}.{words[1]}", words[2], int(words[3])


def build(image: str, *, context: Path, dockerfile: Path, arguments: Mapping[str, str], report: Report) -> None:
    """Build `image` from a folder, telling each step. `arguments` are build arguments. Raises ImageError with the end of what Docker said."""
    options = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]

    def on_line(line: str) -> None:
        if line.startswith("Step "):  # BuildKit words it otherwise, and is fast enough to need no progress
            report(line if len(line) <= WIDTH else f"{line[: WIDTH - 4]} ...")

    _run(["docker", "build", "--tag", image, "--file", str(context / dockerfile), *options, str(context)], on_line=on_line)


def load(images: Sequence[str], *, cluster: str, temporary: Path) -> None:
    """Copy images from this machine's Docker into the nodes of a kind cluster. `temporary` is for kind's archives. Raises ImageError."""
    _run(["kind", "load", "docker-image", *images, "--name", cluster], environment={"TMPDIR": str(temporary)})


def _output(command: Sequence[str]) -> str:
    lines: list[str] = []
    _run(command, on_line=lines.append)
    return "\n".join(lines)


def _run(command: Sequence[str], *, on_line: Callable[[str], None] | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Run to the end, passing each line of its output on. A command that is interrupted is ended first."""
    last: deque[str] = deque(maxlen=LAST_WORDS)
    try:
        process = subprocess.Popen(
            ["env", *(f"{name}={value}" for name, value in (environment or {}).items()), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except FileNotFoundError:
        raise ImageError(f"there is no {command[0]} on PATH") from None
    with process:
        try:
            for line in process.stdout or ():
                last.append(line.rstrip())
                if on_line:
                    on_line(line.rstrip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        said = "\n".join(last) or "it said nothing"
        raise ImageError(f"`{' '.join(command[:3])} ...` failed with exit code {process.returncode}:\n{said}")
