"""What a caller may ask of an embedded cluster. Parsing is strict and happens before anything is made; it touches no file."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from embedded.errors import EmbeddedError

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
LONGEST_NAME = 58
"""A DNS label has 63 characters at most, and the node is named after its cluster with `-node` behind."""
LONGEST_LABEL_VALUE = 63


@dataclass(frozen=True, kw_only=True)
class ClusterSpec:
    """A cluster as its owner describes it: `name` also names its node; `region` and `zone` become the node's topology labels."""

    name: str
    region: str
    zone: str

    @property
    def node_name(self) -> str:
        return f"{self.name}-node"

    @property
    def context(self) -> str:
        """Name of the context in the kubeconfig."""
        return f"embedded-{self.name}"

    @property
    def topology_labels(self) -> dict[str, str]:
        """Labels of the node, by the well-known names of Kubernetes."""
        return {"topology.kubernetes.io/region": self.region, "topology.kubernetes.io/zone": self.zone}

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def parse_spec(text: str) -> ClusterSpec:
    """The spec in `text`, a JSON object with the keys name, region and zone. Raises EmbeddedError that names key, value and what is allowed."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise EmbeddedError(
            f'The cluster spec on standard input is not JSON ({error}). It has the form {{"name": "local", "region": "r", "zone": "z"}}.'
        ) from error
    return spec_from(document)


def spec_from(document: Any) -> ClusterSpec:
    """The spec in a decoded JSON document; same errors as parse_spec."""
    allowed = [field.name for field in fields(ClusterSpec)]
    if not isinstance(document, dict):
        raise EmbeddedError(f"The cluster spec is a {type(document).__name__}; it must be an object with the keys {', '.join(allowed)}.")
    for key in document:
        if key not in allowed:
            raise EmbeddedError(f"The cluster spec has the unknown key {key!r}. Allowed: {', '.join(allowed)}.")
    for key in allowed:
        if key not in document:
            raise EmbeddedError(f"The cluster spec has no {key!r}. Needed: {', '.join(allowed)}.")
        if not isinstance(document[key], str):
            raise EmbeddedError(f"The cluster spec has {key} = {json.dumps(document[key])}; it must be a string.")
    name = document["name"]
    if len(name) > LONGEST_NAME or not DNS_LABEL.fullmatch(name):
        raise EmbeddedError(
            f"The cluster spec has name = {name!r}; it must be a DNS label: lower-case letters, digits and inner '-', 1 to {LONGEST_NAME} characters."
        )
    for key in ("region", "zone"):
        value = document[key]
        if len(value) > LONGEST_LABEL_VALUE or not LABEL_VALUE.fullmatch(value):
            raise EmbeddedError(
                f"The cluster spec has {key} = {value!r}; it must be a label value: letters, digits and inner '-', '_' or '.', "
                f"1 to {LONGEST_LABEL_VALUE} characters."
            )
    return ClusterSpec(**document)
