"""What holds for all tests: one google.rpc.Status, unit tests that start no process, and a collector of garbage that looks less often."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest
from google.rpc import status_pb2

sys.modules.setdefault("pulumi.runtime.proto.status_pb2", status_pb2)
"""Pulumi's SDK and googleapis both bring google.rpc.Status, under two file names, and protobuf takes only one in a process.

Outside of the tests no process loads both: components are hosted by one, Envoy's messages are spoken by another.
"""

_execute_child = subprocess.Popen._execute_child


gc.set_threshold(20_000, 20, 50)


def pytest_collection_finish() -> None:
    """All that is imported by now stays: recording a program makes much garbage, which would have it looked through again and again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    subprocess.Popen._execute_child = _refuse if item.get_closest_marker("unit") else _execute_child


def _refuse(*_: object, **__: object) -> None:
    pytest.fail("this test starts a process, and is marked `unit`: its marker is `process`")
