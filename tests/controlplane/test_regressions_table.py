"""docs/robustness.md names a test for each known issue: those tests exist, under the names that are written there, and no issue is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENT = (CHECKOUT / "docs/robustness.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT)))
ISSUES = """
    10651 9899 4151 3673 3710 2356 5449 7414 10203 3638 4642 5677 10266 10457 8720 7258 7260 7309 5840 7091 4134 7814 7024 5156 5130 7071 6315 4123
    6374 6337 7996 8215 2489 6127 envoy#22417 envoy#23445 envoy#35243 envoy#8295 envoy#14735 envoy#13070 envoy#47302
"""


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_table_names_exists(path: str, name: str):
    assert name in functions_of(CHECKOUT / path), f"{path} has no {name}: it was renamed or removed, so change the table in docs/robustness.md too"


@pytest.mark.parametrize("issue", ISSUES.split())
def test_every_known_issue_has_a_row_with_a_test_or_a_reason(issue: str):
    rows = [line for line in DOCUMENT.splitlines() if line.startswith("| ") and issue in re.split(r"[ ,|]+", line.split("|")[1])]
    assert len(rows) == 1, "one row"
    answer = rows[0].split("|")[3]
    assert "::" in answer or "not ours" in answer, "which says what tests it, or why its cause cannot be ours"


def test_a_regression_test_that_is_named_after_an_issue_is_in_the_table():
    listed = {name for _, name in NAMED}
    for path in (CHECKOUT / "tests").rglob("test_regressions_*.py"):
        for name in functions_of(path):
            if match := re.match(r"test_gloo_(\d+)", name):
                assert name in listed or f"test_gloo_{match[1]}" in " ".join(listed), f"{path.name}: {name} is not in docs/robustness.md"
