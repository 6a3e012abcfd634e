"""Locks, registry and files: what keeps two commands, two clusters and two users out of each other's way."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedded.cluster import Cluster, load_cluster, save_cluster
from embedded.errors import EmbeddedError
from embedded.layout import StateDir, read_json, write_private
from embedded.lock import exclusive
from embedded.network import OCTETS, Network
from embedded.registry import Registry, default_directory
from embedded.spec import ClusterSpec

pytestmark = pytest.mark.unit

SPEC = ClusterSpec(name="local", region="r", zone="z")


def claim(registry: Registry, root: Path, *, wanted: int | None = None, taken: tuple[int, ...] = ()) -> int:
    root.mkdir(parents=True, exist_ok=True)

    def commit(octet: int) -> None:
        save_cluster(StateDir(root), Cluster(spec=SPEC, network=Network(octet), registry=registry.directory))

    return registry.claim(root, wanted=wanted, in_use=lambda octet: octet in taken, commit=commit)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "networks")


def test_clusters_get_different_networks_and_keep_them(registry: Registry, tmp_path: Path) -> None:
    first, second = claim(registry, tmp_path / "a"), claim(registry, tmp_path / "b")
    assert (first, second) == (OCTETS[0], OCTETS[1])
    assert claim(registry, tmp_path / "a") == first, "objects hold addresses of the network"
    assert registry.entries() == {first: tmp_path / "a", second: tmp_path / "b"}


def test_a_network_is_free_again_when_its_cluster_is_gone(registry: Registry, tmp_path: Path) -> None:
    octet = claim(registry, tmp_path / "a")
    (tmp_path / "a" / "cluster.json").unlink()
    assert registry.entries() == {}, "a directory without a cluster holds no network"
    assert claim(registry, tmp_path / "b") == octet


def test_a_network_that_something_else_listens_on_is_left_alone(registry: Registry, tmp_path: Path) -> None:
    assert claim(registry, tmp_path / "a", taken=(OCTETS[0], OCTETS[1])) == OCTETS[2], "another user's cluster is in no registry of ours"


def test_a_claim_that_was_interrupted_holds_nothing(registry: Registry, tmp_path: Path) -> None:
    def commit(_octet: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.claim(tmp_path / "a", wanted=None, in_use=lambda _: False, commit=commit)
    assert claim(registry, tmp_path / "b") == OCTETS[0]


def test_a_network_given_away_meanwhile_is_an_error_that_names_both(registry: Registry, tmp_path: Path) -> None:
    octet = claim(registry, tmp_path / "a")
    with pytest.raises(EmbeddedError) as refusal:
        claim(registry, tmp_path / "b", wanted=octet)
    assert str(tmp_path / "a") in str(refusal.value)
    assert str(tmp_path / "b") in str(refusal.value)


def test_a_lost_registry_is_rebuilt_from_the_clusters_own_record(registry: Registry, tmp_path: Path) -> None:
    octet = claim(registry, tmp_path / "a")
    (registry.directory / "registry.json").unlink()
    assert claim(registry, tmp_path / "a", wanted=octet) == octet
    assert registry.entries() == {octet: tmp_path / "a"}


def test_when_every_network_is_taken_the_error_says_how_to_see_by_whom(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="python -m embedded list"):
        claim(registry, tmp_path / "a", taken=tuple(OCTETS))


def test_releasing_is_fine_without_a_registry_and_twice(registry: Registry, tmp_path: Path) -> None:
    registry.release(tmp_path / "a")
    assert not registry.directory.exists(), "deleting nothing must make nothing"
    claim(registry, tmp_path / "a")
    registry.release(tmp_path / "a")
    registry.release(tmp_path / "a")
    assert registry.entries() == {}


def test_claims_at_the_same_time_get_different_networks(registry: Registry, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        octets = list(pool.map(lambda name: claim(registry, tmp_path / name), "abcdefgh"))
    assert len(set(octets)) == 8


def test_the_registry_is_in_the_cache_of_this_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SERVICE_FAILOVER_CACHE", str(tmp_path))
    assert default_directory() == tmp_path / "networks"
    monkeypatch.delenv("SERVICE_FAILOVER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_directory() == Path("/xdg/service-failover/networks")


def test_a_cluster_record_survives_and_a_damaged_one_says_what_to_do(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    cluster = Cluster(spec=SPEC, network=Network(80), registry=tmp_path / "networks")
    assert load_cluster(state) is None, "no record, no cluster"
    save_cluster(state, cluster)
    assert load_cluster(state) == cluster
    for damaged in ('{"octet": 80}', '{"octet"', ""):
        write_private(state.cluster, damaged)
        with pytest.raises(EmbeddedError, match="embedded delete --state-dir"):
            load_cluster(state)


def test_a_lock_is_held_by_one_at_a_time_and_the_others_are_told_by_whom(tmp_path: Path) -> None:
    inside, told = [], []

    def enter() -> None:
        with exclusive(tmp_path / "lock", waiting=told.append):
            inside.append("in")
            assert len(inside) % 2, "two were inside at once"
            inside.append("out")

    with exclusive(tmp_path / "lock"):
        threads = [threading.Thread(target=enter) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(told) < 4:
            pass
        assert not inside, "nobody enters while the lock is held"
    for thread in threads:
        thread.join(10)
    assert inside == ["in", "out"] * 4
    assert told == [str(os.getpid())] * 4


def test_a_lock_whose_file_was_removed_while_one_waited_is_taken_anew(tmp_path: Path) -> None:
    waiting, entered = threading.Event(), threading.Event()

    def enter() -> None:
        with exclusive(tmp_path / "lock", waiting=lambda _: waiting.set()):
            assert (tmp_path / "lock").exists(), "a lock on a file that nobody else can see serialises nothing"
            entered.set()

    with exclusive(tmp_path / "lock"):
        thread = threading.Thread(target=enter)
        thread.start()
        assert waiting.wait(5)
        (tmp_path / "lock").unlink()  # as delete does
    thread.join(10)
    assert entered.is_set()


def test_a_file_is_written_for_its_owner_only_and_only_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_private(path, "one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.stat().st_ino
    assert not write_private(path, "one")
    assert path.stat().st_ino == first
    assert write_private(path, "two")
    assert list(tmp_path.iterdir()) == [path], "nothing half-written stays"


def test_an_emptied_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert read_json(tmp_path / "file") is None, "a crash of the machine can leave a file empty"


def test_a_directory_with_other_things_is_told_from_a_clusters(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    assert StateDir(tmp_path / "absent").foreign_entries() == []
    state.make()
    for path in (*state.files, state.lock, tmp_path / ".new-parts.json.17"):
        path.write_text("{}")
    assert state.foreign_entries() == [], "everything a cluster makes is known, or delete would refuse its own files"
    (tmp_path / "thesis.tex").write_text("")
    assert state.foreign_entries() == ["thesis.tex"]
