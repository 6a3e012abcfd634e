"""Every field of every kind with wrong types and extremes, through a real API server to a real gloo with a real Envoy.

A value is refused by the API server, or the object's status says what is wrong with it, or it is a value that works. Whatever it is, a bystander is
not disturbed: its status, its cluster in Envoy and its answers stay, and its next change arrives.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from support_certs import Authority
from support_clusters import embedded_cluster, fetch, gloo, install_definitions, started, tls_secret, until
from support_envoy import backend, free_port, running_envoy
from support_schemas import Field, bad_values, example, fields, merged, schemas

from controlplane.gloo.kinds import GATEWAY, UPSTREAM, VIRTUAL_SERVICE, kind
from controlplane.kube.client import KubeClient
from controlplane.kube.errors import ApiError
from controlplane.kube.objects import Kind
from gloo_api.failover_scheme import FailoverScheme
from gloo_api.gloo_instance import GlooInstance
from gloo_api.kubernetes_cluster import KubernetesCluster
from gloo_api.route_table import RouteTable

pytestmark = pytest.mark.cluster

NAMESPACE, PROXY = "gloo-system", "127.96.254.9"
REPORTED = {"Upstream": UPSTREAM, "Gateway": GATEWAY, "VirtualService": VIRTUAL_SERVICE, "RouteTable": kind(RouteTable.KIND)}
"""Kinds whose status gloo writes."""
KINDS = REPORTED | {model.KIND.kind: kind(model.KIND) for model in (FailoverScheme, KubernetesCluster, GlooInstance)}
AT_A_TIME = 24
_TO_BYSTANDER = {"single": {"upstream": {"name": "bystander", "namespace": NAMESPACE}}}


@dataclass(frozen=True)
class Case:
    """One object with one odd value."""

    number: int
    kind: str
    field: Field
    what: str
    body: dict[str, Any]

    @property
    def name(self) -> str:
        return f"fuzz-{self.number:05}"

    def __str__(self) -> str:
        return f"{self.kind} {self.field.text}: {self.what}"


def core(kind: str, number: int) -> dict[str, Any]:
    """What makes an object of a kind one that is served, and not the next one's rival."""
    host = {"domains": [f"f{number}.example.com"], "routes": [{"matchers": [{"prefix": "/"}], "routeAction": _TO_BYSTANDER}]}
    return {
        "Upstream": {"static": {"hosts": [{"addr": "127.96.254.10", "port": 9}]}},
        "Gateway": {"bindAddress": PROXY, "bindPort": 20_000 + number % 20_000, "httpGateway": {}},
        "VirtualService": {"virtualHost": host},
    }.get(kind, {})


def cases() -> Iterator[Case]:
    """Every field of every kind with every value that may be wrong in it."""
    number = 0
    for name, schema in schemas().items():
        for field in fields(schema):
            for what, value in bad_values(field.schema):
                number += 1
                spec = merged(core(name, number), example(schema, force=field.path[1:]), path=field.path[1:])
                _put(spec, field.path[1:], value)
                yield Case(number=number, kind=name, field=field, what=what, body=spec)


def _put(obj: Any, path: tuple[str | int, ...], value: Any) -> None:
    for part in path[:-1]:
        obj = obj[part]
    obj[path[-1]] = copy.deepcopy(value)


async def submit(client: KubeClient, case: Case) -> str | None:
    """Create the object; the API server's reason when it refuses."""
    try:
        await client.create(KINDS[case.kind], {"metadata": {"namespace": NAMESPACE, "name": case.name}, "spec": case.body})
    except ApiError as error:
        if error.status >= 500:
            pytest.fail(f"{case}: the API server should refuse, and not break: {error}")
        return str(error)
    return None


async def submitted(client: KubeClient, all_cases: list[Case]) -> tuple[dict[str, Case], dict[str, str]]:
    """Submit all; the ones that were taken, by name, and the reasons of the others."""
    taken: dict[str, Case] = {}
    refused: dict[str, str] = {}
    queue = iter(all_cases)

    async def work() -> None:
        for case in queue:
            reason = await submit(client, case)
            if reason is None:
                taken[case.name] = case
            else:
                refused[case.name] = reason

    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    return taken, refused


async def statuses(client: KubeClient, kind: Kind) -> dict[str, dict[str, str]]:
    """gloo's status of every object of a kind that has one."""
    found = {}
    for item in (await client.list(kind, namespace=NAMESPACE)).items:
        status = ((item.get("status") or {}).get("statuses") or {}).get(NAMESPACE)
        if status:
            found[item["metadata"]["name"]] = status
    return found


async def bystander(client: KubeClient, port: int, listens: int) -> None:
    """An Upstream, a Gateway and a VirtualService that work."""
    objects = (
        (UPSTREAM, {"static": {"hosts": [{"addr": "127.0.0.1", "port": port}]}}),
        (GATEWAY, {"bindAddress": "::", "bindPort": listens, "httpGateway": {}}),
        (VIRTUAL_SERVICE, {"virtualHost": {"domains": ["bystander"], "routes": [{"matchers": [{"prefix": "/"}], "routeAction": _TO_BYSTANDER}]}}),
    )
    for each, spec in objects:
        await client.apply(each, {"metadata": {"namespace": NAMESPACE, "name": "bystander"}, "spec": spec}, manager="test", force=True)


async def answer(listens: int) -> str:
    try:
        async with httpx.AsyncClient(timeout=3) as http:
            return (await http.get(f"http://{PROXY}:{listens}/", headers={"host": "bystander"})).text
    except httpx.HTTPError as error:
        return type(error).__name__


async def updated(admin: int) -> str:
    """When Envoy last took another version of the bystander's cluster."""
    async with httpx.AsyncClient(timeout=10) as http:
        dump = (await http.get(f"http://127.0.0.1:{admin}/config_dump?resource=dynamic_active_clusters")).json()
    return next(each["last_updated"] for each in dump["configs"] if each["cluster"]["name"] == f"bystander_{NAMESPACE}")


async def test_odd_values_are_refused_or_reported_and_disturb_nobody(tmp_path: Path) -> None:
    began = time.monotonic()
    ca, xds, listens = Authority(), free_port(), 8080
    with embedded_cluster(tmp_path, "fuzz", "us-east-1") as cluster:
        client = cluster.client()
        await install_definitions(client, NAMESPACE, "default")
        await tls_secret(client, "x", ca=ca, identity="x.example.com")
        process = gloo(cluster, xds=f"127.0.0.1:{xds}", ca=ca, directory=tmp_path)
        async with (
            started(process),
            backend("first") as first,
            backend("second") as second,
            running_envoy(tmp_path, xds_port=xds, ca=ca, bind_address=PROXY) as envoy,
        ):
            await bystander(client, first, listens)

            async def serves() -> bool:
                return await answer(listens) == "first"

            async def has_status() -> bool:
                return all(["bystander" in await statuses(client, each) for each in (UPSTREAM, GATEWAY, VIRTUAL_SERVICE)])

            await until(serves, "the bystander serves")
            await until(has_status, "and has a status")
            before = [await fetch(client, each, NAMESPACE, "bystander") for each in (UPSTREAM, GATEWAY, VIRTUAL_SERVICE)]
            since = await updated(envoy.admin)

            all_cases = list(cases())
            taken, refused = await submitted(client, all_cases)
            for name in sorted(refused):
                case = all_cases[int(name.removeprefix("fuzz-")) - 1]
                assert "spec" in refused[name], f"{case}: the API server names the field: {refused[name]}"
            expected = {name for name, case in taken.items() if case.kind in REPORTED}
            said: dict[str, dict[str, str]] = {}

            async def reported() -> bool:
                for each in REPORTED.values():
                    said.update(await statuses(client, each))
                await asyncio.sleep(0.5)
                return expected <= said.keys()

            try:
                await until(reported, "every object has a status", seconds=60)
            except AssertionError:
                missing = sorted(expected - said.keys())
                pytest.fail(f"{len(missing)} of {len(expected)} objects have no status, such as {[str(taken[name]) for name in missing[:20]]}")
            silent = [str(case) for name, case in taken.items() if "wrong type" in case.what and name in said and not _speaks(said[name], case.field)]
            assert silent == [], f"a wrong type is refused, or the status names the field: {json.dumps(silent[:30], indent=1)}"

            after = [await fetch(client, each, NAMESPACE, "bystander") for each in (UPSTREAM, GATEWAY, VIRTUAL_SERVICE)]
            for old, new in zip(before, after, strict=True):
                assert new["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"], f"nobody wrote to the bystander: {new.get('status')}"
                assert new["status"]["statuses"][NAMESPACE]["state"] == "Accepted", "and it is as good as before"
            assert await updated(envoy.admin) == since, "Envoy's cluster of the bystander was not touched"
            assert await answer(listens) == "first", "it serves on"
            await bystander(client, second, listens)

            async def changed() -> bool:
                return await answer(listens) == "second"

            await until(changed, "its next change arrives, whatever else is refused", seconds=10)
            await process.end()
    print(f"{len(all_cases)} cases: {len(refused)} refused by the API server, {len(taken)} taken, {time.monotonic() - began:.0f} s")
    assert len(refused) > len(taken) > 100, "both sides were tried"


def _speaks(status: dict[str, str], field: Field) -> bool:
    return status["state"] in ("Rejected", "Warning") and field.text.partition("[")[0] in status.get("reason", "")
