"""Property values on and off the wire."""

from __future__ import annotations

import pytest
from pulumi.runtime import rpc

from toolchain.plugins import values
from toolchain.plugins.values import UNKNOWN, UNKNOWN_STRINGS, Secret

pytestmark = pytest.mark.unit


def test_every_kind_of_value_survives_the_wire() -> None:
    properties = {"s": "text", "i": 3, "f": 1.5, "b": True, "n": None, "l": [1, {"x": [False]}], "secret": Secret({"deep": ["x"]}), "later": UNKNOWN}
    assert values.read(values.write(properties)) == properties


def test_the_constants_are_the_sdks() -> None:
    assert rpc._special_sig_key == values.SIGNATURE_KEY
    assert rpc._special_secret_sig == values.SECRET_SIGNATURE
    assert UNKNOWN_STRINGS[0] == rpc.UNKNOWN


@pytest.mark.parametrize("text", UNKNOWN_STRINGS)
def test_a_value_of_any_type_that_is_not_known_is_unknown(text: str) -> None:
    assert values.read(values.write({"a": text}))["a"] is UNKNOWN


def test_assets_pass_through_unread() -> None:
    asset = {values.SIGNATURE_KEY: rpc._special_asset_sig, "text": "x"}
    assert values.read(values.write({"a": asset})) == {"a": asset}


def test_marks_are_found_at_any_depth() -> None:
    value = {"a": [{"b": Secret(["x", {"c": "y"}])}], "d": "z"}
    assert values.contains_secret(value)
    assert not values.contains_secret(values.plain(value)), "plain takes every mark off"
    assert set(values.secret_texts(value)) == {"x", "y"}, "only what lies within a secret"
    assert values.contains_unknown(Secret([UNKNOWN]))


def test_a_secret_does_not_show_in_tracebacks() -> None:
    assert "hunter2" not in repr(Secret("hunter2"))


def test_what_pulumi_has_no_type_for_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        values.write({"a": {1, 2}})
