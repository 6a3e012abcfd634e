"""Secrets in shown text."""

from __future__ import annotations

import pytest

from toolchain.plugins.masking import Masker

pytestmark = pytest.mark.unit


def test_a_secret_is_masked_wherever_it_stands() -> None:
    assert Masker(["hunter2"])("pw=hunter2, hunter2!") == "pw=[secret], [secret]!"


def test_each_line_of_a_long_secret_is_masked_by_itself() -> None:
    masked = Masker(["-----BEGIN KEY-----\n  MIIBXjCCAQSg\nab\n"])
    assert masked("MIIBXjCCAQSg") == "[secret]", "output is shown line by line"
    assert masked("ab is a word") == "ab is a word", "a short line would mask ordinary words"


def test_the_longest_secret_is_masked_first() -> None:
    assert Masker(["pass", "password"])("password") == "[secret]", "no part of it is left over"


def test_very_short_secrets_and_none_mask_nothing() -> None:
    assert Masker(["", "1", "yes"])("1 yes") == "1 yes"
