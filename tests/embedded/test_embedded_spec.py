"""What may be asked of an embedded cluster is checked before anything is made, and a refusal says what would be right."""

from __future__ import annotations

import json

import pytest

from embedded.errors import EmbeddedError
from embedded.spec import ClusterSpec, parse_spec

pytestmark = pytest.mark.unit

GOOD = {"name": "local", "region": "us-east-1", "zone": "us-east-1a"}


def test_a_spec_names_the_cluster_its_node_and_its_context() -> None:
    spec = parse_spec(json.dumps(GOOD))
    assert spec == ClusterSpec(name="local", region="us-east-1", zone="us-east-1a")
    assert (spec.node_name, spec.context) == ("local-node", "embedded-local"), "components rely on these names"
    assert spec.to_json() == GOOD, "what is stored must parse again"


def test_region_and_zone_become_the_nodes_topology_labels() -> None:
    labels = parse_spec(json.dumps(GOOD)).topology_labels
    assert labels == {"topology.kubernetes.io/region": "us-east-1", "topology.kubernetes.io/zone": "us-east-1a"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "Local"}, "name = 'Local'; it must be a DNS label"),
        ({"name": "-a"}, "name = '-a'"),
        ({"name": ""}, "name = ''"),
        ({"name": "a.b"}, "name = 'a.b'"),
        ({"name": "a" * 59}, "1 to 58 characters"),
        ({"name": "a\n"}, "it must be a DNS label"),
        ({"region": ""}, "region = ''; it must be a label value"),
        ({"zone": "a/b"}, "zone = 'a/b'"),
        ({"zone": "z" * 64}, "1 to 63 characters"),
        ({"name": 7}, "name = 7; it must be a string"),
        ({"regoin": "x"}, "unknown key 'regoin'. Allowed: name, region, zone"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_its_value_and_what_is_allowed(change: dict[str, object], expected: str) -> None:
    with pytest.raises(EmbeddedError) as refusal:
        parse_spec(json.dumps(GOOD | change))
    assert expected in str(refusal.value)


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_a_missing_key_is_named(missing: str) -> None:
    with pytest.raises(EmbeddedError, match=f"no '{missing}'"):
        parse_spec(json.dumps({key: value for key, value in GOOD.items() if key != missing}))


@pytest.mark.parametrize("text", ["", "name: local", "[]", '"local"', "null"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(EmbeddedError, match="cluster spec"):
        parse_spec(text)
