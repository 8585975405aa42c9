"""The viewer's page over records of 100,000 pictures, in a real browser: everything is reached, little is kept.

Runs in the host's test environment, with the data environment's Python, NANOFORGE_DATA_PYTHON, behind it.
"""

from typing import Iterator, List

import pytest
from playwright.sync_api import Browser, Page, expect
from view_server import ViewServer

PATIENCE_MS = 60000
MOST_NODES = 800
pytestmark = pytest.mark.browser

NODES = "document.querySelectorAll('*').length"
# Scroll so many pixels a frame for so many frames; the most elements that there were.
SCROLL = """async ({pixels, frames}) => {
    const grid = document.getElementById("grid");
    let most = 0;
    for (let frame = 0; frame < frames; frame++) {
        grid.scrollTop += pixels;
        await new Promise(requestAnimationFrame);
        most = Math.max(most, document.querySelectorAll("*").length);
    }
    return most;
}"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewServer]:
    with ViewServer(tmp_path_factory.mktemp("many"), "large") as server:
        yield server


@pytest.fixture
def page(browser: Browser, served: ViewServer) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 800}, base_url=served.address)
    opened.goto("/")
    expect(opened.locator("#counts")).to_have_text("100,000 pictures, 100,000 boxes", timeout=PATIENCE_MS)
    expect(opened.locator("#indexing")).to_be_hidden(timeout=PATIENCE_MS)
    yield opened
    opened.close()


def test_the_end_is_one_jump_away_and_nothing_between_is_loaded(page: Page) -> None:
    asked: List[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("document.getElementById('grid').scrollTop = 1e9")
    last = page.locator(".tile", has_text="photo-099999.jpg")
    expect(last).to_be_in_viewport()
    expect(last.locator("img")).to_have_js_property("naturalWidth", 64)
    assert len([url for url in asked if "/api/pictures" in url]) <= 2
    assert len(asked) < 100
    page.keyboard.press("Home")
    expect(page.locator("a:focus")).to_contain_text("photo-000000.jpg")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("#place")).to_have_text("100,000 of 100,000")


def test_elements_stay_few_and_pages_are_not_asked_for_twice(page: Page) -> None:
    asked: List[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.evaluate(SCROLL, {"pixels": 60, "frames": 100}) < MOST_NODES
    assert page.evaluate(SCROLL, {"pixels": 2000, "frames": 50}) < MOST_NODES
    assert page.evaluate(SCROLL, {"pixels": -500, "frames": 200}) < MOST_NODES
    assert page.evaluate("document.getElementById('grid').scrollTop") < 10000
    page.wait_for_function("() => document.querySelector('.tile.loaded')")
    pages = [url for url in asked if "/api/pictures" in url]
    assert len(pages) == len(set(pages)) or len(pages) < 20


def test_a_grid_taller_than_browsers_allow_is_still_scrolled_to_its_end(browser: Browser, served: ViewServer) -> None:
    page = browser.new_page(viewport={"width": 320, "height": 700}, base_url=served.address)
    page.goto("/")
    expect(page.locator("#counts")).to_have_text("100,000 pictures, 100,000 boxes")
    page.locator("#thumbnails").evaluate("input => { input.value = 4; input.dispatchEvent(new Event('input')); }")
    assert page.evaluate("document.getElementById('grid').scrollHeight") < 9e6
    page.evaluate("document.getElementById('grid').scrollTop = 1e9")
    expect(page.locator(".tile", has_text="photo-099999.jpg")).to_be_in_viewport()
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    expect(page.locator("a:focus")).to_be_in_viewport()
    expect(page.locator("a:focus")).to_contain_text("photo-09999")
    page.close()
