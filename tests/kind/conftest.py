"""One stack for the tests of this tier. Making it takes longer than each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from kind_support import KindStack, docker, images_that_cannot_be_pulled, live, traces


def users_kubeconfig() -> str:
    file = Path.home() / ".kube/config"
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "absent"


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with images_that_cannot_be_pulled(tmp_path_factory.mktemp("images")):
        yield


@pytest.fixture(scope="session")
def stack(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KindStack]:
    """The stack, up. When it is down again, nothing of it is in Docker, and the user's kubeconfig was never touched."""
    name, kubeconfig = "one", users_kubeconfig()
    before = traces(name)
    assert not before["nodes"], f"an earlier run was killed; remove what it left: docker rm -f -v {' '.join(before['nodes'])}"
    with live(name, state=tmp_path_factory.mktemp("state") / "root") as made:
        yield made
        volumes = traces(name)["volumes"]
    for kind, names in traces(name).items():
        assert names <= before[kind], f"left in Docker: {kind} {names - before[kind]}"
    assert not volumes & set(docker("volume", "ls", "--quiet").split()), "the volumes of the nodes went with them"
    assert users_kubeconfig() == kubeconfig, "~/.kube/config is the user's"
