"""The page of a drill in a real browser, in both themes: readable by axe's rules, nothing loaded, nothing cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright
from recordings import BLUE, EVENTS, FAILOVER, GREEN, STARTED, recording

import toolchain
from drill.document import Outcome, document
from drill.html import page
from drill.record import Event, EventKind

pytestmark = pytest.mark.browser

CLEAN = ((2.0, BLUE, 0.002), (3.2, GREEN, 0.004), (2.8, BLUE, 0.002))
SERVING = Event(STARTED + 2.8, EventKind.SERVING, "tier 1 (remote) serves", 1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(toolchain.find("chromium")))
        yield chromium
        chromium.close()


@pytest.fixture
def report(tmp_path: Path) -> str:
    """The URL of a page with everything that there can be on one: a miss, a cause, a doubt, repeats, notes."""
    late = tuple(result._replace(sent=result.scheduled + 0.05) for result in recording().results)
    outcomes = [
        Outcome.of(recording(FAILOVER, results=late, causes=("The route has no retries.",), despite="priority 1 is unhealthy")),
        *[Outcome.of(recording(CLEAN, scenario="app-killed", title="The app is killed", events=(*EVENTS, SERVING)))] * 2,
    ]
    path = tmp_path / "report.html"
    path.write_text(page(document(outcomes, ended="not done within 200 s")))
    return path.as_uri()


@pytest.mark.parametrize(("theme", "width"), [("light", 1180), ("dark", 1180), ("dark", 390)])
def test_axe_finds_nothing_in_either_theme(browser: Browser, report: str, theme: str, width: int) -> None:
    shown = browser.new_page(color_scheme="dark" if theme == "dark" else "light", viewport={"width": width, "height": 900})
    shown.goto(report)
    shown.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(",")) < 200) == (theme == "dark"), "it is that theme"
    found = Axe().run(shown)
    assert found.violations_count == 0, found.generate_report()
    shown.close()


def test_nothing_is_loaded_and_nothing_is_complained_of(browser: Browser, report: str) -> None:
    shown = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.on("console", lambda message: said.append(message.text))
    shown.on("pageerror", lambda error: said.append(str(error)))
    shown.goto(report)
    assert asked == [report], "the page is all there is"
    assert said == [], "and the browser takes it as it is"
    shown.close()


@pytest.mark.parametrize("width", [1180, 390])
def test_the_page_fits_its_window(browser: Browser, report: str, width: int) -> None:
    shown = browser.new_page(viewport={"width": width, "height": 900})
    shown.goto(report)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width, "what is wider scrolls in its place"
    shown.close()
