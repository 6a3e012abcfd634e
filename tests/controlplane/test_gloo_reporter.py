"""Statuses: one write for each change, again for an object that was made anew, never for one that says so already."""

from __future__ import annotations

from typing import Any

import pytest
from support_api import ApiDouble, api_double, eventually, running

from controlplane import metrics
from controlplane.gloo.kinds import ROUTE_TABLE, UPSTREAM
from controlplane.gloo.reporter import Reporter
from controlplane.kube.objects import uid_of
from controlplane.kube.view import ClusterView
from controlplane.translation.types import ObjectRef, Report
from gloo_api.meta import Problem

pytestmark = pytest.mark.loopback

BLUE, TABLE = ObjectRef("Upstream", "gloo-system", "blue"), ObjectRef("RouteTable", "gloo-system", "table")
WARNED = Report(warnings=(Problem("spec", "is odd"),))


def uid(obj: Any) -> str:
    return uid_of(obj) if obj else ""


def states(api: ApiDouble, kind: Any, name: str) -> str | None:
    obj = api.get(kind, "gloo-system", name) or {}
    return obj.get("status", {}).get("statuses", {}).get("gloo-system", {}).get("state")


def writes(api: ApiDouble) -> int:
    return sum(method != "GET" for method, _ in api.requests)


class Reporting:
    """A reporter with its view, on an API double."""

    def __init__(self, api: ApiDouble) -> None:
        self._client = api.client()
        self.view = ClusterView(self._client, on_change=lambda kind, key: None)
        for kind in (UPSTREAM, ROUTE_TABLE):
            self.view.watch(kind, status=False, packed=True)
        self.reporter = Reporter(view=self.view, writer=self._client, namespace="gloo-system")


async def test_each_change_is_written_once():
    async with api_double() as api:
        await api.put(UPSTREAM, "gloo-system", "blue", spec={})
        await api.put(ROUTE_TABLE, "gloo-system", "table", spec={})
        it = Reporting(api)
        async with running(it.view.run()):
            await it.view.synced()
            async with running(it.reporter.run()):
                it.reporter.report({BLUE: Report(), TABLE: WARNED})
                await eventually(lambda: states(api, UPSTREAM, "blue") == "Accepted", "it is written")
                await eventually(lambda: states(api, ROUTE_TABLE, "table") == "Warning", "of every kind")
                it.reporter.report({BLUE: Report()})
                it.reporter.report({TABLE: Report()})
                await eventually(lambda: states(api, ROUTE_TABLE, "table") == "Accepted", "a change is written")
                assert writes(api) == 3, "what was said already is not written again"


async def test_an_object_that_was_made_anew_gets_its_status_again():
    async with api_double() as api:
        await api.put(UPSTREAM, "gloo-system", "blue", spec={})
        it = Reporting(api)
        async with running(it.view.run()):
            await it.view.synced()
            async with running(it.reporter.run()):
                it.reporter.report({BLUE: Report()})
                await eventually(lambda: states(api, UPSTREAM, "blue"), "it is written")
                first = uid(api.get(UPSTREAM, "gloo-system", "blue"))
                await api.remove(UPSTREAM, "gloo-system", "blue")
                await api.put(UPSTREAM, "gloo-system", "blue", spec={})
                await eventually(lambda: uid(it.view.get(UPSTREAM, ("gloo-system", "blue"))) not in ("", first), "the new one is seen")
                it.reporter.report({BLUE: Report()})
                await eventually(lambda: states(api, UPSTREAM, "blue") == "Accepted", "though the report is the one before")


async def test_objects_are_counted_by_state():
    async with api_double() as api:
        reporter = Reporting(api).reporter

        def counted(state: str) -> float:
            return metrics.REGISTRY.get_sample_value("service_failover_objects", {"kind": "Upstream", "state": state}) or 0.0

        accepted, warned = counted("Accepted"), counted("Warning")
        reporter.report({BLUE: Report()})
        assert counted("Accepted") == accepted + 1
        reporter.report({BLUE: WARNED})
        assert (counted("Accepted"), counted("Warning")) == (accepted, warned + 1), "an object is counted once"
        reporter.report({BLUE: None})
        assert (counted("Accepted"), counted("Warning")) == (accepted, warned), "one that is gone is not"
