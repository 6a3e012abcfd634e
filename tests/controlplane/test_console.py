"""The console over HTTP: what a browser gets, from whom, and that gloo-fed does not depend on it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx2 as httpx
import pytest
from console_support import Served, cluster, instance, member, scheme, served
from console_support import World as Shown
from support_api import eventually
from support_fed import World, make_world, ready  # noqa: F401 - make_world is a fixture

from controlplane.fed.console import state
from controlplane.fed.kinds import FAILOVER_SCHEME
from controlplane.kube.informer import Lost

pytestmark = pytest.mark.loopback


@pytest.fixture
def console() -> Iterator[Served]:
    shown = Shown()
    shown.have(cluster("local"), cluster("remote"), instance("local"), instance("remote"), scheme())
    with served(shown) as console:
        yield console


def test_the_page_and_all_that_it_needs_are_served_here(console: Served):
    page = console.get("/").text
    for path in ("/console.css", "/console.js", "/icon.svg"):
        assert f'"{path}"' in page, "the page asks for it"
        assert console.get(path).status_code == 200
    assert "/rows.js" not in page, "which only the script imports"
    everything = "".join(console.get(path).text for path in ("/", "/console.css", "/console.js", "/rows.js", "/icon.svg"))
    assert "https://" not in everything, "nothing comes from elsewhere"
    assert "innerHTML" not in everything, "text is never taken for HTML"
    assert not any(inline in page for inline in ("<style", " style=", " onclick=", "<script>")), "the policy would refuse it"


@pytest.mark.parametrize("path", ["/nothing", "/pages/index.html", "/../console.py", "/%2e%2e/console.py", "/index.html", "/api", "/healthz"])
def test_nothing_else_is_served(console: Served, path: str):
    assert console.get(path).status_code == 404


def test_the_state_has_every_table(console: Served):
    state = console.state()
    assert [row["name"] for row in state["clusters"]] == ["local", "remote"]
    assert [row["connection"] for row in state["clusters"]] == ["connected", "connected"]
    assert len(state["gateways"]) == 2, "of both clusters"
    assert state["schemes"][0]["serving"]["name"] == "primary (local)"
    assert state["replica"] == {"name": "gloo-fed-1", "leads": True, "leader": "gloo-fed-1"}
    assert state["events"] == [], "nothing has happened since it watches"


def test_a_follower_says_that_it_follows_and_shows_the_same(console: Served):
    console.world.leader.is_leader, console.world.leader.holder = False, "gloo-fed-2"
    state = console.state()
    assert state["replica"] == {"name": "gloo-fed-1", "leads": False, "leader": "gloo-fed-2"}
    assert state["schemes"][0]["serving"]["name"] == "primary (local)", "it reads what the leader writes"


def test_a_failover_is_seen_at_once_and_as_an_event(console: Served):
    obj = scheme(priority=1)
    obj["status"]["serving"]["since"] = console.state()["watchingSince"]
    console.show(obj)
    state = console.state()
    assert state["schemes"][0]["serving"]["name"] == "tier 1 (remote)"
    assert {event["kind"] for event in state["events"]} == {"switch", "health"}


def test_a_lost_cluster_is_seen_with_the_reason(console: Served):
    console.connect("remote", member(lost=True, trouble="its API server does not answer"))
    state = console.state()
    assert [row["connection"] for row in state["clusters"]] == ["connected", "lost"]
    assert [event["text"] for event in state["events"]] == ["its API server does not answer"]


def test_what_is_old_is_said_to_be_old(console: Served):
    console.world.lost = Lost(since=1_772_366_400.0, reason="connection refused")
    assert console.state()["old"].startswith("The API server of the management cluster does not answer since 2026-03-01T12:00:00.000Z")


def test_what_the_browser_has_is_not_sent_again(console: Served):
    first = console.get("/api/state")
    again = console.get("/api/state", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b""), "most seconds bring nothing new"
    assert again.headers["X-Now"], "but the time does"
    console.show(scheme(priority=1))
    assert console.get("/api/state", **{"If-None-Match": first.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ("kind=FailoverScheme&namespace=gloo-fed&name=failover-scheme", "status"),
        ("kind=KubernetesCluster&namespace=gloo-fed&name=remote", "status"),
        ("kind=GlooInstance&namespace=gloo-fed&name=remote-gloo-system", "spec"),
        ("kind=Upstream&cluster=remote&namespace=gloo-system&name=green", "status"),
    ],
)
def test_each_object_is_shown_in_full(console: Served, query: str, part: str):
    shown = console.get(f"/api/object?{query}").json()
    assert shown[part], "what it says of itself"
    assert set(shown) <= {"apiVersion", "kind", "cluster", "metadata", part}, "and no more: a spec may hold what a page should not show"
    assert shown["apiVersion"], "although a list does not say it of each object"


@pytest.mark.parametrize(
    "query",
    [
        "kind=Secret&namespace=gloo-fed&name=remote",
        "kind=Upstream&cluster=remote&namespace=gloo-system&name=another",
        "kind=Upstream&cluster=nowhere&namespace=gloo-system&name=green",
        "kind=FailoverScheme&namespace=gloo-fed&name=absent",
        "",
    ],
)
def test_no_other_object_is_shown(console: Served, query: str):
    assert console.get(f"/api/object?{query}").status_code == 404, "neither a Secret nor an Upstream that no scheme names"


def test_what_looks_like_a_secret_is_not_shown(console: Served):
    pem = "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----"
    console.show(scheme(message=f"refused: {pem} Bearer abcdefghijkl"))
    for text in (console.get("/api/state").text, console.get("/api/object?kind=FailoverScheme&namespace=gloo-fed&name=failover-scheme").text):
        assert "MIIabc" not in text, "a status repeats what it was given"
        assert "abcdefghijkl" not in text, "neither in a table nor in full"
        assert json.loads(text), "and what is left is still JSON"


def test_fifty_clusters_fit_into_one_small_answer():
    world = Shown()
    world.federation(50)
    with served(world) as console:
        started = time.process_time()
        answer = console.get("/api/state")
        assert len(answer.content) < 100_000, "it is sent every second while requests move"
        assert time.process_time() - started < 1, "and gloo-fed has better things to do"


def test_a_defect_of_the_console_is_logged_and_nothing_else(console: Served, caplog: pytest.LogCaptureFixture):
    console.world.found[FAILOVER_SCHEME][("gloo-fed", "broken")] = {"metadata": {}}
    console.do(lambda: console.console.changed(FAILOVER_SCHEME, ("gloo-fed", "broken")))
    assert "defect of the console" in caplog.text, "whoever watches for failovers goes on"


def test_a_defect_in_an_answer_is_an_answer_too(console: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(state, "state", lambda **_: 1 // 0)
    assert console.get("/api/state").status_code == 500, "and the log says which"
    assert console.get("/").status_code == 200, "the next one is answered again"


async def test_gloo_fed_serves_the_console(world: World):
    await ready(world)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    world.options = replace(world.options, console_address=address)
    async with world.fed(), httpx.AsyncClient(base_url=f"http://{address}") as http:
        await world.accepted()

        async def shows_all() -> bool:
            state = (await http.get("/api/state")).json()
            return [row["connection"] for row in state["clusters"]] == ["connected"] * 2 and state["schemes"][0]["state"] == "ACCEPTED"

        deadline = time.monotonic() + 5
        while not await shows_all():
            assert time.monotonic() < deadline, "within seconds"
        assert (await http.get("/api/state")).json()["replica"]["leads"], "the only replica leads"
        await world.scheme("second", primary={"clusterName": "local", "name": "absent", "namespace": "gloo-system"})
        await eventually(lambda: world.state("second")[0] != "", "the second scheme has a state")
        texts = [event["text"] for event in (await http.get("/api/state")).json()["events"]]
        assert "the FailoverScheme is new" in texts, "what happens is told as it happens"
