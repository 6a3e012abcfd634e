"""Check and Diff as tables of fields, and that the tables have what the SDKs have."""

from __future__ import annotations

import pulumi_command as command
import pulumi_tls as tls
import pytest
from pulumi._types import input_type_py_to_pulumi_names

from toolchain.plugins import schema, tls_fields
from toolchain.plugins.command import Command
from toolchain.plugins.schema import ChangeKind, Field, Kind
from toolchain.plugins.values import UNKNOWN, Secret

pytestmark = pytest.mark.unit

FIELDS = {
    "name": Field(kind=Kind.STRING, required=True, replaces=True),
    "size": Field(kind=Kind.INTEGER, minimum=1),
    "mode": Field(kind=Kind.STRING, choices=("a", "b")),
    "key": Field(kind=Kind.STRING, secret=True, choices=("x",)),
    "tags": Field(kind=Kind.STRINGS, rule=lambda text: None if text.islower() else "must be lower case"),
    "nested": Field(kind=Kind.OBJECT, fields={"on": Field(kind=Kind.BOOLEAN, default=False)}),
    "old": Field(kind=Kind.STRING, refused="is gone"),
}


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "name is missing; it must be a string"),
        ({"name": 1}, "name must be a string, not 1"),
        ({"name": "n", "size": 0}, "size must be at least 1, not 0"),
        ({"name": "n", "size": True}, "size must be a whole number, not True"),
        ({"name": "n", "size": 1.5}, "size must be a whole number, not 1.5"),
        ({"name": "n", "mode": "c"}, "mode must be one of a, b, not 'c'"),
        ({"name": "n", "key": "hunter2"}, "key must be one of x"),
        ({"name": "n", "mode": Secret("hunter2")}, "mode must be one of a, b"),
        ({"name": "n", "tags": ["a", "B"]}, "tags[1] must be lower case, not 'B'"),
        ({"name": "n", "tags": "a"}, "tags must be a list of strings, not 'a'"),
        ({"name": "n", "nested": {"on": "yes"}}, "nested.on must be true or false, not 'yes'"),
        ({"name": "n", "nested": {"off": True}}, "nested.off is not an input; allowed are on"),
        ({"name": "n", "old": "x"}, "old is gone"),
    ],
)
def test_a_wrong_input_is_named_with_what_is_allowed(inputs: dict[str, object], sentence: str) -> None:
    assert [failure.sentence for failure in schema.failures(FIELDS, inputs)] == [sentence]


def test_unknown_values_null_and_bookkeeping_pass() -> None:
    inputs = {"name": UNKNOWN, "size": None, "tags": ["a", UNKNOWN], "nested": UNKNOWN, "key": Secret(UNKNOWN), "__defaults": []}
    assert list(schema.failures(FIELDS, inputs)) == []


def test_a_failure_knows_the_input_it_lies_in() -> None:
    (failure,) = schema.failures(FIELDS, {"name": "n", "nested": {"on": 1}})
    assert (failure.path, failure.name) == ("nested.on", "nested")


def test_changes_say_what_replaces() -> None:
    old = {"name": "n", "size": 1, "mode": "a", "key": Secret("x"), "__defaults": []}
    new = {"name": "m", "size": UNKNOWN, "key": "x", "tags": ["t"]}
    found = {change.path: (change.kind, change.replaces) for change in schema.changes(FIELDS, old=old, new=new)}
    assert found == {
        "name": (ChangeKind.UPDATE, True),
        "size": (ChangeKind.UPDATE, False),
        "mode": (ChangeKind.DELETE, False),
        "tags": (ChangeKind.ADD, False),
    }, "a value not known yet counts as changed; a secret equals the same value in the clear"


def test_defaults_and_secret_marks_are_filled_in() -> None:
    filled = schema.with_defaults(
        {"on": Field(kind=Kind.BOOLEAN, default=False), "key": Field(kind=Kind.STRING, secret=True)}, {"key": "x", "gone": None}
    )
    assert filled == {"on": False, "key": Secret("x")}


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (tls.PrivateKeyArgs, tls_fields.PRIVATE_KEY),
        (tls.CertRequestArgs, tls_fields.CERT_REQUEST),
        (tls.SelfSignedCertArgs, tls_fields.SELF_SIGNED_CERT),
        (tls.LocallySignedCertArgs, tls_fields.LOCALLY_SIGNED_CERT),
        (tls.SelfSignedCertSubjectArgs, tls_fields.NAMES["subject"].fields),
        (command.local.CommandArgs, Command.fields),
    ],
)
def test_the_tables_have_exactly_the_sdks_inputs(arguments: type, fields: dict[str, Field]) -> None:
    assert set(input_type_py_to_pulumi_names(arguments).values()) == set(fields), (
        "an input that is in neither table nor refusal would be refused as unknown"
    )
