"""`python -m service_failover.image build | load`: the control plane's image on this machine's Docker, and in a kind cluster.

Progress goes to standard error.
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from service_failover.image import context, docker, wheels
from service_failover.image.docker import ImageError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m service_failover.image", description="The control plane's image: built by Docker, loaded into kind clusters."
    )
    commands = top.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build it, unless Docker has it")
    load = commands.add_parser("load", help="copy it into the nodes of a kind cluster; build it first unless Docker has it")
    load.add_argument("--cluster", required=True, help="the cluster's name, as kind knows it")
    load.add_argument("--also", action="append", default=[], metavar="IMAGE", help="an image that is copied if Docker has it")
    for command, required in ((build, True), (load, False)):
        command.add_argument("--image", required=required, metavar="NAME:TAG", help="its name; the tag ends with the fingerprint of its sources")
        command.add_argument("--base-image", default="", help="image to build on, with packages downloaded by this machine (default: as pinned)")
    return top


def ensure(image: str, *, base_image: str) -> None:
    """Build `image` unless Docker has it. Raises ImageError."""
    with _alone():
        if docker.is_present(image):
            return
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="service-failover-image-") as folder:
            place = Path(folder)
            context.stage(place)
            expected = context.fingerprint(base_image, place)
            arguments = {"FINGERPRINT": expected}
            if not image.endswith(expected):
                raise ImageError(f"the sources of {image} have changed since it was named; now it would end with {expected}. Run pulumi up again.")
            if base_image:
                arguments |= {"BASE_IMAGE": base_image, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": context.WHEELS_IN_BUILD}
                python, machine, glibc = docker.python_of(base_image)
                say(f"downloading the packages for Python {python} on {machine}")
                (place / context.WHEELS).mkdir(mode=0o755)
                wheels.download(place / context.REQUIREMENTS, into=place / context.WHEELS, python=python, machine=machine, glibc=glibc)
            say(f"building {image}")
            docker.build(image, context=place, dockerfile=context.DOCKERFILE, arguments=arguments, report=say)
        say(f"built {image} in {time.monotonic() - started:.0f} s")


def load(image: str | None, *, base_image: str, also: Sequence[str], cluster: str) -> None:
    """Copy `image`, if one is named, and what Docker has of `also` into a kind cluster. Raises ImageError."""
    if image:
        ensure(image, base_image=base_image)
    there = [each for each in also if docker.is_present(each)]
    for absent in [each for each in also if each not in there]:
        say(f"{absent} is not on this machine's Docker; the nodes pull it")
    if images := [*([image] if image else []), *there]:
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="service-failover-image-") as folder:
            docker.load(images, cluster=cluster, temporary=Path(folder))
        say(f"loaded {', '.join(images)} into {cluster} in {time.monotonic() - started:.0f} s")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _alone() -> Iterator[None]:
    """One build of this checkout at a time: the others wait, and find the image there."""
    with (context.CHECKOUT / context.DOCKERFILE).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 with a text that says what to do; 130 when interrupted, and then no temporary file is left."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        match options.command:
            case "build":
                ensure(options.image, base_image=options.base_image)
            case "load":
                load(options.image, base_image=options.base_image, also=options.also, cluster=options.cluster)
    except ImageError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
