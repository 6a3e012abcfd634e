"""The alert rules: Prometheus takes them, each fires when it should and not otherwise, and each leads to what to do."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.alert_cases import CASES, Case, as_promtool
from tests.monitoring.prometheus_tools import promtool

CHECKOUT = Path(__file__).resolve().parents[2]
RULES = CHECKOUT / "service_failover" / "monitoring" / "alerts.yaml"
RUNBOOK = CHECKOUT / "docs" / "alerts.md"


def alerts() -> dict[str, dict[str, Any]]:
    """The rules by name."""
    return {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}


def written(cases: list[Case], file: Path) -> Path:
    """`cases` as a file for promtool."""
    rules = alerts()
    document = as_promtool(
        cases,
        rules=str(RULES),
        annotations={name: rule["annotations"] for name, rule in rules.items()},
        severities={name: rule["labels"]["severity"] for name, rule in rules.items()},
    )
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.mark.prometheus
def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", "--lint-fatal", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_each_alert_fires_when_it_should_and_not_otherwise(tmp_path: Path) -> None:
    done = promtool("test", "rules", str(written(CASES, tmp_path / "alerts.yaml")))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
@pytest.mark.parametrize("case", [case for case in CASES if case.fires][:2], ids=lambda case: case.alert)
def test_a_case_that_is_wrong_is_found(case: Case, tmp_path: Path) -> None:
    """promtool looks at all of it: without this, a table that it does not understand would pass."""
    for wrong in (case.expecting({}), case.expecting({"another summary": next(iter(case.fires.values()))})):
        done = promtool("test", "rules", str(written([wrong], tmp_path / "alerts.yaml")))
        assert done.returncode != 0
        assert case.alert in done.stdout + done.stderr, "and it says which"


@pytest.mark.unit
def test_there_is_a_case_for_and_one_against_each_alert() -> None:
    fires, quiet = ({case.alert for case in CASES if bool(case.fires) is firing} for firing in (True, False))
    assert fires == quiet == alerts().keys()
    assert max(Counter((case.alert, case.name) for case in CASES).values()) == 1, "a failure names its case"


@pytest.mark.unit
def test_each_alert_says_what_is_wrong_how_bad_it_is_and_where_to_read_on() -> None:
    sections = re.findall(r"^### (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert sections == list(alerts()), "the runbook has a section for each, in the same order"
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"warning", "critical"}, name
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, name
        assert "{{" not in rule["annotations"]["description"], f"{name}: what differs is in the summary"
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{name.lower()}"


@pytest.mark.unit
def test_each_section_of_the_runbook_says_what_it_means_and_what_to_run() -> None:
    parts = re.split(r"^### (\w+)$", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        section = text.partition("\n## ")[0]
        assert "**Do:**" in section, name
        assert "```console" in section or "`make " in section, f"{name}: a command to run"
