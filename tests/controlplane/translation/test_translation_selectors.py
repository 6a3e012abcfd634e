"""RouteTables that are chosen by label: which ones, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from translation_support import (
    NAMESPACE,
    answer,
    delegating,
    paths,
    report_of,
    translation_of,
    virtual_service,
)

from gloo_api.route_table import RouteTable

pytestmark = pytest.mark.unit


def labelled(name: str, *routes: dict[str, Any], namespace: str = NAMESPACE, weight: int = 0, **labels: str) -> RouteTable:
    spec = {"routes": list(routes), "weight": weight}
    return RouteTable.parse({"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec})


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({"labels": {"team": "x"}}, ["/a/1"]),
        ({"labels": {"team": "x"}, "namespaces": ["*"]}, ["/a/1", "/a/3"]),
        ({"labels": {"team": "x"}, "namespaces": ["far"]}, ["/a/3"]),
        ({"expressions": [{"key": "team", "operator": "In", "values": ["x", "y"]}]}, ["/a/1", "/a/2"]),
        ({"expressions": [{"key": "team", "operator": "NotIn", "values": ["x"]}]}, ["/a/2"]),
        ({"expressions": [{"key": "tier", "operator": "GreaterThan", "values": ["1"]}]}, ["/a/2"]),
        ({"expressions": [{"key": "tier", "operator": "LessThan", "values": ["2"]}]}, ["/a/1"]),
        ({"expressions": [{"key": "tier", "operator": "Exists"}, {"key": "team", "values": ["y"]}]}, ["/a/2"]),
        ({"namespaces": ["far"]}, ["/a/3"]),
    ],
)
def test_a_selector_chooses_by_label_and_namespace(selector: dict[str, Any], chosen: list[str]) -> None:
    tables = (
        labelled("one", answer({"prefix": "/a/1"}), weight=1, team="x", tier="1"),
        labelled("two", answer({"prefix": "/a/2"}), weight=2, team="y", tier="2"),
        labelled("three", answer({"prefix": "/a/3"}), weight=3, namespace="far", team="x"),
    )
    assert paths(virtual_service(delegating(selector=selector)), *tables) == chosen, "these and no others"


def test_tables_come_by_weight_and_those_of_one_weight_by_path() -> None:
    first = labelled("z", answer({"prefix": "/a/z"}), weight=-1, team="x")
    short = labelled("b", answer({"prefix": "/a"}), answer({"exact": "/a/e"}), team="x")
    long = labelled("c", answer({"prefix": "/a/long"}), team="x")
    objects = virtual_service(delegating(selector={"labels": {"team": "x"}})), short, long, first
    assert paths(*objects) == ["/a/z", "/a/e", "/a/long", "/a"], "the smallest weight first; then what matches less before what matches more"
    reason = report_of(translation_of(*objects), "VirtualService", "default").reason
    assert "spec.virtualHost.routes[0].delegateAction.selector: chooses 2 RouteTables of weight 0" in reason, (
        "the user's order is not kept, and it is said"
    )
