"""docs/api.md is current, complete and true."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from gloo_api import support
from gloo_api.crds import shared_definitions
from gloo_api.gateway import Gateway
from gloo_api.gloo_instance import GlooInstance
from gloo_api.meta import InvalidResource, Resource
from gloo_api.unsupported import DIFFERENT, OURS, UNSUPPORTED
from gloo_api.upstream import Upstream
from gloo_api.virtual_service import VirtualService

pytestmark = pytest.mark.unit

FILE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
KINDS = [definition["spec"]["names"]["kind"] for definition in shared_definitions()]
MODELS: dict[str, type[Resource]] = {model.KIND.kind: model for model in (Upstream, Gateway, VirtualService, GlooInstance)}


def test_the_file_is_current() -> None:
    assert FILE.read_text() == support.document(), "write it again: python -m gloo_api.support > docs/api.md"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_model_is_in_the_table_once(kind: str) -> None:
    listed = [row.path for row in support.rows(kind)]
    assert len(listed) == len(set(listed)), "one line for each field"
    left_out = [path for path in support.fields(kind) if path not in listed]
    prefix, _ = support.SHARED.get(kind, ("-", ""))
    assert all(path.startswith(f"{prefix}.") for path in left_out), f"nobody can look up what is not there: {left_out}"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_called_supported_is_in_the_models(kind: str) -> None:
    known = support.fields(kind).keys() | {f"{support.ROUTES}.*"}
    assert [row.path for row in support.rows(kind) if row.support != "no" and row.path not in known] == [], "a promise without a field"
    assert [path for path in UNSUPPORTED.get(kind, {}) if path in known] == [], "it is supported by now: take it out of the list"
    assert [path for path in DIFFERENT.get(kind, {}) if path not in known] == [], "a difference of a field that is not there"
    assert all(any(path.startswith(own) for path in known) for own in OURS.get(kind, ())), "an own field that is not there"


@pytest.mark.parametrize("kind", KINDS)
def test_every_supported_field_says_what_it_does(kind: str) -> None:
    silent = [row.path for row in support.rows(kind) if row.support != "no" and not row.note and not row.path.startswith("status.")]
    assert silent == [], "a table of names helps nobody"


ROUTE = {
    "matchers": [{"prefix": "/", "headers": [{"name": "x"}]}],
    "routeAction": {"single": {"upstream": {"name": "a"}}},
    "options": {
        "regexRewrite": {"pattern": {"regex": "a", "googleRe2": {}}},
        "headerManipulation": {"requestHeadersToAdd": [{"header": {"key": "x", "value": "1"}}]},
    },
}
MANIPULATION = {"requestHeadersToAdd": [{"header": {"key": "x", "value": "1"}}]}
SHARES = {"destinations": [{"destination": {"upstream": {"name": "a"}}, "weight": 1, "options": {"headerManipulation": MANIPULATION}}]}
CHECK = {"timeout": "1s", "interval": "1s", "unhealthyThreshold": 1, "healthyThreshold": 1}
HEADERS = [{"header": {"key": "x", "value": "1"}}]
LB_ENDPOINT = {"address": "a", "port": 1, "upstreamSslConfig": {"secretRef": {"name": "s"}}}
BIND = {"bindAddress": "::", "bindPort": 1, "options": {}}
TCP_OPTIONS: dict[str, Any] = {"tcpProxySettings": {}}


def tcp(destination: dict[str, Any]) -> dict[str, Any]:
    hosts = [{"name": "a", "sslConfig": {"secretRef": {"name": "s"}}, "destination": destination}]
    return {**BIND, "tcpGateway": {"tcpHosts": hosts, "options": TCP_OPTIONS}}


SPECS: dict[str, list[dict[str, Any]]] = {
    "Upstream": [
        {
            "kube": {"serviceName": "a", "serviceNamespace": "b", "servicePort": 1},
            "healthChecks": [{**CHECK, "httpHealthCheck": {"path": "/", "requestHeadersToAdd": HEADERS}}],
            "sslConfig": {"secretRef": {"name": "s"}},
            "loadBalancerConfig": {},
            "failover": {"prioritizedLocalities": [{"localityEndpoints": [{"lbEndpoints": [LB_ENDPOINT]}]}]},
        },
        {"static": {"hosts": [{"addr": "10.0.0.1", "port": 1}]}, "healthChecks": [{**CHECK, "grpcHealthCheck": {"initialMetadata": HEADERS}}]},
    ],
    "Gateway": [
        {**BIND, "httpGateway": {"options": {}}},
        tcp({"single": {"upstream": {"name": "a"}}}),
        tcp({"multi": SHARES}),
    ],
    "VirtualService": [
        {"virtualHost": {"routes": [ROUTE], "options": {"headerManipulation": MANIPULATION}}, "sslConfig": {"secretRef": {"name": "s"}}},
        {"virtualHost": {"routes": [{**ROUTE, "routeAction": {"multi": SHARES}}]}},
    ],
    "GlooInstance": [{"cluster": "a", "proxies": [{"name": "a", "namespace": "b"}], "admin": {}}],
}


def with_field(kind: str, path: str) -> tuple[dict[str, Any], str]:
    """An object of a kind with a field that is not in the models, and the field's path in it."""
    for spec in SPECS[kind]:
        found: Any = {"metadata": {"name": "a", "namespace": "b"}, "spec": copy.deepcopy(spec)}
        top = found
        *parents, name = path.split(".")
        for part in parents:
            found = found.get(part.removesuffix("[]")) if isinstance(found, dict) else None
            found = found[0] if found is not None and part.endswith("[]") else found
        if isinstance(found, dict):
            found[name] = {}
            return top, path.replace("[]", "[0]")
    raise AssertionError(f"{kind}: none of the objects of this test has a place for {path}")


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind, notes in UNSUPPORTED.items() for path in notes])
def test_a_field_that_is_not_supported_is_refused_or_reported_as_the_table_says(kind: str, path: str) -> None:
    given, where = with_field(kind, path)
    if UNSUPPORTED[kind][path].startswith("Refused"):
        with pytest.raises(InvalidResource) as refused:
            MODELS[kind].parse(given)
        assert [problem.path for problem in refused.value.problems] == [where], "the field, and nothing else, is the reason"
        return
    assert MODELS[kind].parse(given).unknown_spec_fields() == (where,), "it is kept, and named in the status"
