"""The console on the whole stack, as `make console` opens it: what Chromium shows during a failover, a failback and a restart of gloo-fed.

With SCREENSHOTS=docs in the environment, the pictures of docs/console.md are taken.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import toolchain
from drill.load import Load, Request
from drill.probe import Probe
from tests.e2e import faults
from tests.e2e.conftest import LiveStack, until

pytestmark = pytest.mark.e2e

PRIMARY, TIER = "primary (local)", "tier 1 (remote)"
SECONDS = 15_000
"""In milliseconds: for the page to follow."""


@pytest.fixture(scope="module")
def url(stack: LiveStack) -> Iterator[str]:
    """What `make console` prints. It runs meanwhile, and ends well with Ctrl-C."""
    process = stack.popen("console")
    assert process.stdout is not None, "a pipe"
    first = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", first)
    assert found, f"the first line is the URL: {first}{process.stdout.read() if process.poll() is not None else ''}"
    try:
        yield found.group()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=10)
    assert process.returncode == 0, said
    assert said.endswith("The console is closed.\n"), "no traceback, and no kubectl left behind"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(toolchain.find("chromium")))
        yield browser
        browser.close()


def opened(browser: Browser, url: str, *, theme: str = "light") -> Page:
    page = browser.new_context(color_scheme=theme, viewport={"width": 1280, "height": 860}).new_page()  # type: ignore[arg-type]
    page.goto(url)
    expect(page.get_by_role("status")).to_have_text("Live", timeout=SECONDS)
    return page


def keep(page: Page, theme: str) -> None:
    """A picture for the documentation, if one is asked for."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"console-{theme}.png")


def test_the_page_shows_a_failover_and_a_failback(stack: LiveStack, url: str, browser: Browser) -> None:
    faults.settled(stack)
    pages = {theme: opened(browser, url, theme=theme) for theme in ("light", "dark")}
    page = pages["light"]
    who, serving = page.locator(".who strong"), page.locator("tr.serves")
    events = page.get_by_role("region", name="List of events").get_by_role("listitem")
    expect(page.locator("#tiles")).to_contain_text("2 of 2")  # Both clusters are connected.
    expect(who).to_have_text(PRIMARY, timeout=SECONDS)
    app = faults.blue_switch(stack)
    with Probe(Load(requests=(Request(url=stack.url),), rate=50, seconds=80)) as traffic:
        app.fail()
        try:
            expect(who).to_have_text(TIER, timeout=SECONDS)
            expect(serving).to_contain_text("100 %", timeout=SECONDS)
            expect(page.get_by_role("row", name=PRIMARY)).to_contain_text("0 of 1")
            expect(page.locator(".why")).to_contain_text("HealthCheckFailed")
            expect(events.filter(has_text=f"{TIER} serves, before it {PRIMARY}").first).to_be_visible()
            expect(page.get_by_role("log")).to_contain_text(f"{TIER} serves now")
            for theme, each in pages.items():
                expect(each.locator("tr.serves")).to_contain_text("100 %", timeout=SECONDS)
                expect(each.locator(".why")).to_contain_text("went there", timeout=SECONDS)
                keep(each, theme)
        finally:
            app.heal()
        expect(who).to_have_text(PRIMARY, timeout=SECONDS)
        expect(serving).to_contain_text("100 %", timeout=SECONDS)
        expect(events.filter(has_text=f"{PRIMARY} serves, before it {TIER}. Recovered").first).to_be_visible()
    assert traffic.summary().failed == 0, "and clients have noticed nothing"
    for each in pages.values():
        each.context.close()


def test_each_status_is_what_kubectl_shows(stack: LiveStack, url: str, browser: Browser) -> None:
    page = opened(browser, url)
    for button, cluster, words in (
        ("Status of scheme gloo-fed/failover-scheme", "local", ("failoverscheme", "-n", "gloo-fed", "failover-scheme")),
        (
            "Status of Upstream remote/gloo-system/default-service-green-10000",
            "remote",
            ("upstream", "-n", "gloo-system", "default-service-green-10000"),
        ),
    ):
        page.get_by_role("button", name=button).click()
        expect(page.locator("#details-text")).to_contain_text(f'"{stack.get(cluster, *words)["metadata"]["name"]}"', timeout=SECONDS)
        expect(page.locator("#details-text")).to_contain_text('"status": {')
        page.keyboard.press("Escape")
    page.context.close()


def test_the_page_goes_on_with_the_gloo_fed_that_comes_after(stack: LiveStack, url: str, browser: Browser) -> None:
    page = opened(browser, url)
    watching = page.locator("#watching").inner_text()
    faults.kill_container(stack, faults.GLOO_FED)
    expect(page.locator("#watching")).not_to_have_text(watching, timeout=2 * SECONDS)
    expect(page.get_by_role("status")).to_have_text("Live", timeout=SECONDS)
    expect(page.locator(".who strong")).to_have_text(PRIMARY, timeout=SECONDS)
    page.context.close()


def test_it_answers_to_loopback_only_and_only_reads(url: str) -> None:
    assert httpx.get(url, headers={"Host": "rebound.example"}, timeout=5).status_code == 421, "a site whose name points here"
    assert httpx.post(f"{url}api/state", timeout=5).status_code == 405, "there is no write action"
    assert httpx.get(f"{url}api/object?kind=Secret&namespace=gloo-fed&name=remote", timeout=5).status_code == 404, "and no Secret"


def test_gloo_fed_listens_for_no_other_pod(stack: LiveStack) -> None:
    (pod,) = faults.pods(stack, faults.GLOO_FED)
    services = stack.get("local", "services", "-n", "gloo-fed")["items"]
    assert services == [], "no Service leads to it"
    until(
        "its console listens", lambda: httpx.get(f"http://{faults.realised(pod['status']['podIP'])}:9980/", timeout=5).status_code == 421, seconds=15
    )
