"""The control plane's image in a stack: built once, loaded into every kind cluster, and removed when nothing uses it any more."""

from __future__ import annotations

import pulumi
import pytest
from program_recorder import UNKNOWN, Recorder

from service_failover.control_plane_image import REMOVE, ControlPlaneImage, load_images
from service_failover.image.context import fingerprint
from service_failover.images import Images
from service_failover.names import CONTROL_PLANE_IMAGE

pytestmark = pytest.mark.unit

COMMAND = "command:local:Command"
BASE = "registry.example/python:3"
NAME = f"{CONTROL_PLANE_IMAGE}-{fingerprint(BASE)}"


@pytest.fixture(params=[False, True], ids=["update", "preview"])
def recorder(request: pytest.FixtureRequest) -> Recorder:
    return Recorder(preview=request.param)


def named(recorder: Recorder, name: str) -> dict[str, object]:
    (found,) = [each for each in recorder.of_type(COMMAND) if each.name == name]
    return found.inputs


def exported(images: Images) -> None:
    for name in ("control_plane", "envoy", "http_echo"):
        pulumi.export(name, getattr(images, name))


def test_its_name_is_known_before_it_is_built(recorder: Recorder) -> None:
    recorder.run(lambda: pulumi.export("image", ControlPlaneImage("image", {"base_image": BASE}).image))
    assert recorder.exports["image"] == NAME, "in a preview too, so that it shows which pods will roll"
    assert recorder.outputs[recorder.component("ControlPlaneImage").urn] == {"image": NAME}


def test_another_name_is_another_image_and_the_old_one_goes(recorder: Recorder) -> None:
    recorder.run(lambda: ControlPlaneImage("image", {"base_image": BASE}))
    build = named(recorder, "image-build")
    assert build["triggers"] == [NAME], "replaced: built first, and the old one removed at the end"
    assert build["update"] == build["create"], "whatever else changes (the Python that runs this), nothing is built again"
    assert f"build --image {NAME} --base-image {BASE}" in str(build["create"])
    assert build["delete"] == REMOVE
    assert build["environment"]["IMAGE"] == NAME, "the removal knows it from the state"  # type: ignore[index]


def test_without_a_base_the_pinned_one_is_used(recorder: Recorder) -> None:
    recorder.run(lambda: ControlPlaneImage("image", {}))
    assert "--base-image" not in str(named(recorder, "image-build")["create"])


def test_it_is_loaded_once_it_is_built_and_pods_wait_for_that(recorder: Recorder) -> None:
    def program() -> None:
        image = ControlPlaneImage("image", {"base_image": BASE})
        exported(load_images("local", kind_name="failover-test-local", identity="cluster-1", control_plane=image))

    recorder.run(program)
    (load,) = [each for each in recorder.of_type(COMMAND) if each.name == "local-images"]
    assert f"--image {NAME} --base-image {BASE} --cluster failover-test-local" in load.inputs["create"]
    assert "--also envoyproxy/envoy:v1.40.0 --also hashicorp/http-echo:1.0.0" in load.inputs["create"]
    assert load.inputs["triggers"] == ["cluster-1"], "another cluster has no image yet"
    assert recorder.component("ControlPlaneImage").urn in load.depends_on or any("image-build" in urn for urn in load.depends_on), "built first"
    first = UNKNOWN if recorder.preview else NAME
    assert recorder.exports["control_plane"] == first, "known when the nodes have it"
    assert recorder.exports["envoy"] == (UNKNOWN if recorder.preview else "envoyproxy/envoy:v1.40.0")
    assert recorder.exports["http_echo"] == (UNKNOWN if recorder.preview else "hashicorp/http-echo:1.0.0")


def test_an_image_that_is_not_built_here_is_loaded_where_docker_has_it(recorder: Recorder) -> None:
    recorder.run(lambda: exported(load_images("local", kind_name="c", identity="1", control_plane="registry.example/controlplane:1")))
    create = str(named(recorder, "local-images")["create"])
    assert "--also registry.example/controlplane:1" in create, "else the nodes pull it"
    assert "--image" not in create, "nothing is built"
