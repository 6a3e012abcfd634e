"""The console as people meet it, in headless Chromium: what moves, by keyboard, in both themes, at 50 clusters, and when somebody means harm."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from console_support import Served, World, cluster, instance, member, scheme, served
from playwright.sync_api import Browser, Page, expect, sync_playwright

import toolchain
from controlplane.kube.informer import Lost

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(toolchain.find("chromium")))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens the page of a console, and at the end holds that the browser had nothing to complain of (scripts that fail, what the policy refuses)."""
    complaints: list[str] = []
    contexts = []

    def open_(console: Served, *, theme: str = "light", width: int = 1280, height: int = 800) -> Page:
        context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": height}, reduced_motion="reduce")  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.goto(console.url)
        expect(page.get_by_role("status")).to_have_text("Live")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [each for each in complaints if "net::ERR" not in each] == [], "what is refused while nobody answers is meant"


@pytest.fixture
def console() -> Iterator[Served]:
    world = World()
    world.have(*(make(name) for name in ("local", "remote", "spare") for make in (cluster, instance)), scheme())
    with served(world) as console:
        yield console


@pytest.fixture
def large() -> Iterator[Served]:
    world = World()
    world.federation(50)
    with served(world) as console:
        yield console


def test_a_failover_and_a_failback_are_shown_without_a_reload(console: Served, open_page: Open):
    page = open_page(console)
    card = page.get_by_role("article", name="scheme gloo-fed/failover-scheme")
    expect(card.locator(".who strong")).to_have_text("primary (local)")

    obj = scheme(priority=1)
    obj["status"]["serving"] |= {"since": console.state()["watchingSince"], "message": "10.77.0.11:10000 failed its health check"}
    console.show(obj)

    expect(card.locator(".who strong")).to_have_text("tier 1 (remote)")
    expect(card.locator("tr.serves")).to_contain_text("tier 1 (remote)serves now")
    expect(card.locator("tr.serves td").nth(2)).to_contain_text("100 %")
    expect(card.get_by_role("row", name="primary (local)")).to_contain_text("0 of 1")
    expect(card).to_contain_text("HealthCheckFailed: 10.77.0.11:10000 failed its health check")
    expect(card.locator(".who time")).to_have_text(re.compile(r"\(\d+ s\)"))
    expect(page.get_by_role("log")).to_have_text("failover-scheme: tier 1 (remote) serves now.")
    events = page.get_by_role("region", name="List of events").get_by_role("listitem")
    expect(events.filter(has_text="tier 1 (remote) serves, before it primary (local)")).to_have_count(1)

    console.show(scheme())

    expect(card.locator(".who strong")).to_have_text("primary (local)")
    expect(card.locator("tr.serves")).to_contain_text("primary (local)serves now")


def test_what_has_happened_before_it_watched_is_not_claimed(console: Served, open_page: Open):
    page = open_page(console)
    expect(page.get_by_text("Nothing has happened.")).to_be_visible()
    expect(page.get_by_text(re.compile("watches since .* knows nothing of before"))).to_be_visible()


def test_a_lost_cluster_is_named_with_the_reason(console: Served, open_page: Open):
    page = open_page(console)
    console.connect("remote", member(lost=True, trouble="its API server does not answer since 12:00"))
    row = page.get_by_role("region", name="Table of clusters").get_by_role("row", name="remote")
    expect(row).to_contain_text("lost")
    expect(row).to_contain_text("its API server does not answer since 12:00")
    expect(page.locator("#tiles")).to_contain_text("2 of 3")


def test_a_lost_connection_is_said_and_the_page_goes_on_by_itself(console: Served, open_page: Open):
    page = open_page(console)
    console.wait(console.console.stop())
    expect(page.get_by_role("status")).to_have_text("Connection lost")
    expect(page.get_by_role("alert")).to_contain_text("What is shown is as of")
    expect(page.locator(".who strong")).to_have_text("primary (local)")  # What was known stays.
    console.show(scheme(priority=1))
    console.wait(console.console.start())
    expect(page.get_by_role("status")).to_have_text("Live")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.locator(".who strong")).to_have_text("tier 1 (remote)")


def test_a_gloo_fed_that_is_cut_off_says_that_it_is_old(console: Served, open_page: Open):
    page = open_page(console)
    console.do(lambda: setattr(console.world, "lost", Lost(since=1_772_366_400.0, reason="connection refused")))
    expect(page.get_by_role("status")).to_have_text("Old")
    expect(page.get_by_role("alert")).to_contain_text("does not answer since 2026-03-01T12:00:00.000Z")


def test_a_follower_says_whom_it_follows(console: Served, open_page: Open):
    console.world.leader.is_leader, console.world.leader.holder = False, "gloo-fed-2"
    expect(open_page(console).locator("#replica")).to_have_text("gloo-fed-1: it follows gloo-fed-2, and reads the same")


def test_names_and_messages_are_text_whatever_is_in_them(console: Served, open_page: Open):
    obj = scheme(message=HOSTILE, standby=HOSTILE, priority=1)
    obj["spec"]["primary"]["name"] = HOSTILE
    obj["status"]["tiers"][1] |= {"proven": False, "unprovenReason": HOSTILE, "upstreams": [f"remote/{HOSTILE}/{HOSTILE}"]}
    obj["status"]["serving"] |= {"name": HOSTILE, "reason": HOSTILE, "since": HOSTILE, "stale": HOSTILE}
    found = instance("remote")
    found["spec"] |= {"region": HOSTILE, "controlPlane": {"version": HOSTILE}}
    found["spec"]["proxies"][0] |= {"version": HOSTILE, "zones": [HOSTILE], "name": HOSTILE}
    console.show(obj)
    console.show(found)
    console.connect("remote", member(lost=True, trouble=HOSTILE))
    page = open_page(console)
    expect(page.locator(".who strong")).to_have_text(HOSTILE)
    page.get_by_role("button", name="Status of scheme").click()
    expect(page.locator("#details-text")).to_contain_text("onerror=alert(1)")
    assert page.locator("img, main script").count() == 0, "and no element has come of it"


def test_everything_is_done_with_a_keyboard(console: Served, open_page: Open):
    page = open_page(console)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to who serves")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#schemes")).to_be_focused()
    page.keyboard.press("Tab")
    status = page.get_by_role("button", name="Status of scheme gloo-fed/failover-scheme")
    expect(status).to_be_focused()
    outline = status.evaluate("each => getComputedStyle(each).outlineWidth")
    assert outline == "3px", "where the focus is can be seen"

    console.show(scheme(priority=1))
    expect(page.locator(".who strong")).to_have_text("tier 1 (remote)")
    expect(status).to_be_focused()  # Although its card was made anew.

    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Status of scheme gloo-fed/failover-scheme")
    expect(dialog.locator("pre")).to_contain_text('"name": "tier 1 (remote)"')
    console.show(scheme())
    expect(dialog.locator("pre")).to_contain_text('"name": "primary (local)"')
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(status).to_be_focused()


@pytest.mark.parametrize(
    "button", ["Status of Upstream remote/gloo-system/green", "Status of KubernetesCluster remote", "GlooInstance remote-gloo-system"]
)
def test_each_object_is_shown_in_full(console: Served, open_page: Open, button: str):
    page = open_page(console)
    page.get_by_role("button", name=button).click()
    expect(page.locator("#details-text")).to_contain_text('"apiVersion"')
    expect(page.locator("#details-note")).to_contain_text("As of")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize("width", [1920, 1280, 800, 390])
def test_fifty_clusters_are_shown_whole_on_every_screen(large: Served, open_page: Open, width: int):
    page = open_page(large, width=width)
    expect(page.get_by_role("article")).to_have_count(50)
    for table in ("clusters", "gateways"):
        expect(page.locator(f'[data-rows="{table}"] > tr')).to_have_count(50)
    beyond = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert beyond <= 0, "only tables scroll sideways, and each by itself"
    outside = page.evaluate(
        "() => [...document.querySelectorAll('.card')].filter(card => card.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert outside == 0, "no card is cut off"


def test_among_fifty_the_one_that_needs_somebody_is_first_and_any_is_found(large: Served, open_page: Open):
    page = open_page(large)
    large.show(scheme("scheme-40", primary="cluster-40", standby="cluster-41", priority=None))
    expect(page.get_by_role("article").first).to_contain_text("nobody")
    page.get_by_role("searchbox", name="Filter by name").fill("cluster-07")
    expect(page.get_by_role("article")).to_have_count(2)  # Its own, and the one that it stands by for.
    expect(page.locator('[data-count="clusters"]')).to_have_text("(1 of 50 shown)")
    page.get_by_role("searchbox", name="Filter by name").fill("")
    expect(page.get_by_role("article")).to_have_count(50)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["console", "large"])
def test_the_rules_of_accessibility_find_nothing(size: str, theme: str, request: pytest.FixtureRequest, open_page: Open):
    shown: Served = request.getfixturevalue(size)
    name = "failover-scheme" if size == "console" else "scheme-01"
    where = ("local", "remote") if size == "console" else ("cluster-01", "cluster-02")
    bad = scheme(name, primary=where[0], standby=where[1], priority=None, standbyProven=False, message="it is tried again")
    bad["status"]["tiers"][1] |= {"proven": False, "unprovenReason": "failed its health check", "unprovenSince": "2026-03-01T12:00:00.000Z"}
    page = open_page(shown, theme=theme)
    shown.show(bad)
    shown.connect(where[1], member(lost=True, trouble="its API server does not answer"))
    expect(page.get_by_role("article").first).to_contain_text("nobody")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.get_by_role("button", name="Status of scheme").first.click()
    expect(page.locator("#details-text")).to_contain_text('"status"')
    found = Axe().run(page)
    assert found.violations_count == 0, f"with a status open: {found.generate_report()}"


def test_the_themes_are_those_of_the_system(console: Served, open_page: Open):
    grounds = [open_page(console, theme=theme).evaluate("() => getComputedStyle(document.body).backgroundColor") for theme in ("light", "dark")]
    assert grounds == ["rgb(244, 246, 249)", "rgb(14, 18, 23)"], "light and dark"
