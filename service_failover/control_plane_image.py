"""The open control plane's image, which is published nowhere: built by this machine's Docker, loaded into the nodes of kind clusters.

    ControlPlaneImage
    └─ Command <name>-build     docker build, in parallel with the clusters; docker image rm

The name holds a fingerprint of the sources, the lock and the base: it is known in a preview, and pods start anew when, and only when, it changes.
"""

import shlex
import sys
from pathlib import Path
from typing import NotRequired, TypedDict

import pulumi
from pulumi_command import local

from service_failover.image.context import fingerprint
from service_failover.images import Images
from service_failover.names import CONTROL_PLANE_IMAGE, ENVOY_IMAGE, HTTP_ECHO_IMAGE
from service_failover.validation import IMAGE, Plain, arguments, optional

PROGRAM = Path(__file__).resolve().parents[1]
"""Directory that holds the package `service_failover`."""

REMOVE = """set -eu
found=$(docker image ls --quiet "$IMAGE")
test -z "$found" || docker image rm "$IMAGE" >/dev/null
docker image prune --force --filter "label=dev.servicefailover.build=$FINGERPRINT" >/dev/null
"""
"""Removes the image, and what an old Docker keeps of its build. Needs no file of the checkout. Another stack that uses the image builds it again when
it has to: in its nodes it is there already."""


class ControlPlaneImageArgs(TypedDict):
    """Arguments of a ControlPlaneImage."""

    base_image: NotRequired[str]
    """Image to build on, with Python 3.11 or later, venv and pip; its packages are then downloaded by this machine, and not in a container. Plain:
    the image's name depends on it. Default: the one that the Dockerfile names by its digest, with packages from PyPI."""


_checked = arguments(ControlPlaneImageArgs, base_image=Plain(optional(IMAGE)))


class ControlPlaneImage(pulumi.ComponentResource):
    """The image of the control plane of this checkout, on this machine's Docker."""

    image: pulumi.Output[str]
    """Its name, `servicefailover/controlplane:<version>-<fingerprint>`."""

    def __init__(self, name: str, args: ControlPlaneImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = _checked(args)
        super().__init__("service-failover:index:ControlPlaneImage", name, None, opts)
        base = args.get("base_image", "")
        digits = fingerprint(base)
        self.name = f"{CONTROL_PLANE_IMAGE}-{digits}"
        self.words = ("--image", self.name, *(("--base-image", base) if base else ()))
        """By which a command knows what to build. For Python only, as is `name`."""
        build = image_command("build", *self.words)
        local.Command(
            f"{name}-build",
            create=build,
            update=build,  # does nothing where the image is
            delete=REMOVE,
            triggers=[self.name],  # an image of another name is another one: this one goes when nothing uses it any more
            environment={"PYTHONPATH": str(PROGRAM), "IMAGE": self.name, "FINGERPRINT": digits},
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.image = pulumi.Output.from_input(self.name)
        self.register_outputs({"image": self.image})


def load_images(name: str, *, kind_name: str, identity: pulumi.Input[str], control_plane: ControlPlaneImage | str) -> Images:
    """The images of a stack in the nodes of a kind cluster, loaded by the command `<name>-images`.

    `control_plane`: the image that is built here, or the name of one that is not. Of what is not built here, this machine's Docker has a copy that is
    loaded, or the nodes pull it. `identity` changes when the cluster is another one.
    """
    built = control_plane if isinstance(control_plane, ControlPlaneImage) else None
    image = control_plane if isinstance(control_plane, str) else control_plane.name
    others = [*([] if built else [image]), ENVOY_IMAGE, HTTP_ECHO_IMAGE]
    copied = [word for each in others for word in ("--also", each)]
    load = image_command("load", *(built.words if built else ()), "--cluster", kind_name, *copied)
    command = local.Command(
        f"{name}-images",
        create=load,
        update=load,  # copies what the nodes lack
        triggers=[identity],
        environment={"PYTHONPATH": str(PROGRAM)},
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(depends_on=[built] if built else None),
    )
    control_plane_image, envoy, http_echo = (command.id.apply(lambda _, each=each: each) for each in (image, ENVOY_IMAGE, HTTP_ECHO_IMAGE))
    return Images(control_plane=control_plane_image, envoy=envoy, http_echo=http_echo)


def image_command(verb: str, *words: str) -> str:
    """A shell command line for `python -m service_failover.image`, with the Python that runs this program."""
    return shlex.join([sys.executable, "-P", "-m", "service_failover.image", verb, *words])
