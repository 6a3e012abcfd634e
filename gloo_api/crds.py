"""The CustomResourceDefinitions, generated from the models.

The schemas are structural: no references, types at every level, nothing pruned. Defaults stand in the descriptions and not in the schema: a default
that the API server filled in would look like a value that someone owns, and server-side apply would carry it around.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from gloo_api.failover_scheme import FailoverScheme
from gloo_api.gateway import Gateway
from gloo_api.gloo_instance import GlooInstance
from gloo_api.kubernetes_cluster import KubernetesCluster
from gloo_api.meta import Resource
from gloo_api.route_table import RouteTable
from gloo_api.upstream import Upstream
from gloo_api.virtual_service import VirtualService

Schema = dict[str, Any]

_COPIED = (
    "description", "type", "format", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "required",
)  # fmt: skip
_EDGE_STATE = {
    "name": "State",
    "type": "string",
    "description": "State by every control plane that reads it.",
    "jsonPath": ".status.statuses.*.state",
}
_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def _column(name: str, path: str, type_: str = "string") -> Schema:
    return {"name": name, "type": type_, "jsonPath": path}


_COLUMNS: dict[type[Resource], list[Schema]] = {
    Upstream: [
        _EDGE_STATE, _column("Serving", ".status.failover.serving.priority", "integer"), _column("Since", ".status.failover.serving.since", "date"),
        _column("Standby Proven", ".status.failover.standbyProven", "boolean"), _AGE,
    ],
    Gateway: [_EDGE_STATE, _column("Port", ".spec.bindPort", "integer"), _AGE],
    VirtualService: [_EDGE_STATE, _column("Domains", ".spec.virtualHost.domains"), _AGE],
    RouteTable: [_EDGE_STATE, _AGE],
    FailoverScheme: [
        _column("State", ".status.state"), _column("Primary", ".spec.primary.name"), _column("Serving", ".status.serving.name"),
        _column("Since", ".status.serving.since", "date"), _column("Standby Proven", ".status.standbyProven", "boolean"), _AGE,
    ],
    KubernetesCluster: [_column("State", ".status.status[*].state"), _AGE],
    GlooInstance: [_column("Cluster", ".spec.cluster"), _column("Region", ".spec.region"), _AGE],
}  # fmt: skip


def custom_resource_definitions() -> list[Schema]:
    """One manifest for each kind, in a fixed order, ready to be applied."""
    return [_definition(model, columns) for model, columns in _COLUMNS.items()]


@cache
def shared_definitions() -> list[Schema]:
    """The same, generated once in a process (a fifth of a second); to be read only."""
    return custom_resource_definitions()


def _definition(model: type[Resource], columns: list[Schema]) -> Schema:
    kind = model.KIND
    names: Schema = {"kind": kind.kind, "listKind": f"{kind.kind}List", "plural": kind.plural, "singular": kind.kind.lower()}
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    version = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(model)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name, "labels": {"app.kubernetes.io/part-of": "service-failover"}},
        "spec": {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _root(model: type[Resource]) -> Schema:
    schema = model.model_json_schema(by_alias=True, schema_generator=GenerateJsonSchema)
    root = _structural(schema, schema.get("$defs", {}))
    properties = root["properties"]
    # What Kubernetes itself describes is named by type alone: it is validated before the schema is.
    root["properties"] = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}} | {
        name: properties[name] for name in ("spec", "status")
    }
    return root


def _structural(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """One JSON schema node as a structural one. A description beside a reference or an optional wins over that of what it names."""
    if "$ref" in node:
        return _structural(definitions[node["$ref"].removeprefix("#/$defs/")] | _described(node), definitions)
    if "anyOf" in node:
        (only,) = (option for option in node["anyOf"] if option.get("type") != "null")
        return _structural(only | _described(node), definitions)
    result = {key: node[key] for key in _COPIED if key in node}
    if result["type"] == "object":
        if "properties" in node or node.get("additionalProperties") in (True, False):
            result["x-kubernetes-preserve-unknown-fields"] = True
        if node.get("properties"):  # an empty one would be dropped by the API server, and seem changed ever after
            result["properties"] = {name: _structural(child, definitions) for name, child in node["properties"].items()}
        elif isinstance(node.get("additionalProperties"), dict):
            result["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    if result["type"] == "array":
        result["items"] = _structural(node["items"], definitions)
    return result


def _described(node: Schema) -> Schema:
    return {"description": node["description"]} if "description" in node else {}
