"""What holds for every valid set of objects, whatever fields the models have: no crash, no dangling reference, no field ignored in silence, and Envoy
takes the result.

The examples are drawn from the schemas and are the same in every run; a failure prints the objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy_batch import complaint, refused
from google.protobuf.json_format import MessageToDict
from hypothesis import HealthCheck, Phase, given, note, settings
from object_sets import ObjectSet, object_sets, reduced
from silent_fields import KINDS, silent_fields

from controlplane.translation.types import Translation

COUNT = 150
FIXED = settings(max_examples=COUNT, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False)


def drawn(count: int) -> list[ObjectSet]:
    """The same sets of objects in every run."""
    found: list[ObjectSet] = []

    @settings(FIXED, max_examples=count, phases=[Phase.generate])
    @given(object_sets())
    def draw(objects: ObjectSet) -> None:
        found.append(objects)

    draw()
    return found


def content(translation: Translation) -> dict[str, dict[str, bytes]]:
    """Everything that Envoy gets, as bytes."""
    types = {
        "clusters": translation.clusters,
        "endpoints": translation.endpoints,
        "listeners": translation.listeners,
        "routes": translation.routes,
        "secrets": translation.secrets,
    }
    return {type_: {name: message.SerializeToString(deterministic=True) for name, message in each.items()} for type_, each in types.items()}


def named_in(messages: Iterator[Any], key: str) -> set[str]:
    """The texts that stand under `key` anywhere in the messages."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            found.update(item for name, item in value.items() if name == key and isinstance(item, str))
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    for message in messages:
        look(MessageToDict(message))
    return found


@pytest.mark.property
@FIXED
@given(object_sets())
def test_any_valid_objects_translate_without_a_dangling_reference(objects: ObjectSet) -> None:
    note(str(objects))
    translation = objects.translation()
    assert content(translation) == content(objects.translation()), "the same objects give the same bytes, or proxies would be pushed to for nothing"
    for ref, report in translation.reports.items():
        for problem in report.errors + report.warnings:
            assert problem.path.startswith("spec"), f"{ref}: {problem.path!r} must be a field that a user can look at"
            assert problem.message, f"{ref}: a problem at {problem.path} says nothing"
    by_eds = {name for name, message in translation.clusters.items() if isinstance(message, Cluster) and message.type == Cluster.EDS}
    assert by_eds == set(translation.endpoints), (
        "a cluster without endpoints of its own warms for ever; endpoints without a cluster are never asked for"
    )
    listeners = list(translation.listeners.values())
    assert named_in(iter(listeners), "routeConfigName") <= set(translation.routes), "a listener without its routes never opens"
    routed = named_in(iter(translation.routes.values()), "cluster")
    assert routed <= set(translation.clusters), "a route to a cluster that does not exist answers 503 without a reason in any status"


@pytest.mark.envoy
def test_envoy_takes_every_translation_of_valid_objects(tmp_path: Path) -> None:
    objects = drawn(2 * COUNT)
    bad = refused([each.translation() for each in objects], tmp_path)
    if bad:
        index, said = bad[0]
        smallest = reduced(objects[index], lambda each: complaint([each.translation()], tmp_path) is not None)
        pytest.fail(f"Envoy refuses {len(bad)} of {len(objects)} translations. It says: {said}\nof: {smallest}")


@pytest.mark.envoy
@pytest.mark.parametrize("type_", ["clusters", "endpoints", "listeners", "routes", "secrets"])
def test_the_check_with_envoy_can_fail(type_: str, tmp_path: Path) -> None:
    """One damaged resource among many good ones is found, whatever its type."""
    translations = [each.translation() for each in drawn(40)]
    index, resources = next((number, found) for number, each in enumerate(translations) if (found := getattr(each, type_)))
    _damage(next(iter(resources.values())))
    found_bad = dict(refused(translations, tmp_path))
    assert list(found_bad) == [index], f"Envoy's refusal of one of the {type_} is seen, and of no other: {found_bad}"


def _damage(message: Any) -> None:
    """Break a rule of Envoy's protocol, whatever the type."""
    damages: dict[str, Callable[[], object]] = {
        "envoy.config.cluster.v3.Cluster": lambda: message.connect_timeout.FromSeconds(-1),
        "envoy.config.endpoint.v3.ClusterLoadAssignment": lambda: message.policy.overprovisioning_factor.SetInParent(),
        "envoy.config.listener.v3.Listener": lambda: message.listener_filters.add(name="no such filter"),
        "envoy.config.route.v3.RouteConfiguration": lambda: message.virtual_hosts.add(name="no domains"),
        "envoy.extensions.transport_sockets.tls.v3.Secret": lambda: message.validation_context.match_typed_subject_alt_names.add(),
    }
    damages[message.DESCRIPTOR.full_name]()


@pytest.mark.property
@pytest.mark.parametrize("kind", KINDS)
def test_no_field_is_ignored_in_silence(kind: str) -> None:
    """Every field of an accepted object has an effect on what Envoy gets, or the status speaks of it."""
    silent = silent_fields(kind)
    assert silent == [], f"{kind}: another value of these fields changes neither the configuration nor the status: {json.dumps(silent, indent=1)}"
