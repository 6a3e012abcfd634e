"""The schema is a contract: the checked-in file is what the components say, and a change that breaks programs is told from one that does not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service_failover import reference, schema
from service_failover.names import PROJECT

pytestmark = pytest.mark.unit

CHECKOUT = Path(__file__).resolve().parents[2]
FILE = CHECKOUT / "plugin" / "schema.json"
REFERENCE = CHECKOUT / "docs" / "components.md"
Edit = Callable[[dict[str, Any]], object]
ROUTE, USE = f"{PROJECT}:index:Route", f"{PROJECT}:index:CertificateUse"


@pytest.fixture(scope="module")
def current() -> dict[str, Any]:
    return schema.schema()


def test_the_checked_in_schema_is_that_of_the_components(current: dict[str, Any]) -> None:
    found = schema.changes(json.loads(FILE.read_text()), current)
    assert FILE.read_text() == schema.document(), (
        f"{found or 'only descriptions are different'}\n"
        "If this is meant, and CHANGELOG.md tells users of what breaks: python -m service_failover.schema > plugin/schema.json"
    )


def test_the_reference_is_current() -> None:
    assert REFERENCE.read_text() == reference.document(), "write it again: python -m service_failover.reference > docs/components.md"


def test_everything_is_described(current: dict[str, Any]) -> None:
    places = [
        (f"{token}.{name}", each)
        for token, resource in (current["resources"] | current["types"]).items()
        for key in ("inputProperties", "properties")
        for name, each in resource.get(key, {}).items()
    ]
    assert [place for place, each in places if not each.get("description", "").strip()] == [], "a user reads no source"
    missing = [
        f"{token}.{name}"
        for token, resource in current["resources"].items()
        for name, each in resource.get("inputProperties", {}).items()
        if name not in resource.get("requiredInputs", ()) and name != "labels" and "Default: " not in each["description"]
    ]
    assert missing == [], "whoever may leave an input out has to know what happens then"


def edited(current: dict[str, Any], edit: Edit) -> dict[str, Any]:
    other = copy.deepcopy(current)
    edit(other)
    return other


BREAKING: dict[str, tuple[Edit, str]] = {
    "a component": (lambda new: new["resources"].pop(ROUTE), f"{ROUTE} is gone"),
    "an input": (lambda new: new["resources"][ROUTE]["inputProperties"].pop("prefix"), f"{ROUTE}.prefix is gone"),
    "a type": (
        lambda new: new["resources"][ROUTE]["inputProperties"]["prefix"].update(type="integer"),
        f"{ROUTE}.prefix was {{type: string}} and is {{type: integer}}",
    ),
    "an input that is plain now": (
        lambda new: new["resources"][ROUTE]["inputProperties"]["prefix"].update(plain=True),
        f"{ROUTE}.prefix was {{type: string}} and is {{plain: true, type: string}}",
    ),
    "a required input": (
        lambda new: (
            new["resources"][ROUTE]["inputProperties"].update(host={"type": "string"}),
            new["resources"][ROUTE]["requiredInputs"].append("host"),
        ),
        f"{ROUTE}.host is new and required",
    ),
    "an input that was optional": (lambda new: new["resources"][ROUTE]["requiredInputs"].append("labels"), f"{ROUTE}.labels is required"),
    "a choice": (lambda new: new["types"][USE]["enum"].pop(0), f"{USE}: server is gone"),
    "an output": (
        lambda new: new["resources"][f"{PROJECT}:index:Gloo"]["properties"].pop("proxyPort"),
        f"{PROJECT}:index:Gloo.proxyPort is gone",
    ),
    "an output that may be absent": (
        lambda new: new["resources"][f"{PROJECT}:index:Gloo"]["required"].remove("proxyPort"),
        f"{PROJECT}:index:Gloo.proxyPort is no longer required",
    ),
}


@pytest.mark.parametrize("case", BREAKING)
def test_what_breaks_programs_is_told(current: dict[str, Any], case: str) -> None:
    edit, told = BREAKING[case]
    found = schema.changes(current, edited(current, edit))
    assert told in found.breaking
    assert f"BREAKING  {told}" in str(found), "in the message of the failing test"


ADDITIONS: dict[str, tuple[Edit, str]] = {
    "a component": (lambda new: new["resources"].update({"x:index:New": {}}), "x:index:New is new"),
    "an optional input": (
        lambda new: new["resources"][ROUTE]["inputProperties"].update(host={"type": "string"}),
        f"{ROUTE}.host is new",
    ),
    "an input that may be left out now": (
        lambda new: new["resources"][ROUTE]["requiredInputs"].remove("upstream"),
        f"{ROUTE}.upstream is no longer required",
    ),
    "an output": (
        lambda new: (
            new["resources"][f"{PROJECT}:index:Gloo"]["properties"].update(more={"type": "string"}),
            new["resources"][f"{PROJECT}:index:Gloo"]["required"].append("more"),
        ),
        f"{PROJECT}:index:Gloo.more is new",
    ),
    "a choice": (lambda new: new["types"][USE]["enum"].append({"value": "both"}), f"{USE}: both is new"),
}


@pytest.mark.parametrize("case", ADDITIONS)
def test_what_is_only_new_breaks_nothing(current: dict[str, Any], case: str) -> None:
    edit, told = ADDITIONS[case]
    found = schema.changes(current, edited(current, edit))
    assert (found.breaking, found.additions) == ((), (told,))


def test_a_description_is_no_change(current: dict[str, Any]) -> None:
    other = edited(current, lambda new: new["resources"][ROUTE]["inputProperties"]["prefix"].update(description="other words"))
    assert not str(schema.changes(current, other))
