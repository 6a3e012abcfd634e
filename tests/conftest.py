"""What holds for all tests: one google.rpc.Status, unit tests that start no process, and a run that spends its time on tests.

That is, files without a test that was asked for are not imported, workers get whole files, and the collector of garbage looks less often.
"""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from google.rpc import status_pb2

sys.modules.setdefault("pulumi.runtime.proto.status_pb2", status_pb2)
"""Pulumi's SDK and googleapis both bring google.rpc.Status, under two file names, and protobuf takes only one in a process.

Outside of the tests no process loads both: components are hosted by one, Envoy's messages are spoken by another.
"""

_execute_child = subprocess.Popen._execute_child


gc.set_threshold(200_000, 20, 50)


@cache
def _asked_for(expression: str) -> re.Pattern[str] | None:
    """What the source of a test has in it if `-m expression` can select it; None where that cannot be told, as with `not`."""
    if not re.fullmatch(r"\w+( or \w+)*", expression):
        return None
    return re.compile(rf"\bmark\.({'|'.join(expression.split(' or '))})\b")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of the unit tests' time a tenth would go into importing the files of all the other tiers."""
    asked_for = _asked_for(config.option.markexpr)
    if asked_for is None or not re.fullmatch(r"test_\w+\.py", collection_path.name):
        return None
    return True if asked_for.search(collection_path.read_text(encoding="utf-8")) is None else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers take whole files with `--dist loadgroup`. After each test xdist counts what is left, group by group: a group a test costs seconds."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_finish() -> None:
    """All that is imported by now stays: recording a program makes much garbage, which would have it looked through again and again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    subprocess.Popen._execute_child = _refuse if item.get_closest_marker("unit") else _execute_child


def _refuse(*_: object, **__: object) -> None:
    pytest.fail("this test starts a process, and is marked `unit`: its marker is `process`")
