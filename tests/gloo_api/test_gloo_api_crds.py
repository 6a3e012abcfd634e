"""The CRDs follow Kubernetes' structural rules and agree with the models that they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from gloo_api.crds import custom_resource_definitions, shared_definitions

pytestmark = pytest.mark.unit

DEFINITIONS = {definition["spec"]["names"]["kind"]: definition for definition in shared_definitions()}


def root(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = DEFINITIONS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}.*")


def at(kind: str, path: str) -> dict[str, Any]:
    return dict(nodes(root(kind)))[path]


def test_every_kind_of_the_guide_has_a_definition_in_its_group() -> None:
    assert [definition["metadata"]["name"] for definition in shared_definitions()] == [
        "upstreams.gloo.solo.io",
        "gateways.gateway.solo.io",
        "virtualservices.gateway.solo.io",
        "routetables.gateway.solo.io",
        "failoverschemes.fed.solo.io",
        "kubernetesclusters.multicluster.solo.io",
        "glooinstances.fed.solo.io",
    ], "Gloo's own names, so that its users' manifests work"


@pytest.mark.parametrize(("kind", "short"), [("Upstream", "us"), ("Gateway", "gw"), ("VirtualService", "vs"), ("RouteTable", "rt")])
def test_short_names_are_gloos(kind: str, short: str) -> None:
    assert DEFINITIONS[kind]["spec"]["names"]["shortNames"] == [short], "what users type"


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_schemas_are_structural(kind: str) -> None:
    allowed = {"string", "integer", "number", "boolean", "array", "object"}
    for path, node in nodes(root(kind)):
        assert node.get("type") in allowed, f"{kind}{path}: every node has one type"
        assert not {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "const", "title", "nullable"} & node.keys(), f"{kind}{path}: structural rules"
        assert ("items" in node) == (node["type"] == "array"), f"{kind}{path}: an array says of what"
        assert not ("properties" in node and "additionalProperties" in node), f"{kind}{path}: one or the other"
        assert node.get("properties") != {}, f"{kind}{path}: the API server drops an empty one, and every plan would show a change"
        assert set(node.get("required", ())) <= node.get("properties", {}).keys(), f"{kind}{path}: what is required exists"
        if "pattern" in node:
            re.compile(node["pattern"])


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_nothing_is_pruned(kind: str) -> None:
    for path, node in nodes(root(kind)):
        if node["type"] == "object" and path != ".metadata":
            assert node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node, f"{kind}{path}: fields of others are kept"


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_every_field_is_described_and_no_default_is_filled_in(kind: str) -> None:
    for path, node in nodes(root(kind)):
        assert "default" not in node, f"{kind}{path}: a default would look like somebody's value to server-side apply"
        if path.startswith((".spec.", ".status.")) and not path.endswith((".*", "[]")):
            assert node.get("description"), f"{kind}{path}: kubectl explain shows it"


@pytest.mark.parametrize("kind", ["Upstream", "Gateway", "VirtualService"])
def test_optional_settings_say_their_default(kind: str) -> None:
    plain = {"name", "namespace", "displayName", "region", "zone", "subZone", "value"}
    for path, node in nodes(root(kind)):
        for name, child in node.get("properties", {}).items():
            if path.startswith(".spec") and name not in {*node.get("required", ()), *plain} and child["type"] not in ("object", "array"):
                assert "Default:" in child["description"], f"{kind}{path}.{name}: nobody should have to try it out"


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_status_is_a_subresource_and_age_and_state_are_shown(kind: str) -> None:
    version = DEFINITIONS[kind]["spec"]["versions"][0]
    assert version["subresources"] == {"status": {}}, "writing a status never touches the spec"
    columns = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}
    assert "Age" in columns, "custom columns replace the default ones"
    if kind != "GlooInstance":
        assert "State" in columns, "the first thing one wants to know"


def test_the_primary_of_a_scheme_is_shown() -> None:
    columns = {column["name"]: column["jsonPath"] for column in DEFINITIONS["FailoverScheme"]["spec"]["versions"][0]["additionalPrinterColumns"]}
    assert columns["Primary"] == ".spec.primary.name", "which Upstream it is about"


def test_who_serves_is_shown() -> None:
    for kind, path in (("Upstream", ".status.failover.serving"), ("FailoverScheme", ".status.serving")):
        columns = {column["name"]: column for column in DEFINITIONS[kind]["spec"]["versions"][0]["additionalPrinterColumns"]}
        assert columns["Serving"]["jsonPath"].startswith(path), "the first question when something fails"
        assert (columns["Since"]["jsonPath"], columns["Since"]["type"]) == (f"{path}.since", "date"), "as an age"
        assert columns["Standby Proven"]["jsonPath"].endswith(".standbyProven"), "and the first question before that"
        for column in ("Serving", "Since", "Standby Proven"):
            assert at(kind, columns[column]["jsonPath"])["description"], "the field is there"


def test_bad_values_are_refused_by_the_api_server_already() -> None:
    check = ".spec.healthChecks[]"
    assert at("Upstream", f"{check}.interval")["pattern"] == r"^[0-9]+(\.[0-9]{1,9})?s$", "seconds, not below zero"
    assert at("Upstream", f"{check}.unhealthyThreshold")["minimum"] == 1, "zero would never trip"
    assert at("Upstream", check)["required"] == ["timeout", "interval", "unhealthyThreshold", "healthyThreshold"], "as Gloo requires"
    frequency = ".spec.virtualHost.routes[].options.retries.previousPriorities.updateFrequency"
    assert at("VirtualService", frequency)["minimum"] == 1, "zero would abort Envoy"
    assert at("FailoverScheme", ".spec.failoverGroups[].priorityGroup[]")["required"] == ["cluster", "upstreams"], "as the guide writes it"
    assert at("Upstream", ".status.statuses.*.state")["enum"] == ["Pending", "Accepted", "Rejected", "Warning"], "enums are text"


def test_the_definitions_are_the_same_every_time() -> None:
    assert custom_resource_definitions() == custom_resource_definitions(), "a plan without changes must stay empty"
